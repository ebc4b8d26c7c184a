#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What happens to a name while its upload runs: the upload stalls in the
# emulator until the test lets it go on.
# bats file_tags=asan,tsan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

# stall_put PATH: writes "first", and waits in close(); $writer is its process
stall_put() {
	fault PutObject "$(key_of "$1")" "${2:-stall}"
	echo first >"$1" &
	writer=$!
	wait_is 1 fault_hits
}

go_on() {
	faults_clear
	wait "$writer"
}

object_is() { # PATH TEXT: in the end
	wait_is "$2" object_text "$1"
}

object_text() { oss_get "$(key_of "$1")" got && cat got; }

no_object() { ! oss_has "$(key_of "$1")"; }

@test "unlink: nothing stays" {
	stall_put "$D/f"
	rm "$D/f" &
	remover=$!
	sleep 0.2
	go_on
	wait $remover
	fails ls "$D/f" 2>/dev/null
	wait_for no_object "$D/f"
}

@test "unlink when the object is stored but not answered yet: nothing stays" {
	stall_put "$D/f" stall_after
	rm "$D/f" &
	remover=$!
	sleep 0.2
	go_on
	wait $remover
	wait_for no_object "$D/f"
}

@test "unlink, and a new file of that name: the new one wins" {
	stall_put "$D/f"
	rm "$D/f" &
	remover=$!
	sleep 0.2
	faults_clear
	wait $remover
	wait "$writer"
	echo second >"$D/f"
	object_is "$D/f" second
	is "$(cat "$D/f")" second
}

@test "rename: the content ends under the new name alone" {
	stall_put "$D/f"
	mv "$D/f" "$D/g" &
	mover=$!
	sleep 0.2
	go_on
	wait $mover
	object_is "$D/g" first
	wait_for no_object "$D/f"
	is "$(ls "$D")" g
	is "$(cat "$D/g")" first
}

@test "rename onto a file whose upload runs: the renamed one wins" {
	echo moved >"$D/g"
	stall_put "$D/f"
	mv "$D/g" "$D/f" &
	mover=$!
	sleep 0.2
	go_on
	wait $mover
	object_is "$D/f" moved
	wait_for no_object "$D/g"
	is "$(cat "$D/f")" moved
}

@test "rename of the folder above" {
	mkdir "$D/a"
	stall_put "$D/a/f"
	mv "$D/a" "$D/b" &
	mover=$!
	sleep 0.2
	go_on
	wait $mover
	object_is "$D/b/f" first
	wait_for no_object "$D/a/f"
	is "$(ls "$D/b")" f
}

@test "a second writer: both are uploaded, in order" {
	stall_put "$D/f"
	echo second >"$D/f" &
	second=$!
	sleep 0.3
	is "$(quick 10 cat "$D/f")" second
	go_on
	wait $second
	uploaded 2 "$D/f" <<<second
	is "$(callbacks_of "$D/f" .fields.size)" $'6\n7'
}

@test "an appending writer: its content has both" {
	stall_put "$D/f"
	echo second >>"$D/f" &
	second=$!
	sleep 0.3
	go_on
	wait $second
	uploaded 2 "$D/f" <<<$'first\nsecond'
}

@test "a writer that goes on while another one's PUT runs does not change it" {
	random_file block 200000
	mkfifo in
	bash -c 'exec 7>>"$1"; read -r; echo more >&7' sh "$D/f" <in &
	appender=$!
	exec 6>in
	wait_for test -e "$D/f"
	fault PutObject "$(key_of "$D/f")" stall
	cp block "$D/f" &
	writer=$!
	wait_is 1 fault_hits
	echo go >&6
	wait_is 200005 stat -c %s "$D/f"
	go_on
	wait $appender
	cat block - <<<more >want
	uploaded 2 "$D/f" want
	is "$(callbacks_of "$D/f" .fields.size)" $'200000\n200005'
}

@test "truncate(2) while the upload runs" {
	stall_put "$D/f"
	truncate -s 2 "$D/f" &
	cut=$!
	sleep 0.3
	go_on
	wait $cut
	head -c 2 <<<first >want
	uploaded 2 "$D/f" want
}

@test "chmod while the upload runs: it has that mode in the end" {
	stall_put "$D/f"
	quick 10 chmod 600 "$D/f"
	go_on
	is "$(stat -c %a "$D/f")" 600
	wait_is 33152 oss_header "$(key_of "$D/f")" x-oss-meta-mode
	wait_is 1 count_callbacks "$D/f"
	remount
	is "$(stat -c %a "$D/f")" 600
}

@test "reading while the upload runs" {
	stall_put "$D/f"
	is "$(quick 10 cat "$D/f")" first
	quick 10 cp "$D/f" copy
	go_on
	uploaded 1 "$D/f" <<<first
}

@test "a waiting program that is killed ends at once, its upload goes on" {
	fault PutObject "$(key_of "$D/f")" stall
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"first\n")
os.close(fd)' "$D/f" &
	wait_is 1 fault_hits
	kill -9 $!
	quick 10 tail --pid=$! -f /dev/null
	wait $! || is $? 137
	is "$(quick 10 cat "$D/f")" first
	faults_clear
	uploaded 1 "$D/f" <<<first
}

@test "a handled signal does not make close() fail" {
	fault PutObject "$(key_of "$D/f")" stall
	python3 -c 'import os, signal, sys
n = 0
def tick(*a):
    global n
    n += 1
signal.signal(signal.SIGALRM, tick)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"first\n")
os.close(fd)
signal.setitimer(signal.ITIMER_REAL, 0)
sys.exit(n == 0)' "$D/f" &
	writer=$!
	wait_is 1 fault_hits
	sleep 0.3
	go_on
	uploaded 1 "$D/f" <<<first
}

@test "umount waits for the upload" {
	stall_put "$D/f"
	(sleep 0.5; faults_clear) &
	wait_is_over() { wait "$writer"; }
	wait_is_over
	remount
	uploaded 1 "$D/f" <<<first
}

@test "SIGTERM: what runs is finished first" {
	remount -o upload.close_returns=staged
	fault PutObject "$(key_of "$D/f")" stall
	echo first >"$D/f"
	wait_is 1 fault_hits
	kill -TERM "$(pid_of ackfs)"
	sleep 0.3
	is_up ackfs
	faults_clear
	wait_for test -e "$W/ackfs.status"
	is "$(<"$W/ackfs.status")" 0
	mount_start
	uploaded 1 "$D/f" <<<first
}

@test "two names, one slow: the other does not wait" {
	stall_put "$D/slow"
	quick 10 bash -c 'echo x >"$1"' sh "$D/quick"
	uploaded 1 "$D/quick" <<<x
	go_on
	uploaded 1 "$D/slow" <<<first
}

@test "overwriting ten times in a row ends with the last" {
	remount -o upload.close_returns=staged
	fault PutObject "$(key_of "$D/f")" stall
	for i in $(seq 10); do echo "$i" >"$D/f"; done
	wait_for has_hit
	faults_clear
	settled "$D/f"
	object_is "$D/f" 10
	remount
	is "$(cat "$D/f")" 10
}

has_hit() { [ "$(fault_hits)" -ge 1 ]; }

gone() { [ ! -e "$1" ]; }

@test "mv of a folder that is killed goes on: at its end the new name shows alone" {
	mkdir "$D/a"
	for i in 1 2 3; do echo "$i" >"$D/a/$i"; done
	remount # to a mount that has not listed the folder above
	fault CopyObject "$(key_of "$D")/b/3" stall
	mv "$D/a" "$D/b" &
	wait_is 1 fault_hits
	kill -INT $! && kill -TERM $!
	wait $! || true
	wait_for stat "$D/a/1" "$D/b/1" >/dev/null # the kernel learns of both
	faults_clear
	quick 30 "$BIN/ackctl" wait "$MNT"
	wait_for gone "$D/a"
	is "$(cat "$D"/b/*)" "$(printf '1\n2\n3')"
}
