#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The callbacks' log file, and what grows too old or too large.

load lib/common

before_mount() {
	conf_add log "callbacks = $W/mine.jsonl"
	conf_add upload 'incomplete_max_bytes = 10K'
}

setup() { test_setup; }

lines() { jq -r --arg key "$1" 'select(.key == $key) | .state' "$W/mine.jsonl"; }

kept() { "$ACKFS_BIN/ackctl" incomplete list --json "$MNT" | jq -s 'flatten | length'; }

@test "each attempt is a JSON line of the log file" {
	echo x >"$D/f"
	is "$(attr callback.state "$D/f")" ok
	wait_is ok lines "$(key_of "$D/f")"
	is "$(jq -r --arg key "$(key_of "$D/f")" 'select(.key == $key) | .response' "$W/mine.jsonl")" \
		"$(attr callback.response "$D/f")"
}

@test "after a rotation SIGHUP opens it anew" {
	mv "$W/mine.jsonl" "$W/old.jsonl"
	send HUP ackfs
	wait_for test -e "$W/mine.jsonl"
	echo x >"$D/f"
	is "$(attr callback.state "$D/f")" ok
	wait_is ok lines "$(key_of "$D/f")"
}

log_has() { grep -q "$1" "$W/ackfs.log"; }

@test "SIGUSR2: each request is a line of the log, and again: as it was configured" {
	echo x >"$D/before"
	fails log_has 'http: PUT'
	send USR2 ackfs
	wait_for log_has 'debug messages begin'
	echo x >"$D/during"
	grep -E "http: PUT .*$(key_of "$D/during").* status=200 sent=2 " "$W/ackfs.log"
	send USR2 ackfs
	wait_for log_has 'debug messages end'
	echo x >"$D/after"
	fails grep -E "http: .*$(key_of "$D/after")" "$W/ackfs.log"
	grep -E "info: upload: stored: key=\"$(key_of "$D/after")\"" "$W/ackfs.log"
	fails grep -F "$SECRET_KEY" "$W/ackfs.log"
	fails grep -iE 'Signature|Authorization' "$W/ackfs.log"
}

@test "incomplete files beyond the limit are dropped at the next mount" {
	local i
	for i in 1 2 3; do
		dd if=/dev/zero of="$D/f$i" bs=60000 2>/dev/null &
		wait_for test -s "$D/f$i"
		kill -KILL $!
		wait $! || true
	done
	wait_is 3 kept
	mount_stop
	mount_start
	wait_is 0 kept
	grep -q 'house: an incomplete file is dropped' "$W/ackfs.log"
}
