#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Coming and going: what is waited for at the end, how long, and what is said.
# bats file_tags=asan

load lib/common

before_mount() {
	conf_add upload 'close_returns = staged' 'drain_timeout = 1m' 'retry_deadline = 1m'
	log_allow 'unmounted: |left'
}

# Three files whose uploads stand still.
three_wait() {
	fault PutObject "$(key_of "$D")/*" stall
	for i in 1 2 3; do echo "$i" >"$D/$i"; done
	wait_is 3 fault_hits
}

all_three() {
	for i in 1 2 3; do
		settled "$D/$i"
		oss_get "$(key_of "$D/$i")" got
		is "$(cat got)" "$i"
	done
}

status() { cat "$W/ackfs.status"; }
progress_lines() { log_new | grep -c 'drain: waiting: files='; }
says_progress() { [ "$(progress_lines)" -ge "$1" ]; }

# ends_well HOW...: it says what it waits for, once a second, and ends when all
# is there.
ends_well() {
	three_wait
	"$@"
	wait_for says_progress 2
	is_up ackfs
	# Not in a flood: three lines take two seconds.
	SECONDS=0
	wait_for says_progress 4
	[ $SECONDS -ge 1 ]
	faults_clear
	wait_for test -e "$W/ackfs.status"
	is "$(status)" 0
	is "$(tail -n 1 "$W/ackfs.log" | grep -c 'files_left=0')" 1
	fails is_mounted
	mount_start
	all_three
}

@test "SIGTERM: progress each second, then status 0" { ends_well send TERM ackfs; }

@test "SIGINT likewise" { ends_well send INT ackfs; }

@test "fusermount3 -u likewise" { ends_well fusermount3 -u "$MNT"; }

# too_late HOW...: drain_timeout is over; the status and the last line say so.
too_late() {
	remount -o upload.drain_timeout=1s
	three_wait
	"$@"
	wait_for test -e "$W/ackfs.status"
	fails is "$(status)" 0
	is "$(tail -n 1 "$W/ackfs.log" | grep -c 'files_left=3')" 1
	for i in 1 2 3; do log_has "left: key=\"$(key_of "$D/$i")\""; done
	! is_mounted || fusermount3 -u -z "$MNT"
	faults_clear
	mount_start
	all_three
}

@test "SIGTERM: drain_timeout is kept" { too_late send TERM ackfs; }

@test "fusermount3 -u: drain_timeout is kept" { too_late fusermount3 -u "$MNT"; }

@test "close_returns = stored: a close() that waits when the time is over is no success" {
	remount -o upload.drain_timeout=1s -o upload.close_returns=stored
	fault PutObject "$(key_of "$D")/*" stall
	cp "$W/ackfs.conf" "$D/f" 2>err &
	writer=$!
	wait_is 1 fault_hits
	send TERM ackfs
	fails wait $writer
	wait_for test -e "$W/ackfs.status"
	fails is "$(status)" 0
	is "$(tail -n 1 "$W/ackfs.log" | grep -c 'files_left=1')" 1
	! is_mounted || fusermount3 -u -z "$MNT"
	faults_clear
	mount_start
	settled "$D/f"
	same "$D/f" "$W/ackfs.conf"
}

@test "a second signal leaves at once, whichever the two are" {
	local first second
	for signals in "TERM TERM" "TERM INT" "INT TERM"; do
		read -r first second <<<"$signals"
		three_wait
		send "$first" ackfs
		wait_for says_progress 1
		SECONDS=0
		send "$second" ackfs
		wait_for test -e "$W/ackfs.status"
		[ $SECONDS -lt 30 ] # drain_timeout is 60
		fails is "$(status)" 0
		is "$(tail -n 1 "$W/ackfs.log" | grep -c 'files_left=3')" 1
		! is_mounted || fusermount3 -u -z "$MNT"
		faults_clear
		mount_start
		all_three
		rm "$D"/*
	done
}

@test "while it drains: no new files, what is open is let finish" {
	three_wait
	exec 6>"$D/open"
	echo begun >&6
	send TERM ackfs
	wait_for says_progress 1
	fails touch "$D/new" 2>err
	echo ended >&6
	exec 6>&-
	faults_clear
	wait_for test -e "$W/ackfs.status"
	is "$(status)" 0
	mount_start
	all_three
	is "$(cat "$D/open")" $'begun\nended'
}

@test "ackctl wait: until all is stored, or says in time what is left" {
	local rc=0
	three_wait
	"$BIN/ackctl" wait --timeout 1s "$MNT" >said 2>&1 || rc=$?
	is $rc 1
	grep -qw 3 said
	"$BIN/ackctl" wait "$MNT" &
	waiter=$!
	kill -0 $waiter
	faults_clear
	wait $waiter
	for i in 1 2 3; do
		is "$(attr upload.state "$D/$i")" 'done'
		oss_get "$(key_of "$D/$i")" got
	done
}
