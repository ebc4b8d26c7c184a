#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Names: what OSS can hold goes through unharmed, what it cannot is refused,
# and what other tools put there never breaks the mount.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

# Keys that no POSIX program could have written.
ODD=('odd/both' 'odd/both/below' 'odd//two' 'odd/d//x' 'odd/./here' 'odd/../up'
	'odd/...' 'odd/dot/.' 'odd/dot/..' 'odd/marker/' 'odd/marker/f' 'odd/ '
	'odd/nl'$'\n''x' 'odd/tab'$'\t''x' 'odd/ctl'$'\x01''x' 'odd/ok')

before_mount() {
	local key
	for key in "${ODD[@]}"; do oss_put "$key" <(printf %s "$key"); done
	for key in x x-1 x.txt x/y x0; do oss_put "mix/$key" <(printf %s "$key"); done
	for i in $(seq 20); do oss_put "dash/a-$i" <(echo "$i"); done
	oss_put "dash/a/b" <(echo b)
	oss_put "long/$(printf 'n%.0s' $(seq 300))/f" <(echo x)
	oss_put "long/ok" <(echo x)
}

NAMES=('with space' ' leading' 'trailing ' 'a+b' '100%' '%41' '%2F' 'a&b' 'a?b' 'a#b'
	"it's" '"quoted"' 'back\slash' '\leading' '中文文件名.txt' '😀.png' 'é' $'e\u0301'
	'a=b;c,d' '$HOME' '`x`' '*' '?' '[a]' '{b}' '<c>' '|' '!' '@' ':' '(1)' '^'
	'-dash' '--help' '.hidden' '...' '..a' 'a.' 'tab'$'\t''x' 'nl'$'\n''x'
	'xml<&>"' $'ctl\x01\x1f' $'del\x7f' '+' ' ' 'CON' 'ünïcödé' '‮rtl' 'x'$'\u200b''y')

@test "every kind of name: written, called back, listed, read, after a remount too" {
	for name in "${NAMES[@]}"; do
		printf %s "$name" >"$D/$name"
	done
	for name in "${NAMES[@]}"; do
		settled "$D/$name"
		printf %s "$name" >want
		oss_get "$(key_of "$D/$name")" got
		same got want
	done
	called=$(jq -c --arg d "$(key_of "$D")/" '
		select(.verified and (.fields.object | startswith($d)))
		| select((.fields.object | ltrimstr($d) | utf8bytelength) == .fields.size)
		| .fields.object' "$W/callbacks.jsonl" | sort)
	is "$(wc -l <<<"$called")" ${#NAMES[@]} callbacks
	is "$(uniq <<<"$called" | wc -l)" ${#NAMES[@]} "different keys in callbacks"
	(cd "$D" && printf '%s\0' * .[!.]* ..?*) | sort -z >before
	printf '%s\0' "${NAMES[@]}" | sort -z >want
	same before want
	remount
	(cd "$D" && printf '%s\0' * .[!.]* ..?*) | sort -z >after
	same after want
	for name in "${NAMES[@]}"; do
		is "$(cat "$D/$name"; echo .)" "$name."
		is "$(attr key "$D/$name"; echo .)" "$(key_of "$D/$name")." || true
	done
}

@test "every kind of name: renamed, copied, removed" {
	for name in "${NAMES[@]}"; do
		printf %s "$name" >"$D/plain"
		mv -- "$D/plain" "$D/$name"
		is "$(cat "$D/$name"; echo .)" "$name."
		chmod 600 "$D/$name"
	done
	is "$(find "$D" -type f -print0 | tr -cd '\0' | wc -c)" ${#NAMES[@]}
	mkdir "$D/d"
	mv -- "$D"/[!d]* "$D/d/" 2>/dev/null || true
	find "$D" -type f -delete
	is "$(find "$D" -type f | wc -l)" 0
}

@test "folders of every kind of name" {
	for name in "${NAMES[@]}"; do
		mkdir -p -- "$D/$name/sub"
		echo x >"$D/$name/sub/f"
	done
	remount
	for name in "${NAMES[@]}"; do
		is "$(cat "$D/$name/sub/f")" x "$(printf %q "$name")"
	done
	rm -r -- "${D:?}"/* "$D"/.[!.]* "$D"/..?*
	is "$(ls -A "$D")" ""
}

@test "names of 255 bytes; 256 are too many" {
	name=$(printf 'n%.0s' $(seq 255))
	echo x >"$D/$name"
	uploaded 1 "$D/$name" <<<x
	fails touch "$D/${name}n" 2>err
	grep -q 'File name too long' err
	wide=$(printf '中%.0s' $(seq 85))
	echo x >"$D/$wide"
	uploaded 1 "$D/$wide" <<<x
	fails touch "$D/${wide}中" 2>err
	grep -q 'File name too long' err
}

@test "keys of 1,023 bytes; 1,024 are too many" {
	dir=$D
	part=$(printf 'd%.0s' $(seq 200))
	for i in 1 2 3 4; do dir=$dir/$part; done
	mkdir -p "$dir"
	used=$(key_of "$dir/" | wc -c)
	name=$(printf 'n%.0s' $(seq $((1023 - used))))
	echo x >"$dir/$name"
	uploaded 1 "$dir/$name" <<<x
	is "$(key_of "$dir/$name" | wc -c)" 1023
	fails touch "$dir/${name}n" 2>err
	grep -q 'File name too long' err
	fails mkdir "$dir/$name.d" 2>err
	grep -q 'File name too long' err
	fails mv "$dir/$name" "$dir/${name}nn" 2>err
	grep -q 'File name too long' err
	is "$(cat "$dir/$name")" x
}

@test "names that OSS cannot hold: EINVAL" {
	fails touch "$D/"$'bad\xff\xfe' 2>err
	grep -q 'Invalid argument' err
	fails mkdir "$D/"$'\xc3\x28' 2>err
	grep -q 'Invalid argument' err
	fails touch "$MNT/\\begin" 2>err
	grep -q 'Invalid argument' err
	echo x >"$D/f"
	python3 - "$D" <<-'PY'
		import errno, os, sys
		d = os.fsencode(sys.argv[1])
		try:
		    os.rename(d + b"/f", d + b"/\xed\xa0\x80")
		except OSError as e:
		    sys.exit(e.errno != errno.EINVAL)
		sys.exit("renamed")
	PY
	is "$(cat "$D/f")" x
}

@test "both an object a and keys below a/: the folder shows" {
	[ -d "$MNT/odd/both" ]
	is "$(cat "$MNT/odd/both/below")" odd/both/below
	[ -d "$MNT/mix/x" ]
	is "$(ls "$MNT/mix")" "$(printf '%s\n' x x-1 x.txt x0 | sort)"
	is "$(cat "$MNT/mix/x/y")" x/y
	is "$(cat "$MNT/mix/x-1")" x-1
}

@test "a folder behind many names that sort before its slash" {
	remount
	[ -d "$MNT/dash/a" ]
	is "$(cat "$MNT/dash/a/b")" b
	is "$(ls "$MNT/dash" | wc -l)" 21
}

@test "empty, dot and dot-dot segments do no harm" {
	for _ in 1 2; do
		find "$MNT/odd" >out 2>err || true
		ls -laR "$MNT/odd" >/dev/null 2>&1 || true
		is "$(cat "$MNT/odd/ok")" odd/ok
		is "$(cat "$MNT/odd/...")" odd/...
		is "$(cat "$MNT/odd/ ")" "odd/ "
		is "$(cat "$MNT/odd/nl"$'\n''x')" "odd/nl"$'\n'x
		is "$(cat "$MNT/odd/marker/f")" odd/marker/f
		# What a name cannot reach keeps what it holds.
		oss_get 'odd//two' got
		is "$(cat got)" odd//two
		oss_get 'odd/../up' got
		is "$(cat got)" odd/../up
		is "$(grep -c '/odd/d$' out)" 1
		remount
	done
}

@test "rm -r of a folder with hidden keys does not claim to have emptied it" {
	fails rm -r "$MNT/odd/dot" 2>err || true
	oss_get 'odd/dot/.' got
	oss_get 'odd/dot/..' got
	oss_get 'odd/ok' got
}

@test "segments over 255 bytes are not shown, and their neighbours are" {
	is "$(ls "$MNT/long" 2>/dev/null)" ok
	is "$(cat "$MNT/long/ok")" x
	oss_has "long/$(printf 'n%.0s' $(seq 300))/f"
}

@test "a mount of a prefix sees nothing above it" {
	mount_stop
	oss_put "top/in/f" <(echo inside)
	oss_put "top/out" <(echo outside)
	conf_add oss 'prefix = top/in'
	mount_start
	is "$(ls "$MNT" | grep -v '^t[0-9]')" f
	is "$(cat "$MNT/f")" inside
	echo new >"$MNT/new"
	mkdir "$MNT/d"
	echo deep >"$MNT/d/f"
	wait_is new object top/in/new
	wait_is deep object top/in/d/f
	is "$(attr key "$MNT/new")" top/in/new
	is "$(jq -r 'select(.fields.object == "top/in/new") | .fields.size' "$W/callbacks.jsonl")" 4
	rm -r "$MNT/d" "$MNT/new"
	mount_stop
	conf_write
	mount_start
}

object() { oss_get "$1" got && cat got; }

@test "a symlink of OSS's own shows and reads as its target" {
	local t=t$BATS_TEST_NUMBER
	random_file want 70000
	oss_put "$t/target" want
	OSS_SUB=symlink OSS_HEADERS="x-oss-symlink-target: $t/target" \
		oss PUT "$t/link" -o /dev/null
	OSS_SUB=symlink OSS_HEADERS="x-oss-symlink-target: $t/nobody" \
		oss PUT "$t/dangling" -o /dev/null
	"$BIN/ackctl" invalidate "$MNT"
	same "$MNT/$t/link" want
	"$BIN/ackctl" invalidate "$MNT"
	ls -l "$MNT/$t" >/dev/null
	is "$(stat -c %s "$MNT/$t/link")" 70000
	same "$MNT/$t/link" want
	log_allow 'SymlinkTargetNotExist'
	fails cat "$MNT/$t/dangling"
	rm "$MNT/$t/dangling" "$MNT/$t/link"
	same "$MNT/$t/target" want
}
