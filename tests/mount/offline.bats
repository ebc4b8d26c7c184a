#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The endpoint is down for a while: nobody listens at its port.  Minutes are
# seconds here (retry_deadline is 1 s), what happens is the same.
# shellcheck disable=SC2010,SC2012 # ls is what is tested

load lib/common

LIMIT=30 # seconds for what must come within retry_deadline; ample

before_mount() {
	printf 'content\n' >"$W/content"
	oss_put old/file "$W/content"
	oss_put unseen/file "$W/content"
	conf_add upload 'retry_deadline = 1s' 'drain_timeout = 2s'
	conf_add oss 'connect_timeout = 1s'
	conf_add cache 'metadata_ttl = 5m'
	log_allow 'failed|ConnectFailed|not answer|drain|left|OSS is away|cannot be reached'
}

# What was seen needs no request.
goes_down() {
	ls "$MNT" "$MNT/old" "$D" >/dev/null
	stop emulator
}
comes_back() { EMU_PORT=${EMU##*:} emulator_start; }

teardown() {
	is_up emulator || comes_back
	test_teardown
}

# write_files COUNT TEXT: COUNT files of the folder at a time, each within the
# deadline.  Prints how many closes succeeded.
write_files() {
	python3 - "$D" "$1" "$2" "$LIMIT" <<-'PY'
		import concurrent.futures, os, sys, time

		folder, count, text, limit = sys.argv[1:]

		def write(i):
		    began, closed = time.monotonic(), True
		    fd = os.open('%s/f%d' % (folder, i), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
		    os.write(fd, ('%s %d\n' % (text, i)).encode())
		    try:
		        os.close(fd)
		    except OSError:
		        closed = False
		    assert time.monotonic() - began < int(limit), 'too late'
		    return closed

		with concurrent.futures.ThreadPoolExecutor(8) as pool:
		    print(sum(pool.map(write, range(int(count)))))
	PY
}

# arrived NAME TEXT: on OSS, with a callback for those bytes
arrived() {
	settled "$D/$1"
	oss_get "$(key_of "$D/$1")" got
	is "$(cat got)" "$2"
	wait_is "$((${#2} + 1))" last_size "$D/$1"
	is "$(cat "$D/$1")" "$2"
}

last_size() { callbacks_of "$1" .fields.size | tail -n 1; }

@test "close_returns = stored: errors on time; all arrive when it is back, without a remount" {
	goes_down
	is "$(write_files 12 first)" 0
	# This client gave up and wrote it again.
	is "$(write_files 3 second)" 0
	is "$(attr upload.state "$D/f7")" retrying
	is "$(cat "$D/f1" "$D/f7")" $'second 1\nfirst 7'
	is "$(ls "$D" | wc -l)" 12
	comes_back
	for i in 0 1 2; do
		arrived "f$i" "second $i"
		is "$(count_uploads "$D/f$i")" 1
	done
	for i in $(seq 3 11); do arrived "f$i" "first $i"; done
	fails log_has "waits for a remount"
}

@test "close_returns = staged: nobody notices; the newer content wins" {
	remount -o upload.close_returns=staged
	goes_down
	is "$(write_files 12 first)" 12
	is "$(write_files 3 second)" 3
	for i in 3 4; do wait_is retrying attr upload.state "$D/f$i"; done
	mv "$D/f3" "$D/moved"
	rm "$D/f4"
	is "$(cat "$D/f1" "$D/moved" "$D/f7")" $'second 1\nfirst 3\nfirst 7'
	comes_back
	for i in 0 1 2; do arrived "f$i" "second $i"; done
	for i in $(seq 5 11); do arrived "f$i" "first $i"; done
	arrived moved "first 3"
	fails oss_has "$(key_of "$D/f3")"
	fails oss_has "$(key_of "$D/f4")"
	remount
}

@test "a write that fails while it is down, and one that waits until it is back" {
	remount -o upload.retry_deadline=1m
	goes_down
	write_files 1 patient >closed &
	writer=$!
	wait_is uploading attr upload.state "$D/f0"
	comes_back
	wait "$writer"
	is "$(cat closed)" 1
	arrived f0 "patient 0"
	is "$(count_callbacks "$D/f0")" 1
	remount
}

@test "looking and changing: errors on time, and all is as before when it is back" {
	goes_down
	for args in "ls $MNT/unseen" "stat $MNT/unseen/nobody" "mv $MNT/old/file $D/x" \
		"rm $MNT/old/file" "mkdir $D/d"; do
		# shellcheck disable=SC2086
		fails quick $LIMIT $args 2>err
		fails grep -q 'No such file' err
	done
	comes_back
	same "$MNT/old/file" "$W/content"
	is "$(ls "$D")" ""
	mkdir "$D/d"
	mv "$MNT/old/file" "$D/d/file"
	mv "$D/d/file" "$MNT/old/file"
}

@test "unmount while it is down: what is left goes on at the next mount" {
	remount -o upload.close_returns=staged
	goes_down
	is "$(write_files 3 text)" 3
	fusermount3 -u "$MNT"
	wait_for test -e "$W/ackfs.status"
	fails is "$(<"$W/ackfs.status")" 0
	tail -n 1 "$W/ackfs.log" | grep -qw 3
	fails mount_start # require_oss: it says so
	comes_back
	mount_start
	for i in 0 1 2; do arrived "f$i" "text $i"; done
}

# -- start = offline_ok --------------------------------------------------------

offline_start() { # MODE
	mount_stop
	stop emulator
	mount_start -o mount.start=offline_ok -o "upload.close_returns=$1"
}

names() { ls "$1"; }
joined() { paste -sd " " <(ls "$1"); }

drop_box() { # MODE CLOSED
	offline_start "$1"
	log_has 'cannot be reached'
	mkdir -p "$D" 2>/dev/null || D=$MNT # a folder is a request
	is "$(write_files 4 text)" "$2"
	is "$(ls "$D" | grep -c '^f[0-3]$')" 4
	is "$(cat "$D/f2")" "text 2"
	fails quick $LIMIT cat "$MNT/nobody" 2>err
	grep -q 'No such file' err
	for i in 0 1 2 3; do wait_is retrying attr upload.state "$D/f$i"; done
	mv "$D/f2" "$D/renamed"
	rm "$D/f3"
	echo "written again" >"$D/f1" || [ "$2" = 0 ]
	comes_back
	arrived f0 "text 0"
	arrived f1 "written again"
	arrived renamed "text 2"
	wait_for log_has 'OSS is back'
	# What OSS has shows, without a remount.
	wait_is "content" cat "$MNT/old/file"
	wait_is file names "$MNT/old"
	[ ! -e "$D/f2" ]
	[ ! -e "$D/f3" ]
	fails oss_has "$(key_of "$D/f3")"
	rm "$D/f0" "$D/f1" "$D/renamed"
	remount
}

@test "offline_ok, close_returns = stored: a drop box without OSS" { drop_box stored 0; }

@test "offline_ok, close_returns = staged: a drop box without OSS" { drop_box staged 4; }

@test "offline_ok: what this mount has seen is listed while OSS is away" {
	remount -o mount.start=offline_ok -o cache.metadata_ttl=1s
	ls "$MNT" >/dev/null
	is "$(ls "$MNT/old")" file
	goes_down
	is "$(quick $LIMIT ls "$MNT/old")" file
	is "$(quick $LIMIT stat -c %s "$MNT/old/file")" 8
	fails quick $LIMIT cat "$MNT/old/file" 2>err
	fails grep -q 'No such file' err
	comes_back
	same "$MNT/old/file" "$W/content"
	oss_put "old/newcomer$BATS_TEST_NUMBER" "$W/content"
	wait_is "file newcomer$BATS_TEST_NUMBER" joined "$MNT/old"
	oss_delete "old/newcomer$BATS_TEST_NUMBER"
	remount
}
