#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The [upload] and [state] keys that change what an upload is.
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

before_mount() { seed old/ 10 100; }

setup() {
	test_setup
	random_file big 300000
}

is_gone() { [ ! -e "$1" ]; }

# close_errno PATH PYTHON...: opens PATH for writing as fd, runs the statements,
# and prints what close() said
close_errno() {
	local path=$1 IFS=$'\n'
	shift
	python3 -c 'import errno, os, sys
path = sys.argv[1]
'"$*"'
try:
    os.close(fd)
    print(0)
except OSError as e:
    print(errno.errorcode[e.errno])' "$path"
}

# Holds PATH open for writing until the fifo "go" is written to; the errno of its
# close is in "said".
hold_open() { # PATH FLAGS
	mkfifo go
	python3 -c 'import errno, os, sys
fd = os.open(sys.argv[1], eval(sys.argv[2]), 0o644)
os.write(fd, b"mine\n")
print("ready", flush=True)
open("go").read()
try:
    os.close(fd)
    print(0, file=open("said", "w"))
except OSError as e:
    print(errno.errorcode[e.errno], file=open("said", "w"))' "$1" "$2" >ready &
	holder=$!
	wait_for test -s ready
}

let_go() {
	echo >go
	wait $holder
}

# -- fsync -------------------------------------------------------------------------

@test "fsync = local: no upload before the close, then one" {
	python3 - "$D/f" "$W/requests.jsonl" <<-'PY'
		import os, sys
		fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
		for i in range(3):
		    os.write(fd, b"line\n")
		    os.fsync(fd)
		    os.fdatasync(fd)
		assert '"key":"' + sys.argv[1][-4:] + '"' not in open(sys.argv[2]).read()
		os.close(fd)
	PY
	uploaded 1 "$D/f" <<<$'line\nline\nline'
}

@test "fsync = upload: each fsync with changes is an upload, the close is none more" {
	remount -o upload.fsync=upload
	python3 - "$D/f" <<-'PY'
		import os, sys
		fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
		os.write(fd, b"one\n")
		os.fsync(fd)
		os.fsync(fd)
		os.write(fd, b"two\n")
		os.fsync(fd)
		os.close(fd)
	PY
	uploaded 2 "$D/f" <<<$'one\ntwo'
	remount
}

# -- incomplete files ------------------------------------------------------------------

@test "incomplete_files = upload: what a killed writer left is uploaded" {
	remount -o upload.incomplete_files=upload
	"$TOOLS/writer" segfault "$D/f" || is $? 139
	uploaded 1 "$D/f" <<<one
	remount
}

@test "incomplete_files = discard: nothing stays" {
	remount -o upload.incomplete_files=discard
	"$TOOLS/writer" segfault "$D/f" || is $? 139
	wait_for is_gone "$D/f"
	not_uploaded "$D/f"
	is "$(find "$W"/state/*/staging -type f | wc -l)" 0
	remount
}

@test "exit_is_abort: programs of one's own" {
	remount -o 'upload.exit_is_abort=writer other*'
	"$TOOLS/writer" exit "$D/f"
	wait_for is_gone "$D/f"
	not_uploaded "$D/f"
	"$TOOLS/writer" seek-back "$D/g"
	uploaded 1 "$D/g" <<<$'one\ntwo'
	remount
}

@test "exit_is_abort = none: a server that hangs up publishes" {
	[ -x /usr/lib/openssh/sftp-server ] || skip "no sftp-server"
	remount -o upload.exit_is_abort=none
	echo "put big $D/f" >put.batch
	sftp -q -b put.batch -l 800 -D /usr/lib/openssh/sftp-server &
	wait_for test -s "$D/f"
	kill -9 $!
	wait $! || true
	wait_is 1 count_uploads "$D/f"
	remount
}

# -- conflicts ---------------------------------------------------------------------------

@test "on_conflict = overwrite: the later close wins" {
	echo theirs >theirs
	echo old >"$D/f"
	hold_open "$D/f" os.O_WRONLY
	oss_put "$(key_of "$D/f")" theirs
	let_go
	is "$(cat said)" 0
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	is "$(head -c 5 got)" mine
}

@test "on_conflict = fail: ESTALE, OSS keeps theirs, the bytes are kept here" {
	remount -o upload.on_conflict=fail
	log_allow 't[0-9]+/f'
	echo theirs >theirs
	echo old >"$D/f"
	hold_open "$D/f" 'os.O_WRONLY | os.O_TRUNC'
	oss_put "$(key_of "$D/f")" theirs
	let_go
	is "$(cat said)" ESTALE
	oss_get "$(key_of "$D/f")" got
	same got theirs
	is "$(attr upload.state "$D/f")" retrying
	attr upload.error "$D/f" | grep -q .
	is "$(cat "$D/f")" mine
	"$BIN/ackctl" drop --yes "$D/f"
	wait_is theirs cat "$D/f"
	remount
}

@test "on_conflict = fail: without a conflict everything is as always" {
	remount -o upload.on_conflict=fail
	echo one >"$D/f"
	echo two >"$D/f"
	echo three >>"$D/f"
	uploaded 3 "$D/f" <<<$'two\nthree'
	remount
}

@test "on_conflict = fail: one's own uploads under way are no conflict" {
	remount -o upload.on_conflict=fail -o upload.close_returns=staged
	echo 0 >"$D/f"
	settled "$D/f"
	fault PutObject "$(key_of "$D/f")" stall
	for i in 1 2 3 4; do echo "$i" >"$D/f"; done
	echo 5 >>"$D/f"
	wait_is 1 fault_hits
	faults_clear
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	is "$(cat got)" $'4\n5'
	remount
}

@test "O_EXCL: a file that somebody else made meanwhile is not overwritten" {
	log_allow 't[0-9]+/f'
	echo theirs >theirs
	hold_open "$D/f" 'os.O_WRONLY | os.O_CREAT | os.O_EXCL'
	oss_put "$(key_of "$D/f")" theirs
	let_go
	is "$(cat said)" EEXIST
	oss_get "$(key_of "$D/f")" got
	same got theirs
	"$BIN/ackctl" drop --yes "$D/f"
}

# -- room ----------------------------------------------------------------------------------

@test "staging_max_bytes: ENOSPC from write, nothing broken, and room again" {
	remount -o state.staging_max_bytes=1M
	log_allow 'staging|full|room|ENOSPC'
	fails dd if=/dev/zero of="$D/f" bs=64k count=64 status=none 2>err
	grep -q 'No space left' err
	log_has "$W/state"
	rm -f "$D/f"
	cp big "$D/g"
	uploaded 1 "$D/g" big
	for i in $(seq 8); do cp big "$D/h$i"; done
	uploaded 1 "$D/h8" big
	remount
}

@test "staging_max_bytes: a full disk keeps what was there before" {
	cp big "$D/f"
	remount -o state.staging_max_bytes=1M
	log_allow 'staging|full|room|ENOSPC'
	python3 - "$D/f" <<-'PY'
		import errno, os, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		os.pwrite(fd, b"changed", 0)
		try:
		    for i in range(100):
		        os.pwrite(fd, b"x" * 65536, 1000000 + i * 65536)
		    sys.exit("no ENOSPC")
		except OSError as e:
		    assert e.errno == errno.ENOSPC, e
		os.ftruncate(fd, 300000)
		assert os.pread(fd, 7, 0) == b"changed"
		os.close(fd)
	PY
	printf changed | dd of=big conv=notrunc status=none
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	same got big
	remount
}
