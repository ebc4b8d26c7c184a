#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed with SIGKILL: what was closed arrives after the next
# mount, what was not is kept and not published.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

before_mount() {
	conf_add upload 'close_returns = staged' 'retry_deadline = 3s'
	# What a crash leaves of files that were open is announced.
	log_allow 'recovery: incomplete'
}

setup() {
	test_setup
	random_file big 300000
}

# Nothing gets through until the daemon is dead.
blocked() { fault PutObject "$(key_of "$D")/*" stall; }

crash_and_mount() {
	mount_crash
	faults_clear
	mount_start
}

@test "uploads that wait: all arrive, each with its callback" {
	blocked
	for i in $(seq 30); do head -c "$((i * 1000))" big >"$D/$i"; done
	crash_and_mount
	for i in $(seq 30); do
		head -c "$((i * 1000))" big >want
		uploaded_after_crash "$D/$i" want
	done
}

# At least one callback, all with one delivery id; the content is right.
uploaded_after_crash() {
	settled "$1"
	wait_for has_callback "$1"
	is "$(callbacks_of "$1" .id | sort -u | wc -l)" 1
	oss_get "$(key_of "$1")" got
	same got "$2"
	same "$1" "$2"
}

has_callback() { [ "$(count_callbacks "$1")" -ge 1 ]; }

@test "they can be read, listed and stated at once after the mount" {
	blocked
	cp big "$D/f"
	chmod 640 "$D/f"
	mount_crash
	mount_start
	is "$(ls "$D")" f
	is "$(stat -c '%s %a' "$D/f")" "300000 640"
	same "$D/f" big
	faults_clear
	uploaded_after_crash "$D/f" big
	# The chmod came after the upload had begun: a copy of its own follows.
	wait_is 33184 oss_header "$(key_of "$D/f")" x-oss-meta-mode
}

@test "a file that was open: incomplete, not uploaded" {
	python3 -c 'import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"half")
os.fsync(fd)
print("ready", flush=True)
time.sleep(1000)' "$D/f" >out &
	wait_for test -s out
	mount_crash
	kill -9 $!
	mount_start
	is "$(ls "$D")" ""
	not_uploaded "$D/f"
	grep -rqx half "$W/state" || grep -rq half "$W/state"
}

@test "the newest of several versions that wait is what arrives last" {
	blocked
	for i in 1 2 3 4 5; do echo "version $i" >"$D/f"; done
	crash_and_mount
	echo "version 5" >want
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	same got want
	same "$D/f" want
}

# One upload at a time, and it stands still: all others wait.
queue_stands() {
	remount -o upload.parallel_uploads=1
	blocked
	echo x >"$D/first"
	wait_is 1 fault_hits
}

@test "renamed while waiting: arrives under the new name alone" {
	queue_stands
	cp big "$D/a"
	quick 10 mv "$D/a" "$D/b"
	crash_and_mount
	uploaded_after_crash "$D/b" big
	fails oss_has "$(key_of "$D/a")"
	is "$(ls "$D")" $'b\nfirst'
}

@test "removed while waiting: never arrives" {
	queue_stands
	cp big "$D/a"
	quick 10 rm "$D/a"
	crash_and_mount
	settled "$D/first"
	fails oss_has "$(key_of "$D/a")"
	is "$(ls "$D")" first
	not_uploaded "$D/a"
}

@test "removed while it is sent: gone, whatever became of the request" {
	blocked
	cp big "$D/a"
	wait_is 1 fault_hits
	rm "$D/a" 2>/dev/null &
	pid=$!
	wait_is "" find "$W/state/world/staging" -size +200k
	crash_and_mount
	wait $pid || true
	is "$(ls "$D")" ""
	fails oss_has "$(key_of "$D/a")"
	is "$(count_callbacks "$D/a")" 0
}

@test "stored but not answered: repeated with the same delivery id" {
	fault PutObject "$(key_of "$D/f")" stall_after
	cp big "$D/f"
	wait_for oss_has "$(key_of "$D/f")"
	wait_for has_callback "$D/f"
	crash_and_mount
	uploaded_after_crash "$D/f" big
}

@test "close_returns = stored: a failed close goes on after a crash" {
	remount -o upload.close_returns=stored -o upload.retry_deadline=1s
	log_allow .
	fault PutObject "$(key_of "$D/f")" status ',"status":503'
	fails cp big "$D/f" 2>/dev/null
	is "$(attr upload.state "$D/f")" retrying
	crash_and_mount
	uploaded_after_crash "$D/f" big
}

@test "close_returns = stored: fsync before the crash keeps the bytes" {
	remount -o upload.close_returns=stored
	python3 -c 'import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"synced content")
os.fsync(fd)
print("ready", flush=True)
time.sleep(1000)' "$D/f" >out &
	wait_for test -s out
	mount_crash
	kill -9 $!
	grep -rq 'synced content' "$W/state"
	mount_start
	not_uploaded "$D/f"
	grep -rq 'synced content' "$W/state"
}

@test "outcomes are still there" {
	cp big "$D/f"
	uploaded 1 "$D/f" big
	attr callback.response "$D/f" >before
	mount_crash
	mount_start
	attr callback.response "$D/f" >after
	same after before
}

@test "the configuration changed in between: what was promised is kept" {
	blocked
	cp big "$D/f"
	mount_crash
	faults_clear
	cp "$W/ackfs.conf" saved.conf
	sed -i 's,/uploaded,/elsewhere,' "$W/ackfs.conf"
	mount_start
	uploaded_after_crash "$D/f" big
	cp saved.conf "$W/ackfs.conf"
	remount
}

@test "five crashes in a row lose nothing" {
	for round in 1 2 3 4 5; do
		for i in $(seq 20); do echo "$round-$i" >"$D/$round-$i"; done
		mount_crash
		mount_start
	done
	for round in 1 2 3 4 5; do
		for i in $(seq 20); do
			is "$(cat "$D/$round-$i")" "$round-$i"
		done
	done
	mount_stop
	for round in 1 2 3 4 5; do
		oss_get "$(key_of "$D")/$round-20" got
		is "$(cat got)" "$round-20"
	done
	is "$(jq -r --arg d "$(key_of "$D")/" '.fields.object | select(startswith($d))' "$W/callbacks.jsonl" | sort -u | wc -l)" 100
	mount_start
}
