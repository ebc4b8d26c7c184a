#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How files really arrive: real programs, and exactly one callback for each
# final file with its final name, size and content, none for temporary names.
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

before_mount() { conf_add upload 'empty_hold = 1s'; }

setup() {
	test_setup
	random_file big 200000
	echo text >note.txt
	mark=$(mark)
}

called_names() {
	jq -r --arg d "$(key_of "$D")/" '.fields.object | select(startswith($d)) | .[($d | length):]' \
		"$W/callbacks.jsonl" | LC_ALL=C sort
}

# arrived NAME...: these got one callback each, and nothing else got one
arrived() {
	local want
	want=$(printf '%s\n' "$@" | LC_ALL=C sort)
	wait_is "$want" called_names
}

# at_most N: requests since the test began
at_most() {
	local n
	n=$(count_requests -s "$mark")
	[ "$n" -le "$1" ] || {
		requests_since "$mark" >&2
		fail "$n requests, at most $1 were expected"
	}
}

# A web server with ranges: the emulator, and an object that everybody may read.
published() { # FILE
	OSS_HEADERS='x-oss-object-acl: public-read' oss_put "web/$1" "$1"
	echo "$EMU/$BUCKET/web/$1"
	mark=$(mark)
}

@test "rsync -a" {
	rsync -a big note.txt "$D/"
	arrived big note.txt
	at_most 3
	uploaded 1 "$D/big" big
}

@test "rsync -a over what is there" {
	rsync -a big "$D/"
	printf changed | dd of=big bs=1 seek=1000 conv=notrunc status=none
	touch -d '+1 hour' big # rsync looks at size and time
	rsync -a big "$D/"
	arrived big big
	uploaded 2 "$D/big" big
}

@test "rsync --inplace" {
	rsync -a --inplace big "$D/"
	arrived big
	uploaded 1 "$D/big" big
}

# rsync itself gives the half file its final name; --partial-dir does not.
@test "rsync --partial, interrupted and resumed" {
	random_file big 3000000
	rsync -a --partial --bwlimit=500 big "$D/" &
	wait_for some_bytes
	kill -INT $!
	fails wait $!
	rsync -a --partial big "$D/"
	wait_for has_called big
	uploaded_last big big
	fails grep -q '^\.big' <(called_names)
}

some_bytes() { find "$D" -type f -size +0 | grep -q .; }
has_called() { called_names | grep -qxF "$1"; }

# The last callback of NAME and the object are FILE's; more may have come.
uploaded_last() { # NAME FILE
	settled "$D/$1"
	wait_is "$(stat -c %s "$2")" last_size "$D/$1"
	oss_get "$(key_of "$D/$1")" got
	same got "$2"
}

last_size() { callbacks_of "$1" .fields.size | tail -n 1; }

SFTP_SERVER=/usr/lib/openssh/sftp-server

by_sftp() { # stdin: commands
	[ -x $SFTP_SERVER ] || skip "no $SFTP_SERVER"
	sftp -q -b - -D $SFTP_SERVER >/dev/null
}

@test "sftp put" {
	by_sftp <<-END
		cd $D
		put big
		put note.txt
	END
	arrived big note.txt
	at_most 3
	uploaded 1 "$D/big" big
}

@test "sftp put under a temporary name, then rename" {
	by_sftp <<-END
		cd $D
		put big big.filepart
		rename big.filepart big
	END
	arrived big
	at_most 3
	uploaded 1 "$D/big" big
}

@test "sftp put -p, mkdir, put -r" {
	mkdir -p tree/sub
	cp big tree/sub/
	cp note.txt tree/
	by_sftp <<-END
		cd $D
		put -pr tree
	END
	arrived tree/note.txt tree/sub/big
	uploaded 1 "$D/tree/sub/big" big
}

@test "mv into place, from another file system and within the mount" {
	cp big copy
	mv copy "$D/big.tmp"
	mv "$D/big.tmp" "$D/big"
	arrived big
	at_most 2
	uploaded 1 "$D/big" big
}

@test "vim: a new file, then an edit of it" {
	command -v vim >/dev/null || skip "no vim"
	vim -es -u NONE -N -c 'normal ione' -c wq "$D/f.txt" </dev/null
	arrived f.txt
	uploaded 1 "$D/f.txt" <<<one
	vim -es -u NONE -N -c 'normal otwo' -c wq "$D/f.txt" </dev/null
	arrived f.txt f.txt
	uploaded 2 "$D/f.txt" <<<$'one\ntwo'
	is "$(ls -A "$D")" f.txt
}

@test "vim with backups and swap files" {
	command -v vim >/dev/null || skip "no vim"
	echo one >"$D/f.txt"
	uploaded 1 "$D/f.txt" <<<one
	vim -u NONE -N -es -c 'set swapfile backup writebackup' -c 'normal otwo' -c wq "$D/f.txt" </dev/null
	arrived f.txt f.txt
	uploaded 2 "$D/f.txt" <<<$'one\ntwo'
}

@test "an office suite: temporary file beside, rename over" {
	cp note.txt "$D/letter.odt"
	uploaded 1 "$D/letter.odt" note.txt
	echo lock >"$D/.~lock.letter.odt#"
	cp big "$D/lu12345.tmp"
	mv "$D/lu12345.tmp" "$D/letter.odt"
	rm "$D/.~lock.letter.odt#"
	arrived letter.odt letter.odt
	uploaded 2 "$D/letter.odt" big
}

@test "curl -o f.part && mv" {
	url=$(published big)
	mark=$(mark)
	curl -sSf -o "$D/f.part" "$url"
	mv "$D/f.part" "$D/f"
	arrived f
	uploaded 1 "$D/f" big
}

@test "curl -o straight" {
	url=$(published big)
	curl -sSf -o "$D/f" "$url"
	arrived f
	uploaded 1 "$D/f" big
}

@test "wget, and wget -c of a broken download" {
	url=$(published big)
	wget -q -O "$D/f" "$url"
	uploaded 1 "$D/f" big
	head -c 70000 big >"$D/big"
	(cd "$D" && wget -q -c "$url")
	arrived big big f
	uploaded 2 "$D/big" big
}

@test "tar x" {
	mkdir -p tree/sub
	cp big tree/sub/
	cp note.txt tree/
	tar czf tree.tar.gz tree
	mark=$(mark)
	tar xzf tree.tar.gz -C "$D"
	arrived tree/note.txt tree/sub/big
	uploaded 1 "$D/tree/sub/big" big
	diff -r tree "$D/tree"
	remount
	is "$(cd "$D" && stat -c '%n %a %Y' tree/note.txt tree/sub/big)" \
		"$(stat -c '%n %a %Y' tree/note.txt tree/sub/big)"
}

@test "unzip" {
	command -v zip >/dev/null && command -v unzip >/dev/null || skip "no zip"
	mkdir -p tree/sub
	cp big tree/sub/
	cp note.txt tree/
	zip -qr tree.zip tree
	unzip -q tree.zip -d "$D"
	arrived tree/note.txt tree/sub/big
	uploaded 1 "$D/tree/sub/big" big
}

@test "git clone, and a commit" {
	git init -q repo
	git -C repo config user.email a@example.com
	git -C repo config user.name A
	cp note.txt repo/
	mkdir repo/d
	head -c 50000 big >repo/d/big
	git -C repo add .
	git -C repo commit -qm first
	git clone -q "file://$PWD/repo" "$D/clone"
	diff -r -x .git repo "$D/clone"
	git -C "$D/clone" fsck --full --strict
	git -C "$D/clone" -c user.email=a@example.com -c user.name=A commit -q --allow-empty -m second
	wait_for has_called clone/note.txt
	wait_for has_called clone/d/big
	settled "$D/clone/.git/HEAD"
	uploaded 1 "$D/clone/note.txt" note.txt
	fails grep -E '\.lock$|tmp_|\.tmp$' <(called_names)
	remount
	git -C "$D/clone" fsck --full --strict
	git -C "$D/clone" log --oneline | grep -q second
}

@test "a camera's drop box: many small files by an FTP server's way" {
	for i in $(seq 50); do
		head -c "$((i * 100))" big >"$D/.in.img$i.jpg."
		mv "$D/.in.img$i.jpg." "$D/img$i.jpg"
	done
	for i in $(seq 50); do echo "img$i.jpg"; done | LC_ALL=C sort >want
	wait_is "$(cat want)" called_names
	is "$(callbacks_of "$D/img7.jpg" .fields.type)" image/jpeg
	at_most 52
}

@test "inotify-like readers: tail -f of a growing file, then its end" {
	exec 5>"$D/log"
	echo one >&5
	is "$(cat "$D/log")" one
	echo two >&5
	is "$(tail -n 1 "$D/log")" two
	exec 5>&-
	arrived log
	uploaded 1 "$D/log" <<<$'one\ntwo'
}
