#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The disk under the state directory is small, and full: ENOSPC from write(),
# before it is full; nothing is corrupted; all works again when there is room.
# shellcheck disable=SC2010,SC2012 # ls is what is tested

load lib/common

SIZE=32 # MB

setup_file() {
	need_fuse
	mkdir -p "$BATS_FILE_TMPDIR/world/state"
	mount -t tmpfs -o size=${SIZE}M tmpfs "$BATS_FILE_TMPDIR/world/state" 2>/dev/null ||
		skip "no rights to mount a tmpfs"
	file_setup
}

teardown_file() {
	local rc=0
	file_teardown || rc=$?
	umount "$BATS_FILE_TMPDIR/world/state" 2>/dev/null || true
	return $rc
}

before_mount() {
	log_allow 'is a tmpfs|tmpfs|staging: full|No space|ENOSPC|errno=28|disk is full|failed'
	sed -i 's/^staging_min_free.*/staging_min_free = 8M/' "$W/ackfs.conf"
	# A stalled PUT must not be given up and sent again: it counts.
	conf_add upload 'close_returns = staged' 'retry_deadline = 60s'
}

setup() {
	test_setup
	random_file big 300000
}

teardown() {
	rm -f "$W/state/filler"
	test_teardown
}

blocked() { fault PutObject "$(key_of "$D")/*" stall; }

free_kb() { df --output=avail -k "$W/state" | tail -n 1; }

# Somebody else takes all but that many KB.
fill_disk() { # KB-LEFT
	local kb=$(($(free_kb) - $1))
	[ $kb -le 0 ] || fallocate -l "${kb}K" "$W/state/filler"
	[ "$(free_kb)" -le "$1" ]
}

has_no_room() { # FILE: a write of 1 MB gets ENOSPC
	fails dd if=/dev/zero of="$1" bs=1M count=1 status=none 2>err
	grep -q 'No space left' err
}

@test "staging_min_free: ENOSPC before the disk is full, and one line that names it" {
	fails dd if=/dev/zero of="$D/f" bs=256k count=$((SIZE * 5)) status=none 2>err
	grep -q 'No space left' err
	[ "$(free_kb)" -ge 7000 ] # of 8M: what SQLite took
	has_no_room "$D/g"
	has_no_room "$D/h"
	is "$(log_new | grep -c 'staging: full.*directory="'"$W/state")" 1
	rm "$D/f" "$D/g" "$D/h"
	cp big "$D/i"
	uploaded 1 "$D/i" big
	wait_for log_has 'has space again'
}

@test "others fill the disk: the same, and nothing that was closed is lost" {
	blocked
	for i in 1 2 3; do cp big "$D/f$i"; done
	fill_disk 4000
	wait_for has_no_room "$D/full"
	is "$(cat "$D/f1" "$D/f2" "$D/f3" | cmp - <(cat big big big) && echo same)" same
	faults_clear
	for i in 1 2 3; do uploaded 1 "$D/f$i" big; done
	rm -f "$D/full" "$W/state/filler"
	wait_for cp big "$D/again"
	uploaded 1 "$D/again" big
}

@test "files that wait for upload count, and make room when they are gone" {
	remount -o state.staging_max_bytes=2M
	blocked
	for i in 1 2 3 4 5 6; do cp big "$D/f$i"; done
	has_no_room "$D/one-more"
	rm "$D/one-more"
	faults_clear
	for i in 1 2 3 4 5 6; do uploaded 1 "$D/f$i" big; done
	cp big "$D/one-more"
	uploaded 1 "$D/one-more" big
	remount
}

@test "what is stored and merely open gives way to what is not" {
	remount -o state.staging_max_bytes=2M
	head -c 1500000 /dev/urandom >large
	cp large "$D/f"
	uploaded 1 "$D/f" large
	exec 5<"$D/f"
	cp large "$D/g"
	uploaded 1 "$D/g" large
	cmp large - <&5
	exec 5<&-
	remount
}

@test "the disk is full to the last block: no close() lies, and the journal is whole" {
	remount -o state.staging_min_free=0
	blocked
	fill_disk 2500
	python3 - "$D" <<-'PY' >closed
		import errno, os, sys

		for i in range(400):
		    path = '%s/f%d' % (sys.argv[1], i)
		    data = b'%d\n' % i * 2000
		    try:
		        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
		    except OSError as e:
		        assert e.errno in (errno.ENOSPC, errno.EIO), e
		        continue
		    try:
		        os.write(fd, data)
		        whole = True
		    except OSError as e:
		        assert e.errno == errno.ENOSPC, e
		        whole = False
		    try:
		        os.close(fd)
		        if whole:
		            print(i)
		    except OSError as e:
		        assert e.errno in (errno.ENOSPC, errno.EIO), e
	PY
	[ "$(wc -l <closed)" -gt 5 ]
	[ "$(wc -l <closed)" -lt 390 ]
	echo "closed: $(wc -l <closed)"
	rm "$W/state/filler"
	mount_crash
	faults_clear
	log_allow 'recovery: incomplete|without a journal row'
	mount_start
	"$BIN/ackctl" wait "$MNT"
	remount # what is shown is what OSS has
	python3 - "$D" <<-'PY'
		import sys
		for i in map(int, open("closed")):
		    with open("%s/f%d" % (sys.argv[1], i), "rb") as f:
		        assert f.read() == b"%d\n" % i * 2000, i
	PY
	cp big "$D/again"
	uploaded 1 "$D/again" big
	[ -z "$(find "$W/state/world/aside" -name '*journal*')" ]
	remount
}
