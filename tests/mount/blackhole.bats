#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# An endpoint that swallows everything and never answers: no operation blocks
# for ever (retry_deadline is 1 s here, drain_timeout too).

load lib/common

LIMIT=30 # seconds; ample for a loaded machine

before_mount() {
	printf 'content\n' >"$W/content"
	oss_put old/file "$W/content"
	oss_put old/other "$W/content"
	conf_add upload 'retry_deadline = 1s' 'drain_timeout = 1s'
	conf_add oss 'connect_timeout = 1s'
	conf_add cache 'metadata_ttl = 5m'
	# An answer that holds a callback's is given ten seconds more.
	conf_add callback 'enabled = false'
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
	timeout -k 1 $LIMIT "$@" || rc=$?
	case $rc in
	124 | 137) fail "still there after $LIMIT s: $*" ;;
	0) fail "this should have failed: $*" ;;
	esac
}

# all_end COMMAND...: each of them, at a time
all_end() {
	local command jobs=() job
	for command in "$@"; do
		# shellcheck disable=SC2086
		ends $command &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job"; done
}

@test "looking: ls and stat of what was not seen, reading" {
	oss_put "unseen$BATS_TEST_NUMBER/file" "$W/content"
	swallow
	all_end "ls $MNT/unseen$BATS_TEST_NUMBER" "stat $MNT/nobody" \
		"cat $MNT/old/file"
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
	all_end "mv $MNT/old/file $D/moved" "rm $MNT/old/other" \
		"mkdir $D/sub" "rmdir $D"
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
