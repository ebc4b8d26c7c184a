#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Program -> number of uploads.  Each upload has its callback, whose size is
# the file's; OSS and the mount have the content (uploaded() looks at all of
# it).  Shell constructs run in every shell that is installed.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

before_mount() {
	seed old/ 100 100
	oss_get old/00000000 "$BATS_FILE_TMPDIR/old"
}

setup() {
	test_setup
	OLD=$BATS_FILE_TMPDIR/old
	random_file big 300000
}

# The path of an object that nobody has touched yet; its content is $OLD.
old_object() {
	local n
	n=$(cat "$BATS_FILE_TMPDIR/old.n" 2>/dev/null || echo 0)
	echo $((n + 1)) >"$BATS_FILE_TMPDIR/old.n"
	printf '%s/old/%08d\n' "$MNT" "$n"
}

SHELLS=(bash dash zsh "busybox sh")

# in_shells N SCRIPT: the script writes $f, with $big there.  What it writes on
# a plain file system is what is wanted.
in_shells() {
	local n=$1 script=$2 sh
	export f big=$PWD/big
	for sh in "${SHELLS[@]}"; do
		command -v "${sh%% *}" >/dev/null || continue
		rm -f want
		f=want $sh -c "$script"
		f=$D/by-${sh%% *}
		$sh -c "$script"
		uploaded "$n" "$f" want
	done
}

# The same on an object that is there already.
in_shells_on_old() {
	local n=$1 script=$2 sh
	export f big=$PWD/big
	for sh in "${SHELLS[@]}"; do
		command -v "${sh%% *}" >/dev/null || continue
		cp "$OLD" want
		f=want $sh -c "$script"
		f=$(old_object)
		$sh -c "$script"
		uploaded "$n" "$f" want
	done
}

# by_tool N VERB CONTENT
by_tool() {
	local n=$1 verb=$2
	"$TOOLS/writer" "$verb" "$D/f"
	uploaded "$n" "$D/f" <<<"$3"
}

# -- shells -----------------------------------------------------------------------

@test "echo x > new: 1" {
	in_shells 1 'echo x > "$f"'
}

@test "echo x > existing: 1" {
	in_shells_on_old 1 'echo x > "$f"'
}

@test "echo x >> existing: 1" {
	in_shells_on_old 1 'echo x >> "$f"'
}

@test "echo x >> new: 1" {
	in_shells 1 'echo x >> "$f"'
}

@test "exec 3> f, two echos, exec 3>&-: 1" {
	in_shells 1 'exec 3>"$f"; echo a >&3; echo b >&3; exec 3>&-'
}

@test "exec 3> existing, a command, exec 3>&-: 1" {
	in_shells_on_old 1 'exec 3>"$f"; /bin/echo a >&3; echo b >&3; exec 3>&-'
}

@test "a subshell of two programs: 1" {
	in_shells 1 '(/bin/echo a; /bin/echo b) > "$f"'
}

@test "a subshell of two programs over an existing object: 1" {
	in_shells_on_old 1 '(/bin/echo a; /bin/echo b) > "$f"'
}

@test "a group of echo and cat: 1" {
	in_shells 1 '{ echo a; cat "$big"; } > "$f"'
}

@test "a loop: 1" {
	in_shells 1 'for i in 1 2 3; do echo $i; /bin/echo $i; done > "$f"'
}

@test "a loop that reads and appends to the same descriptor: 1" {
	in_shells 1 'while read -r x; do echo "<$x>"; done > "$f" <<-END
		a
		b
		END'
}

@test "a pipeline: 1" {
	in_shells 1 'seq 5000 | tr 1 x | cat > "$f"'
}

@test "output and errors in one file: 1" {
	in_shells 1 '{ echo out; echo err >&2; } > "$f" 2>&1'
}

@test "a background job that writes on when its shell has ended: 1" {
	in_shells 1 '{ sleep 0.2; echo late; } > "$f" & wait'
}

@test "exit while a descriptor is open: 1" {
	in_shells 1 'exec 3>"$f"; echo a >&3; exit 0'
}

@test "two commands that append: 2" {
	in_shells 2 'echo a > "$f"; echo b >> "$f"'
}

@test ": > new, then text > the same: 1" {
	in_shells 1 ': > "$f"; echo x > "$f"'
}

@test "a here document: 1" {
	in_shells 1 'cat > "$f" <<-END
		one
		two
		END'
}

# -- programs ------------------------------------------------------------------------

@test "cp to a new file: 1" {
	cp big "$D/"
	uploaded 1 "$D/big" big
}

@test "cp over an existing object: 1" {
	f=$(old_object)
	cp big "$f"
	uploaded 1 "$f" big
}

@test "cp of an empty file: 1" {
	: >empty
	cp empty "$D/"
	uploaded 1 "$D/empty" empty
}

@test "cp -a: 1, with mode and time" {
	chmod 640 big
	touch -d '2001-02-03 04:05:06.789 UTC' big
	cp -a big "$D/"
	uploaded 1 "$D/big" big
	is "$(stat -c '%a %.9Y' "$D/big")" "640 981173106.789000000"
}

@test "cp --sparse and --reflink: 1" {
	cp --sparse=always big "$D/sparse"
	cp --reflink=auto big "$D/reflink"
	uploaded 1 "$D/sparse" big
	uploaded 1 "$D/reflink" big
}

@test "cp from the mount to the mount: 1" {
	cp big "$D/a"
	cp "$D/a" "$D/b"
	uploaded 1 "$D/a" big
	uploaded 1 "$D/b" big
}

@test "cp -r of a tree: 1 each" {
	mkdir -p tree/sub/deeper
	for i in 1 2 3; do
		echo "$i" >tree/$i
		head -c $((i * 7000)) big >tree/sub/$i
	done
	echo deep >tree/sub/deeper/x
	cp -r tree "$D/"
	for f in 1 2 3 sub/1 sub/2 sub/3 sub/deeper/x; do
		uploaded 1 "$D/tree/$f" "tree/$f"
	done
	diff -r tree "$D/tree"
}

@test "mv from another file system: 1" {
	cp big copy
	mv copy "$D/f"
	uploaded 1 "$D/f" big
}

@test "install: 1" {
	install -m 600 big "$D/f"
	uploaded 1 "$D/f" big
	is "$(stat -c %a "$D/f")" 600
}

@test "sort > f: 1" {
	seq 3000 | shuf >in
	sort in >want
	sort in >"$D/f"
	uploaded 1 "$D/f" want
}

@test "sort -o f, on itself: 1" {
	seq 3000 | shuf >in
	sort in >want
	cp in "$D/f"
	sort -o "$D/f" "$D/f"
	uploaded 2 "$D/f" want
}

@test "dd: 1" {
	dd if=big of="$D/f" bs=4096 status=none
	uploaded 1 "$D/f" big
}

@test "dd conv=fsync and oflag=append: 1 each" {
	dd if=big of="$D/f" bs=64k conv=fsync status=none
	uploaded 1 "$D/f" big
	dd if=big of="$D/f" bs=64k oflag=append conv=notrunc status=none
	cat big big >want
	uploaded 2 "$D/f" want
}

@test "dd conv=notrunc into the middle of an existing object: 1" {
	f=$(old_object)
	printf XYZ | dd of="$f" bs=1 seek=5 conv=notrunc status=none
	cp "$OLD" want
	printf XYZ | dd of=want bs=1 seek=5 conv=notrunc status=none
	uploaded 1 "$f" want
}

@test "tee: 1 for each file" {
	tee "$D/a" "$D/b" <big >/dev/null
	uploaded 1 "$D/a" big
	uploaded 1 "$D/b" big
}

@test "tee -a on an existing object: 1" {
	f=$(old_object)
	echo more | tee -a "$f" >/dev/null
	cat "$OLD" - <<<more >want
	uploaded 1 "$f" want
}

@test "touch new: 1, empty" {
	touch "$D/f"
	: >want
	uploaded 1 "$D/f" want
}

@test "a file that is created for reading alone: 1, empty" {
	flock "$D/f" true
	: >want
	uploaded 1 "$D/f" want
}

@test "touch of a file that is there: none more" {
	echo x >"$D/f"
	uploaded 1 "$D/f" <<<x
	touch -d @86400 "$D/f"
	is "$(stat -c %Y "$D/f")" 86400
	uploaded 1 "$D/f" <<<x
}

@test "truncate -s of an existing object: 1" {
	f=$(old_object)
	truncate -s 4 "$f"
	head -c 4 "$OLD" >want
	uploaded 1 "$f" want
}

@test "truncate -s of a new file: 1" {
	truncate -s 5000 "$D/f"
	head -c 5000 /dev/zero >want
	uploaded 1 "$D/f" want
}

@test "fallocate of a new file, then writing: 1 each" {
	fallocate -l 5000 "$D/f"
	head -c 5000 /dev/zero >want
	uploaded 1 "$D/f" want
	dd if=big of="$D/f" bs=1000 count=2 conv=notrunc status=none
	dd if=big of=want bs=1000 count=2 conv=notrunc status=none
	uploaded 2 "$D/f" want
}

@test "rsync -a: 1, under the final name" {
	mark=$(mark)
	rsync -a big "$D/"
	uploaded 1 "$D/big" big
	is "$(count_requests -s "$mark" PutObject)" 1
}

@test "rsync -a of a tree: 1 each, and nothing under other names" {
	mkdir -p tree/sub
	for i in 1 2 3; do head -c $((i * 9000)) big >tree/$i; done
	cp big tree/sub/
	mark=$(mark)
	rsync -a tree "$D/"
	for f in 1 2 3 sub/big; do uploaded 1 "$D/tree/$f" "tree/$f"; done
	is "$(requests_since "$mark" | grep -c '^PutObject .*[^/]$')" 4
	rsync -a tree "$D/"
	is "$(requests_since "$mark" | grep -c '^PutObject .*[^/]$')" 4
}

@test "rsync --inplace: 1, then 1 for what changed" {
	rsync --inplace big "$D/f"
	uploaded 1 "$D/f" big
	printf changed | dd of=big bs=1 seek=100000 conv=notrunc status=none
	rsync -c --inplace --no-whole-file big "$D/f"
	uploaded 2 "$D/f" big
}

@test "rsync over an existing file: 1 more" {
	echo old >"$D/big"
	rsync -a big "$D/"
	uploaded 2 "$D/big" big
}

@test "tar x: 1 each" {
	mkdir tree
	cp big tree/a
	echo b >tree/b
	tar cf tree.tar tree
	tar xf tree.tar -C "$D"
	uploaded 1 "$D/tree/a" big
	uploaded 1 "$D/tree/b" <<<b
}

@test "split: 1 each" {
	split -b 100000 big "$D/part-"
	for x in a b c; do
		head -c 100000 "$D/part-a$x" >part
		uploaded 1 "$D/part-a$x" part
	done
	cat "$D"/part-a? >all
	same all big
}

@test "gzip: 1" {
	cp big "$D/f"
	gzip -c "$D/f" >want.gz
	gzip -kn "$D/f"
	gzip -cn big >want.gz
	uploaded 1 "$D/f.gz" want.gz
}

@test "Python that writes, seeks back and rewrites: 1" {
	python3 - "$D/f" <<-'PY'
		import sys
		with open(sys.argv[1], "w+b") as f:
		    f.write(b"header?" + b"x" * 100000)
		    f.flush()
		    f.seek(0)
		    f.write(b"HEADER!")
	PY
	{
		printf HEADER!
		head -c 100000 /dev/zero | tr '\0' x
	} >want
	uploaded 1 "$D/f" want
}

@test "Python that reads back what it wrote before closing: 1" {
	python3 - "$D/f" <<-'PY'
		import sys
		with open(sys.argv[1], "w+b") as f:
		    f.write(b"abc" * 50000)
		    f.flush()
		    with open(sys.argv[1], "rb") as g:
		        assert g.read() == b"abc" * 50000
		    f.seek(3)
		    assert f.read(3) == b"abc"
		    f.truncate(6)
	PY
	printf abcabc >want
	uploaded 1 "$D/f" want
}

@test "Python that is ended with the file open: 1" {
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"x\n")
os._exit(3)' "$D/f" || true
	uploaded 1 "$D/f" <<<x
}

@test "a fifo's reader: 1" {
	mkfifo fifo
	cat fifo >"$D/f" &
	echo one >fifo
	wait $!
	uploaded 1 "$D/f" <<<one
}

# -- what only programs do -----------------------------------------------------------

@test "a descriptor and its duplicate: 1" {
	by_tool 1 dup $'one\ntwo'
}

@test "a descriptor that another process got through a socket: 1" {
	by_tool 1 pass-fd one
}

@test "fork: the child's close is the last: 1" {
	by_tool 1 fork-child-last one
}

@test "fork: the parent's close is the last: 1" {
	by_tool 1 fork-parent-last $'one\ntwo\nthree'
}

@test "fork: the parent closes, then the child writes more: 2" {
	by_tool 2 fork-child-on $'one\ntwo'
}

@test "a daemon whose parent opened the file: 1" {
	by_tool 1 daemonize one
}

@test "two independent writers, one after the other's close: 2" {
	by_tool 2 two-writers $'one\ntwo'
}

@test "the opener is killed, its child goes on and closes: 1" {
	by_tool 1 orphan $'one\ntwo'
}

@test "exec with O_CLOEXEC: 1, and /proc stays readable meanwhile" {
	fault PutObject "$(key_of "$D/f")" stall
	"$TOOLS/writer" exec "$D/f" &
	wait_is 1 fault_hits
	quick 10 ps -ef >/dev/null
	faults_clear
	wait $!
	uploaded 1 "$D/f" <<<one
}

@test "open in one thread, close in another: 1" {
	by_tool 1 threads $'one\ntwo'
}

@test "create, close, reopen, write: 1" {
	by_tool 1 reopen one
}

@test "write, seek back, rewrite: 1" {
	by_tool 1 seek-back $'one\ntwo'
}

@test "stores to a mapping after close: 1" {
	by_tool 1 map $'one\ntwo'
}

@test "exit without close: 1" {
	by_tool 1 exit one
}

@test "exit without close, with threads: 1" {
	by_tool 1 exit-threads one
}

@test "exit by another thread, without close: 1" {
	by_tool 1 exit-by-thread one
}

@test "exit with status 3, threaded: 1" {
	"$TOOLS/writer" exit-threads "$D/f" 3 || is $? 3
	uploaded 1 "$D/f" <<<one
}

@test "a thousand small files at once: 1 each" {
	mark=$(mark)
	mkdir "$D/many"
	seq 1000 | (cd "$D/many" && xargs -n 50 -P 4 sh -c '
		for i; do echo "$i" >"$i"; done' sh)
	is "$(ls "$D/many" | wc -l)" 1000
	is "$(requests_since "$mark" | grep -c '^PutObject .*[0-9]$')" 1000
	cat "$D"/many/* | sort -n >got
	seq 1000 >want
	same got want
}
