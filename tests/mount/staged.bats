#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# close_returns = staged: close() returns when the local disk has it all.
# bats file_tags=asan,tsan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

before_mount() { conf_add upload 'close_returns = staged'; }

setup() {
	test_setup
	random_file big 300000
}

blocked() { fault PutObject "$(key_of "$D")/*" stall; }

@test "close() does not wait for the upload; reads come from the local disk" {
	blocked
	quick 10 cp big "$D/f"
	quick 10 cmp "$D/f" big
	is "$(attr callback.state "$D/f")" pending
	faults_clear
	uploaded 1 "$D/f" big
}

@test "the order of two uploads of a key is kept" {
	blocked
	for i in 1 2 3; do echo "$i" >"$D/f"; done
	faults_clear
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	is "$(cat got)" 3
	is "$(callbacks_of "$D/f" .fields.size | tail -n 1)" 2
}

@test "many at a time, not one after the other" {
	fault PutObject "$(key_of "$D")/*" latency ',"ms":300'
	for i in $(seq 32); do echo "$i" >"$D/$i"; done
	SECONDS=0
	for i in $(seq 32); do settled "$D/$i"; done
	[ $SECONDS -lt 9 ] # one by one takes 9.6
	for i in 1 17 32; do uploaded 1 "$D/$i" <<<"$i"; done
}

@test "parallel_uploads bounds them" {
	remount -o upload.parallel_uploads=3
	blocked
	for i in $(seq 12); do echo "$i" >"$D/$i"; done
	wait_is 3 fault_hits
	sleep 0.3
	is "$(fault_hits)" 3
	faults_clear
	for i in $(seq 12); do uploaded 1 "$D/$i" <<<"$i"; done
	remount
}

@test "rename of a waiting file: one upload, of the new name" {
	remount -o upload.parallel_uploads=1
	fault PutObject "$(key_of "$D/first")" stall
	echo x >"$D/first"
	wait_is 1 fault_hits
	cp big "$D/a"
	mv "$D/a" "$D/b"
	is "$(ls "$D")" $'b\nfirst'
	faults_clear
	uploaded 1 "$D/b" big
	not_uploaded "$D/a"
	remount
}

@test "unlink of a waiting file: no upload" {
	remount -o upload.parallel_uploads=1
	fault PutObject "$(key_of "$D/first")" stall
	echo x >"$D/first"
	wait_is 1 fault_hits
	cp big "$D/a"
	rm "$D/a"
	faults_clear
	uploaded 1 "$D/first" <<<x
	not_uploaded "$D/a"
	remount
}

@test "unlink of a file whose request is out: the object goes too" {
	fault PutObject "$(key_of "$D/a")" stall_after
	cp big "$D/a"
	wait_for oss_has "$(key_of "$D/a")"
	rm "$D/a" &
	pid=$!
	wait_is "" find "$W/state/world/staging" -size +200k
	faults_clear
	wait $pid
	fails oss_has "$(key_of "$D/a")"
	is "$(ls "$D")" ""
}

@test "rename of a file whose request is out: the object follows" {
	fault PutObject "$(key_of "$D/a")" stall_after
	cp big "$D/a"
	wait_for oss_has "$(key_of "$D/a")"
	mv "$D/a" "$D/b" &
	pid=$!
	sleep 0.2 # either order is right; this one is the hard one
	faults_clear
	wait $pid
	settled "$D/b"
	oss_get "$(key_of "$D/b")" got
	same got big
	fails oss_has "$(key_of "$D/a")"
	is "$(ls "$D")" b
}

@test "an upload whose answer was lost: unlink and rename reach its object" {
	log_allow .
	remount -o upload.retry_deadline=1s
	fault PutObject "$(key_of "$D/[12]")" reset_after
	for i in 1 2; do
		cp big "$D/$i"
		wait_is retrying attr upload.state "$D/$i"
		wait_for oss_has "$(key_of "$D/$i")"
	done
	rm "$D/1"
	mv "$D/2" "$D/b"
	fails oss_has "$(key_of "$D/1")"
	fails oss_has "$(key_of "$D/2")"
	settled "$D/b"
	is "$(ls "$D")" b
	remount
}

@test "rename over a file that waits too: the newer name's bytes win" {
	remount -o upload.parallel_uploads=1
	fault PutObject "$(key_of "$D/first")" stall
	echo x >"$D/first"
	wait_is 1 fault_hits
	cp big "$D/b"
	echo old >"$D/a"
	mv "$D/b" "$D/a"
	same "$D/a" big
	faults_clear
	uploaded 1 "$D/a" big
	not_uploaded "$D/b"
	is "$(ls "$D")" $'a\nfirst'
	remount
}

@test "rename over an object, then unlink: nothing is left of either" {
	echo old >"$D/a"
	settled "$D/a"
	blocked
	cp big "$D/x.part"
	mv "$D/x.part" "$D/a"
	same "$D/a" big
	rm "$D/a" &
	pid=$!
	wait_is "" find "$W/state/world/staging" -size +200k
	faults_clear
	wait $pid
	fails oss_has "$(key_of "$D/a")"
	is "$(ls "$D")" ""
}

@test "reopening a waiting file: what it had is there" {
	blocked
	cp big "$D/f"
	echo more >>"$D/f"
	cat big - <<<more >want
	same "$D/f" want
	faults_clear
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	same got want
}

@test "unmount drains: everything is on OSS when the daemon has ended" {
	fault PutObject "$(key_of "$D")/*" latency ',"ms":100'
	for i in $(seq 40); do echo "$i" >"$D/$i"; done
	mount_stop
	faults_clear
	for i in 1 20 40; do
		oss_get "$(key_of "$D/$i")" got
		is "$(cat got)" "$i"
	done
	mount_start
	for i in $(seq 40); do uploaded 1 "$D/$i" <<<"$i"; done
}

@test "what could not be drained stays, the exit status and the log say so" {
	log_allow .
	remount -o upload.drain_timeout=1s
	blocked
	for i in 1 2 3; do echo "$i" >"$D/$i"; done
	fusermount3 -u "$MNT"
	wait_for test -e "$W/ackfs.status"
	[ "$(<"$W/ackfs.status")" != 0 ]
	tail -n 3 "$W/ackfs.log" | grep -q '\b3\b'
	faults_clear
	mount_start
	for i in 1 2 3; do
		settled "$D/$i"
		oss_get "$(key_of "$D/$i")" got
		is "$(cat got)" "$i"
		is "$(count_callbacks "$D/$i")" 1
	done
}

@test "a second SIGTERM leaves at once" {
	log_allow .
	blocked
	echo x >"$D/f"
	wait_is 1 fault_hits
	kill -TERM "$(pid_of ackfs)"
	sleep 0.5
	is_up ackfs
	kill -TERM "$(pid_of ackfs)"
	quick 10 tail --pid="$(pid_of ackfs)" -f /dev/null
	wait_for test -e "$W/ackfs.status"
	! is_mounted || fusermount3 -u -z "$MNT"
	faults_clear
	mount_start
	settled "$D/f"
	is "$(cat "$D/f")" x
}

@test "a failing callback: the file is done, the answer says failed" {
	log_allow callback
	answer '{"status":503}'
	echo x >"$D/f"
	wait_is failed attr callback.state "$D/f"
	answer '{}'
	is "$(attr upload.state "$D/f")" "done"
}

@test "ls, stat and df do not wait for a hundred uploads" {
	blocked
	for i in $(seq 100); do echo "$i" >"$D/$i"; done
	quick 10 ls -l "$D" >out
	is "$(grep -c '^-' out)" 100
	quick 10 df "$MNT" >/dev/null
	quick 10 rm "$D/100"
	faults_clear
	settled "$D/99"
}
