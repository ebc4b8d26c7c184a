#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# State directories that somebody has laid hands on: each has its message, and
# none is a reason to lose bytes.

load lib/common

setup_file() { :; }
teardown_file() { :; }

setup() {
	need_fuse
	cd "$BATS_TEST_TMPDIR" || return
	world_start "$BATS_TEST_TMPDIR/world"
	conf_add upload 'close_returns = staged' 'drain_timeout = 0s' 'retry_deadline = 2s'
	log_allow .
	DB=$W/state/world/journal.db
}

teardown() {
	local bad=0
	world_stop
	sanitizers_quiet || bad=1
	umount "$W/state" 2>/dev/null || true
	return $bad
}

# Two files that wait, and the daemon is gone.
two_wait() { # [BYTES]: that many more in each
	mount_start
	fault PutObject '*' stall
	{ echo one; head -c "${1:-0}" /dev/zero; } >"$MNT/one"
	{ echo two; head -c "${1:-0}" /dev/zero; } >"$MNT/two"
	wait_is 2 fault_hits
	mount_crash
	faults_clear
}

# refused WORDS: no mount, and why
refused() {
	local rc=0
	quick 30 "$BIN/ackfs" "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" 2>err 3>&- 4>&- || rc=$?
	cat err
	[ $rc -ne 0 ] || fail "it has mounted"
	fails is_mounted
	grep -qE "$1" err
	grep -qF "$W/state" err
}

sql() { python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*[r[0] for r in c.execute(sys.argv[2])]); c.commit()' "$DB" "$1"; }

@test "a state directory that is read-only" {
	mount -t tmpfs -o size=1M,ro tmpfs "$W/state" 2>/dev/null || skip "no rights to mount"
	refused 'Read-only file system'
}

@test "a state directory that is a file" {
	rmdir "$W/state"
	touch "$W/state"
	refused 'Not a directory'
}

@test "a journal from the future: left alone, and what to do is said" {
	two_wait
	sql 'PRAGMA user_version = 9999' >/dev/null
	refused 'newer ackfs'
	is "$(sql 'PRAGMA user_version')" 9999
	is "$(find "$W/state/world/staging" -type f | wc -l)" 2
}

# The bytes are moved aside, each named; a new journal begins.
bytes_are_aside() {
	log_has 'moved aside'
	is "$(find "$W/state/world/aside" -type f -size -9c | wc -l)" 2
	is "$(cat "$W"/state/world/aside/0* | sort)" $'one\ntwo'
	for file in "$W"/state/world/aside/0*; do log_has "$file"; done
	echo three >"$MNT/three"
	wait_for oss_has three
}

truncated_to() { # BYTES
	two_wait
	# All of it is in the one file.
	sql 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
	truncate -s "$1" "$DB"
	mount_start
	log_has "damaged.*$W/state"
	bytes_are_aside
}

@test "a truncated journal" { truncated_to 20000; }

@test "a journal of which hardly anything is left" { truncated_to 1000; }

@test "a journal of garbage" {
	two_wait
	rm -f "$DB-wal" "$DB-shm"
	head -c 60000 /dev/urandom >"$DB"
	mount_start
	log_has "damaged.*$W/state" || { log_new; false; }
	bytes_are_aside
}

@test "a journal that was deleted" {
	two_wait
	rm "$DB"*
	mount_start
	bytes_are_aside
}

@test "a staging file that was deleted by hand: its key is named, the rest goes on" {
	two_wait 20000
	id=$(sql "SELECT printf('%016x', id) FROM staged WHERE key = 'one'")
	rm "$W/state/world/staging/$id"
	mount_start
	log_has 'staging file is gone.*key="one"'
	wait_for oss_has two
	fails oss_has one
	fails ls "$MNT/one"
}

@test "the staging directory was deleted by hand" {
	two_wait
	rm -r "$W/state/world/staging"
	mount_start
	log_has 'restored=2' # they are small: the journal has them
	wait_for oss_has one
	wait_for oss_has two
	echo three >"$MNT/three"
	wait_for oss_has three
}

@test "on a tmpfs: a warning" {
	mount -t tmpfs -o size=64M tmpfs "$W/state" 2>/dev/null || skip "no rights to mount"
	mount_start
	log_has "warn: state: the state directory is .*tmpfs.*$W/state"
}

@test "on a container's overlay: a warning" {
	mkdir lower
	mount -t tmpfs -o size=64M tmpfs "$W/state" 2>/dev/null || skip "no rights to mount"
	mkdir "$W/state/upper" "$W/state/work" "$W/state/merged"
	mount -t overlay -o "lowerdir=$PWD/lower,upperdir=$W/state/upper,workdir=$W/state/work" \
		overlay "$W/state/merged" 2>/dev/null || skip "no overlay here"
	mount_start -o "state_dir=$W/state/merged"
	log_has "warn: state: the state directory is .*overlay.*merged"
	mount_stop
	umount "$W/state/merged"
}

@test "a neighbour with files that wait, and nobody mounts it: a warning" {
	two_wait
	mount_start -o state.name=other
	log_has "nobody mounts it: path=\"$W/state/world\" files=2"
	mount_stop
	mount_start
	wait_for oss_has one
	wait_for oss_has two
	mount_stop
	mount_start -o state.name=other
	fails log_has 'nobody mounts it'
}

@test "two daemons on one state name: the second is refused and names the first" {
	mount_start
	mkdir second
	fails quick 30 "$BIN/ackfs" "$BUCKET" "$PWD/second" -o "config=$W/ackfs.conf" 2>err 3>&- 4>&-
	grep -qF "$(pid_of ackfs)" err
	grep -qF "$MNT" err
	echo x >"$MNT/f"
	wait_for oss_has f
}
