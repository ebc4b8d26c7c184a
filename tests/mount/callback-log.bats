#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The record of every attempt: what ackctl log, status and metrics show of it,
# how long it is kept.

load lib/common

ctl() { "$BIN/ackctl" "$@"; }

keys() { jq -r '.key | sub(".*/"; "")' | sort | xargs; }

# One that failed once, and one that was answered.
failed_and_answered() {
	log_allow 'callback: '
	answer '{"status":400}'
	echo x >"$D/failed.dat"
	is "$(attr callback.state "$D/failed.dat")" failed
	answer '{}'
	echo y >"$D/answered.dat"
	is "$(attr callback.state "$D/answered.dat")" ok
}

@test "log: by state, glob, time and number; a table for people, JSON for programs" {
	failed_and_answered
	mkdir -p "$D/a/b"
	echo z >"$D/a/b/deep.dat"
	wait_is 1 count_callbacks "$D/a/b/deep.dat"
	wait_is ok attr callback.state "$D/failed.dat"
	in=${D##*/}
	is "$(ctl log --json --state failed "$MNT" "$in/**" | keys)" failed.dat
	is "$(ctl log --json --state ok "$MNT" "$in/**" | keys)" 'answered.dat deep.dat failed.dat'
	is "$(ctl log --json "$MNT" "$in/**/deep.*" | keys)" deep.dat
	is "$(ctl log --json "$MNT" "$in/*" | keys)" 'answered.dat failed.dat failed.dat'
	is "$(ctl log --json -n 1 "$D/failed.dat" | jq -r .state)" ok
	is "$(ctl log --json --since 1h "$D/failed.dat" | wc -l)" 2
	is "$(ctl log --json --since 2099-01-01 "$D/failed.dat" | wc -l)" 0
	at=$(ctl log --json -n 1 "$D/failed.dat" | jq -r .time)
	ctl log --json "$D/failed.dat" | jq -e -s 'map(.attempt) == [1, 2]' >/dev/null
	[[ $at = 20??-??-??T* ]]
	# Everything that was sent and answered.
	ctl log --json --state failed "$D/failed.dat" >record
	for name in key delivery_id time elapsed_ms attempt state oss_status \
		server_status error error_code ec request_id url host body \
		body_type vars rule uid process; do
		jq -e --arg n "$name" 'has($n)' record >/dev/null || fail "no $name: $(cat record)"
	done
	ctl log "$MNT" "$in/**" >table
	is "$(wc -l <table)" 4
	grep -qE "^20..-..-...* failed .*$in/failed.dat" table
	grep -qE "^20..-..-...* ok .*$in/a/b/deep.dat" table
	[ "$(ctl log --state nonsense "$MNT" 2>&1 >/dev/null || echo $?)" != 0 ]
}

wrote() { [[ $(ctl log --json -n 1 "$2" | jq -r .process) = $1* ]]; } # NAME PATH

@test "log: the process that wrote it, whichever request ended it" {
	# Opened by a shell that then becomes the writer.
	bash -c 'exec cat >"$1"' - "$D/exec.dat" <<<x
	wait_for wrote cat "$D/exec.dat"
	# RELEASE comes from nobody.
	bash -c '(echo a; exec cat) >"$1"' - "$D/shell.dat" <<<x
	wait_for wrote '[bc]' "$D/shell.dat"
	python3 - "$D/mapped.dat" <<-'PY'
		import mmap, os, sys
		fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
		os.ftruncate(fd, 4)
		m = mmap.mmap(fd, 4)
		os.close(fd)
		m[:] = b"data"
		m.close()
	PY
	wait_for wrote python3 "$D/mapped.dat"
	echo x >"$D/rewritten.dat"
	python3 - "$D/rewritten.dat" <<-'PY'
		import mmap, os, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		m = mmap.mmap(fd, 2)
		os.close(fd)
		m[:] = b"z\n"
		m.close()
	PY
	wait_for wrote python3 "$D/rewritten.dat"
	python3 -c 'import os, sys; os.mknod(sys.argv[1])' "$D/node.dat"
	wait_for wrote python3 "$D/node.dat"
}

attempts() { ctl log --json "$1" | jq -r .attempt | xargs; } # PATH

# The record as it will be in two days.
two_days_pass() {
	python3 - "$W"/state/world/*.db <<-'PY'
		import sqlite3, sys
		for name in sys.argv[1:]:
		    db = sqlite3.connect(name)
		    db.execute('UPDATE attempts SET time_ms = time_ms - 2 * 86400000')
		    db.commit()
	PY
}

@test "retention: what is too old goes; the outcome of what is stored stays" {
	echo x >"$D/f"
	for i in 2 3 4; do
		setfattr -n user.oss.callback.retry -v 1 "$D/f"
		wait_is "$i" attr callback.attempts "$D/f"
	done
	is "$(attempts "$D/f")" '1 2 3 4'
	attr callback.response "$D/f" >before
	mount_stop
	two_days_pass
	mount_start -o log.keep=3d
	is "$(attempts "$D/f")" '1 2 3 4'
	remount -o log.keep=1d
	wait_is 4 attempts "$D/f"
	attr callback.response "$D/f" >after
	same after before
	is "$(attr callback.state "$D/f")" ok
	remount
}

@test "status --json, --watch and the exit status; metrics as Prometheus reads them" {
	world_start "$BATS_TEST_TMPDIR/world"
	conf_add 'callback "short"' 'match = *.short' 'retry_for = 0'
	mount_start
	D=$MNT
	echo x >"$D/a.dat"
	ctl status "$MNT" >out # all is well: 0
	log_allow 'callback: '
	answer '{"status":400}'
	echo x >"$D/b.dat"
	echo x >"$D/c.short"
	is "$(attr callback.state "$D/b.dat") $(attr callback.state "$D/c.short")" 'failed failed'
	got=0
	ctl status --json "$MNT" >status.json || got=$?
	is "$got" 1
	is "$(jq -c '.callbacks | [.ok, .retrying, .given_up]' status.json)" '[1,1,1]'
	for name in state uploads staging callbacks oldest_pending; do
		jq -e --arg n "$name" '[paths | map(tostring) | join(".")] | any(test($n))' status.json >/dev/null ||
			fail "no $name: $(cat status.json)"
	done
	timeout 3 "$BIN/ackctl" status --watch "$MNT" >watched || is $? 124
	[ "$(grep -c serving watched)" -ge 2 ]
	ctl metrics "$MNT" >metrics.txt
	python3 - metrics.txt <<-'PY'
		import re, sys
		types, seen = {}, set()
		sample = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_]\w*="([^"\\\n]|\\[\\n"])*",?)*\})? (-?[0-9.e+]+|NaN|[+-]Inf)$')
		text = open(sys.argv[1]).read()
		assert text.endswith('\n')
		for line in text.splitlines():
		    if line.startswith('# TYPE '):
		        _, _, name, kind = line.split()
		        assert name not in types and kind in ('counter', 'gauge'), line
		        types[name] = kind
		    elif not line.startswith('# HELP '):
		        m = sample.match(line)
		        assert m, line
		        assert m[1] in types, line
		        assert types[m[1]] != 'counter' or m[1].endswith('_total'), line
		        assert (m[1], m[2]) not in seen, line
		        seen.add((m[1], m[2]))
		assert len(types) > 10, types
	PY
	grep -qE '^ackfs_callbacks?[a-z_]*\{.*state="ok".*\} 1$' metrics.txt
	grep -qE '^ackfs_callbacks?[a-z_]*\{.*state="given_up".*\} 1$' metrics.txt
	ctl metrics --output node.prom "$MNT"
	grep -q '^ackfs_up' node.prom
}
