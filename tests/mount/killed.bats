#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Writers that never finished: no upload, no callback; the name shows what OSS
# has, the bytes are in the state directory.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

before_mount() { seed old/ 10 100; }

setup() {
	test_setup
	random_file big 1000000
}

# kept PATH FILE: a staged file with those first bytes is held as incomplete.
kept() {
	local size
	size=$(stat -c %s "$2")
	wait_is 1 count_kept "$1"
	find "$W/state" -path '*staging*' -type f -size "+$((size - 1))c" |
		while read -r f; do
			! cmp -s -n "$size" "$f" "$2" || echo "$f"
		done | grep -q . || fail "no staged file begins with $2"
}

count_kept() {
	sqlite3 -readonly "$(echo "$W"/state/*/journal.db)" \
		"SELECT count(*) FROM staged WHERE state='incomplete' AND key='$(key_of "$1")'"
}

is_gone() { [ ! -e "$1" ]; }

# unfinished PATH FILE: for a name that OSS does not have.
unfinished() {
	kept "$1" "$2"
	wait_for is_gone "$1"
	is "$(ls "${1%/*}" | grep -cxF "${1##*/}" || true)" 0 "entries"
	not_uploaded "$1"
}

# The process ids of all children, and theirs.
offspring() {
	local child
	for child in $(pgrep -P "$1"); do
		echo "$child"
		offspring "$child"
	done
}

# The reader of FIFO sees its end only when we close it.
feed() { # FIFO FILE
	exec 9<>"$1"
	cat "$2" >&9
}

size_is() { is "$(stat -c %s "$1" 2>&1)" "$2" 2>/dev/null; }

@test "Ctrl-C on cp" {
	mkfifo fifo
	env --default-signal=INT cp fifo "$D/f" &
	feed fifo big
	wait_for size_is "$D/f" 1000000
	kill -INT $!
	wait $! || is $? 130
	unfinished "$D/f" big
}

@test "timeout -s KILL dd" {
	mkfifo fifo
	exec 9<>fifo
	cat big >&9 &
	timeout -s KILL 2 dd if=fifo of="$D/f" bs=64k status=none 9>&- || is $? 137
	exec 9>&-
	unfinished "$D/f" big
}

@test "kill -9 of a program that holds the file" {
	mkfifo in
	"$TOOLS/writer" hold "$D/f" 100000 <in >out &
	exec 9>in
	wait_for test -s out
	kill -9 $!
	wait $! || is $? 137
	head -c 100000 /dev/zero | tr '\0' x >want
	unfinished "$D/f" want
}

@test "kill -TERM of Python" {
	python3 -c 'import sys, time
f = open(sys.argv[1], "w")
f.write("half")
f.flush()
print("ready", flush=True)
time.sleep(1000)' "$D/f" >out &
	wait_for test -s out
	kill -TERM $!
	wait $! || is $? 143
	printf half >want
	unfinished "$D/f" want
}

@test "a segfault" {
	"$TOOLS/writer" segfault "$D/f" || is $? 139
	echo one >want
	unfinished "$D/f" want
}

@test "a segfault in a program with threads" {
	"$TOOLS/writer" segfault-threads "$D/f" || is $? 139
	echo one >want
	unfinished "$D/f" want
}

@test "abort()" {
	"$TOOLS/writer" abort "$D/f" || is $? 134
	echo one >want
	unfinished "$D/f" want
}

@test "overwriting an object that is there: the name shows the object" {
	f=$MNT/old/00000000
	oss_get old/00000000 old
	mkfifo in
	"$TOOLS/writer" hold "$f" 5000 <in >out &
	exec 9>in
	wait_for test -s out
	is "$(stat -c %s "$f")" 5000
	kill -9 $!
	wait $! || true
	head -c 5000 /dev/zero | tr '\0' x >want
	kept "$f" want
	wait_for size_is "$f" 100
	same "$f" old
	not_uploaded "$f"
}

@test "a later writer of the same name is not held up" {
	"$TOOLS/writer" segfault "$D/f" || true
	echo two >"$D/f"
	uploaded 1 "$D/f" <<<two
	echo one >want
	kept "$D/f" want
}

@test "a reader that is killed changes nothing" {
	cp big "$D/f"
	uploaded 1 "$D/f" big
	mkfifo fifo
	cat "$D/f" >fifo &
	exec 8<fifo
	head -c 100 <&8 >/dev/null
	kill -9 $!
	wait $! || true
	exec 8<&-
	uploaded 1 "$D/f" big
}

@test "killed after close: the file is finished" {
	mkfifo in
	sh -c 'echo one >"$1"; read x' sh "$D/f" <in &
	exec 9>in
	wait_is 1 count_uploads "$D/f"
	kill -9 $!
	wait $! || true
	uploaded 1 "$D/f" <<<one
}

@test "both of two processes with the file are killed" {
	python3 -c 'import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
if os.fork():
    os.write(fd, b"one\n")
time.sleep(1000)' "$D/f" &
	wait_for size_is "$D/f" 4
	parent=$!
	mapfile -t all < <(offspring $parent)
	kill -STOP "${all[@]}" # none sees another's end
	kill -9 $parent "${all[@]}"
	wait $parent || true
	echo one >want
	unfinished "$D/f" want
}

# The shell closes a duplicate after each echo: what it wrote is as finished as
# anybody can know.
@test "a killed shell that has written whole lines: 1 upload" {
	mkfifo in
	sh -c 'exec 3>"$1"; echo one >&3; read x' sh "$D/f" <in &
	exec 9>in
	wait_for size_is "$D/f" 4
	kill -9 $!
	wait $! || true
	uploaded 1 "$D/f" <<<one
}

@test "a pipe whose reader is killed" {
	mkfifo fifo
	cat fifo >"$D/f" &
	feed fifo big
	wait_for size_is "$D/f" 1000000
	kill -9 $!
	wait $! || is $? 137
	exec 9>&-
	unfinished "$D/f" big
}

# -- transfer servers ----------------------------------------------------------------

SFTP_SERVER=/usr/lib/openssh/sftp-server

# The server runs as sshd's child would, its client can be cut off.
sftp_put() { # LOCAL REMOTE LIMIT(Kbit/s)
	[ -x $SFTP_SERVER ] || skip "no $SFTP_SERVER"
	echo "put $1 $2" >put.batch
	exec sftp -q -b put.batch -l "$3" -D $SFTP_SERVER
}

@test "sftp put: 1 upload" {
	(sftp_put big "$D/f" 1000000)
	uploaded 1 "$D/f" big
}

@test "sftp-server whose connection is cut in the middle of a put" {
	(sftp_put big "$D/f" 800) &
	wait_for test -s "$D/f"
	kill -9 $!
	wait $! || true
	wait_for is_gone "$D/f"
	not_uploaded "$D/f"
	wait_is 1 count_kept "$D/f"
}

@test "sftp-server is stopped by a signal" {
	(sftp_put big "$D/f" 800) &
	wait_for test -s "$D/f"
	kill -TERM "$(pgrep -P $! -f sftp-server)"
	wait $! || true
	wait_for is_gone "$D/f"
	not_uploaded "$D/f"
}

# slow_rsync OPTION...: in the background, until some of it has arrived.
slow_rsync() {
	rsync --bwlimit=200 "$@" big "$D/" &
	wait_for some_bytes
}

some_bytes() { find "$D" -type f -size +0 | grep -q .; }

no_big_upload() {
	! requests_since "$1" | grep -E '^(PutObject|CompleteMultipartUpload) .*big'
}

@test "rsync whose sender is killed" {
	mark=$(mark)
	slow_rsync -a
	kill -9 $!
	wait $! || true
	wait_is 0 count_entries
	no_big_upload "$mark"
	is "$(count_callbacks "$D/big")" 0
}

count_entries() { ls -A "$D" | wc -l; }

# One whose sender goes away closes the file itself: nobody can tell that.
@test "rsync --inplace that is killed, sender and receiver" {
	mark=$(mark)
	slow_rsync -a --inplace
	parent=$!
	mapfile -t all < <(offspring $parent)
	kill -STOP "${all[@]}" # none sees another's end
	kill -9 $parent "${all[@]}"
	wait $parent || true
	wait_is 0 count_entries
	no_big_upload "$mark"
}

# -- and what becomes of them -----------------------------------------------------------

@test "they are still there after a remount, and still not uploaded" {
	"$TOOLS/writer" segfault "$D/f" || true
	wait_is 1 count_kept "$D/f"
	remount
	is "$(ls "$D")" ""
	is "$(count_kept "$D/f")" 1
	not_uploaded "$D/f"
}
