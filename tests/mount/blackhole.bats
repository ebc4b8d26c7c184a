#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# An endpoint that swallows everything and never answers: no operation blocks
# for ever (retry_deadline is 2 s here, drain_timeout too).

load lib/common

LIMIT=30 # seconds; ample for a loaded machine

before_mount() {
	printf 'content\n' >"$W/content"
	oss_put old/file "$W/content"
	oss_put old/other "$W/content"
	conf_add upload 'retry_deadline = 2s' 'drain_timeout = 2s'
	conf_add oss 'connect_timeout = 2s'
	log_allow 'failed|Timeout|ETIMEDOUT|wait|drain|left|answer'
}

setup() {
	test_setup
	# Folders that were seen need no request.
	ls "$D" "$MNT/old" >/dev/null
}

swallow() { fault '*' '*' stall; }

# ends COMMAND...: with an error, in time, whatever it is
ends() {
	local rc=0
	timeout -k 1 $LIMIT "$@" >out 2>&1 || rc=$?
	cat out
	case $rc in
	124 | 137) fail "still there after $LIMIT s: $*" ;;
	0) fail "this should have failed: $*" ;;
	esac
}

@test "looking: ls and stat of what was not seen, reading" {
	oss_put "unseen$BATS_TEST_NUMBER/file" "$W/content"
	swallow
	ends ls "$MNT/unseen$BATS_TEST_NUMBER"
	ends stat "$MNT/nobody"
	ends cat "$MNT/old/file"
}

@test "cp: an error, and the bytes arrive when somebody answers" {
	swallow
	ends cp "$W/content" "$D/f"
	is "$(attr upload.state "$D/f")" retrying
	faults_clear
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	same got "$W/content"
}

@test "changing: mv, rm, mkdir, rmdir" {
	swallow
	ends mv "$MNT/old/file" "$D/moved"
	ends rm "$MNT/old/other"
	ends mkdir "$D/sub"
	ends rmdir "$D"
	faults_clear
	same "$MNT/old/file" "$W/content"
}

@test "a cp that waits can be killed, and its upload goes on" {
	local writer
	fault PutObject "$(key_of "$D/f")" stall
	cp "$W/content" "$D/f" &
	writer=$!
	wait_is uploading attr upload.state "$D/f"
	kill -KILL $writer
	quick $LIMIT tail --pid=$writer -f /dev/null
	faults_clear
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	same got "$W/content"
}

@test "umount: the daemon leaves, says what is left, and goes on at the next mount" {
	swallow
	cp "$W/content" "$D/f" 2>/dev/null || true
	SECONDS=0
	quick $LIMIT fusermount3 -u "$MNT"
	wait_for test -e "$W/ackfs.status"
	[ $SECONDS -lt $LIMIT ]
	log_has 'left'
	faults_clear
	mount_start
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	same got "$W/content"
}
