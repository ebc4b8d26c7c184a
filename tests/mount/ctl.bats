#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ackctl at a mount that lives.
# bats file_tags=asan

load lib/common

before_mount() {
	conf_add 'callback "logs"' 'match = *.log' 'enabled = false'
}

teardown() {
	test_teardown
	[ -z "${OPEN:-}" ] || rm -rf "$OPEN"
}

ctl() { "$BIN/ackctl" "$@"; }

# ctl_is STATUS ARGUMENT...: the exit status; output in ./out and ./err
ctl_is() {
	local want=$1 got=0
	shift
	ctl "$@" >out 2>err </dev/null || got=$?
	[ "$got" = "$want" ] || {
		cat out err >&2
		fail "ackctl $*: exit status $got, want $want"
	}
}

status_of() { ctl status --json "$MNT" | jq -r "$1"; }

# A file whose writer is killed before it closes it.
half_a_file() { # PATH
	python3 - "$1" >ready <<-'PY' &
		import sys, time
		f = open(sys.argv[1], 'wb')
		f.write(b'half')
		f.flush()
		print('written', flush=True)
		time.sleep(600)
	PY
	wait_for test -s ready
	kill -KILL $!
	wait $! 2>/dev/null || true
	wait_for log_has 'not finished'
	rm ready
}

# It was told once, and OSS and the mount have it.
arrived() { # PATH FILE
	wait_is 1 count_callbacks "$1"
	settled "$1"
	oss_get "$(key_of "$1")" got
	same got "$2"
	same "$1" "$2"
}

@test "log shows an attempt a line, by mount, path and glob" {
	echo a >"$D/a.txt"
	echo b >"$D/b.jpg"
	wait_is 1 count_callbacks "$D/a.txt"
	wait_is 1 count_callbacks "$D/b.jpg"
	settled "$D/b.jpg"
	ctl_is 0 log "$MNT" "${D##*/}/*"
	is "$(wc -l <out)" 2
	ctl_is 0 log "$D/*.jpg"
	is "$(wc -l <out)" 1
	grep -q ' ok .*b.jpg' out
	ctl_is 0 log "$D/a.txt" --json
	is "$(jq -r .response out)" "$(attr callback.response "$D/a.txt")"
	is "$(jq -r .delivery_id out)" "$(attr callback.delivery_id "$D/a.txt")"
}

@test "log --follow shows what happens later" {
	ctl log --follow --json "$D/*" >followed 3>&- &
	follower=$!
	echo a >"$D/later.txt"
	wait_for grep -q later.txt followed
	kill $follower
}

@test "log needs no mount that answers" {
	echo a >"$D/a.txt"
	settled "$D/a.txt"
	ctl_is 0 log --state-dir "$W/state/world" "${D##*/}/a.txt"
	is "$(wc -l <out)" 1
	ctl_is 0 log --config "$W/ackfs.conf" "${D##*/}/a.txt"
	is "$(wc -l <out)" 1
}

@test "status tells of files, uploads and callbacks" {
	before=$(status_of .callbacks.ok)
	echo a >"$D/a.txt"
	wait_is 1 count_callbacks "$D/a.txt"
	settled "$D/a.txt"
	is "$(status_of .state)" serving
	is "$(status_of .mount)" "$MNT"
	is "$(status_of .state_dir)" "$W/state/world"
	is "$(status_of .callbacks.ok)" $((before + 1))
	is "$(status_of .staging.files)" 0
	ctl_is 0 status "$D"
	grep -q 'state *serving' out
}

@test "status shows progress of an upload, and --watch its end" {
	random_file big 3000000
	fault 'Put*' '*/slow' bandwidth ',"rate":1000000'
	cp big "$D/slow" 3>&- &
	wait_is "${D##*/}/slow" status_of '.uploads[0].key // ""'
	is "$(status_of '.uploads[0].size')" 3000000
	ctl_is 0 status "$MNT"
	grep -q 'slow .* of 2.9M' out
	wait
	uploaded 1 "$D/slow" big
}

@test "status exits with 1 while a file is incomplete, which can be saved, published, dropped" {
	log_allow 'not finished'
	half_a_file "$D/saved"
	half_a_file "$D/dropped"
	ctl_is 1 status "$MNT"
	grep -q '2 incomplete' out
	not_uploaded "$D/dropped"
	ctl_is 0 incomplete list "$MNT"
	grep -q "${D##*/}/saved" out
	ctl_is 0 incomplete extract "$D/saved" bytes
	printf half >want
	same bytes want
	ctl_is 3 incomplete drop "$D/dropped"
	ctl_is 0 incomplete drop --yes "$D/dropped"
	ctl_is 0 incomplete publish "$D/saved"
	ctl_is 0 wait "$MNT"
	uploaded 1 "$D/saved" want
	ctl_is 0 incomplete list "$MNT"
	is "$(cat out)" ""
	ctl_is 0 status "$MNT"
}

@test "an incomplete overwrite that is published replaces the object" {
	printf 'older content' >"$D/f"
	wait_is 1 count_callbacks "$D/f"
	settled "$D/f"
	half_a_file "$D/f"
	printf 'older content' >want
	same "$D/f" want
	ctl_is 0 incomplete publish "$D/f"
	ctl_is 0 wait "$MNT"
	printf half >want
	uploaded 2 "$D/f" want
}

@test "a refused upload waits for retry-upload" {
	log_allow 'upload: failed'
	fault 'Put*' '*/refused' status ',"status":403,"code":"AccessDenied"'
	echo bytes >bytes
	fails cp bytes "$D/refused"
	wait_is 1 status_of .stuck
	ctl_is 1 status "$MNT"
	grep -q 'AccessDenied.*waits for you' out
	ctl_is 1 wait --timeout 100ms "$MNT"
	faults_clear
	ctl_is 0 retry-upload "$D/refused"
	ctl_is 0 wait "$MNT"
	arrived "$D/refused" bytes
	ctl_is 2 retry-upload "$D/refused"
}

@test "retry-upload tries all of them" {
	log_allow 'upload: failed'
	fault 'Put*' '*/r[12]' status ',"status":403,"code":"AccessDenied"'
	echo bytes >bytes
	fails cp bytes "$D/r1"
	fails cp bytes "$D/r2"
	wait_is 2 status_of .stuck
	faults_clear
	ctl_is 0 retry-upload "$MNT"
	ctl_is 0 wait "$MNT"
	arrived "$D/r1" bytes
	arrived "$D/r2" bytes
}

@test "drop gives up: the name shows what OSS has" {
	log_allow 'upload: failed'
	echo old >old
	cp old "$D/over"
	wait_is 1 count_callbacks "$D/over"
	settled "$D/over"
	fault 'Put*' '*/over' status ',"status":403,"code":"AccessDenied"'
	fault 'Put*' '*/new' status ',"status":403,"code":"AccessDenied"'
	echo newer >newer
	fails cp newer "$D/over"
	fails cp newer "$D/new"
	wait_is 2 status_of .stuck
	ctl_is 3 drop "$D/over"
	ctl_is 0 drop --yes "$D/over"
	ctl_is 0 drop --yes "$D/new"
	wait_is old cat "$D/over"
	wait_for test ! -e "$D/new"
	is "$(status_of .staging.files)" 0
}

@test "wait returns when renames and deletions are done, too" {
	echo a >"$D/a"
	settled "$D/a"
	mv "$D/a" "$D/b"
	rm "$D/b"
	ctl_is 0 wait --timeout 30s "$MNT"
	fails oss_has "${D##*/}/a"
	fails oss_has "${D##*/}/b"
}

@test "invalidate shows what somebody else has changed" {
	echo one >"$D/x"
	settled "$D/x"
	ls "$D" >/dev/null
	echo two-two >two
	oss_put "${D##*/}/x" two
	oss_put "${D##*/}/y" two
	ctl_is 0 invalidate "$D"
	same "$D/x" two
	is "$(ls "$D")" $'x\ny'
}

@test "explain takes the mount's own configuration and a file's variables" {
	echo a >"$D/a.jpg"
	settled "$D/a.jpg"
	ctl_is 0 explain "$D/a.jpg"
	grep -q '"size":2,' out
	grep -q 'JSON *valid' out
	ctl_is 0 explain "$D/a.log"
	grep -q 'enabled = false' out
}

@test "metrics of the mount are there for Prometheus" {
	ctl_is 0 metrics "$MNT"
	grep -q "^ackfs_up{mount=\"$MNT\",bucket=\"$BUCKET\"} 1$" out
	grep -q '^# TYPE ackfs_uploaded_bytes_total counter$' out
}

@test "preflight tries every permission and all three callbacks, and leaves nothing" {
	ctl_is 0 preflight --send --config "$W/ackfs.conf"
	is "$(grep -c '^ok *callback: ' out)" 3
	fails grep -q FAIL out
	fails grep -q preflight <(ls -A "$MNT")
	answer '{"status":503}'
	ctl_is 1 preflight --send --config "$W/ackfs.conf"
	answer '{}'
	is "$(grep -c '^FAIL *callback: ' out)" 3
	grep -q 'look into its log' out
}

@test "preflight explains what is wrong" {
	ctl_is 1 preflight --bucket no-such-bucket --config "$W/ackfs.conf"
	grep -q NoSuchBucket out
	OSS_ACCESS_KEY_ID=$ACCESS_KEY OSS_ACCESS_KEY_SECRET=wrong \
		ctl_is 1 preflight --config "$W/ackfs.conf"
	grep -q 'The secret does not belong' out
}

@test "strangers' objects are found by reconcile, and told of with --fire" {
	echo theirs >theirs
	oss_put "${D##*/}/theirs.txt" theirs
	oss_put "${D##*/}/theirs.log" theirs
	echo ours >"$D/ours.txt"
	settled "$D/ours.txt"
	ctl_is 0 invalidate "$D"
	ctl_is 1 reconcile "$D"
	grep -q 'unknown .*theirs.txt' out
	is "$(wc -l <out)" 1
	ctl_is 0 reconcile --fire "$D"
	wait_is 1 count_callbacks "$D/theirs.txt"
	is "$(callbacks_of "$D/theirs.txt" .fields.size)" 7
	wait_is ok attr callback.state "$D/theirs.txt"
	ctl_is 0 reconcile "$D"
	is "$(count_callbacks "$D/ours.txt")" 1
	is "$(count_callbacks "$D/theirs.log")" 0
	same "$D/theirs.txt" theirs
}

@test "retry-callback makes one again, with its delivery id" {
	log_allow 'callback: (failed|the server is down)'
	answer '{"status":503}'
	echo a >"$D/a"
	wait_is failed attr callback.state "$D/a"
	id=$(attr callback.delivery_id "$D/a")
	answer '{}'
	ctl_is 0 retry-callback "$D/a"
	wait_is ok attr callback.state "$D/a"
	is "$(attr callback.delivery_id "$D/a")" "$id"
	# From the bytes that were kept.
	is "$(count_requests -k "$(key_of "$D/a")" PutObject)" 2
	ctl_is 1 retry-callback "$D/no-such-file"
}

@test "retry-callback --failed makes all of them again" {
	log_allow 'callback: (failed|the server is down)'
	answer '{"status":503}'
	for f in a b c; do echo $f >"$D/$f"; done
	for f in a b c; do wait_is failed attr callback.state "$D/$f"; done
	answer '{}'
	ctl_is 0 retry-callback --failed --mount "$MNT"
	for f in a b c; do wait_is ok attr callback.state "$D/$f"; done
}

@test "given-up callbacks show in status, and in the log" {
	world_start "$BATS_TEST_TMPDIR/world"
	conf_add 'callback "short"' 'match = *.short' 'retry_for = 0'
	mount_start
	log_allow 'callback: (failed|the server is down)'
	answer '{"status":503}'
	echo a >"$MNT/a.short"
	wait_is 1 status_of '.callbacks.given_up + .callbacks.failed'
	ctl_is 1 status "$MNT"
	ctl_is 0 log --state given-up "$MNT"
	is "$(wc -l <out)" 1
}

@test "only the mount's owner may command" {
	[ "$(id -u)" = 0 ] || skip "not root"
	command -v setpriv >/dev/null || skip "no setpriv"
	OPEN=$(mktemp -d /tmp/ackfs-test.XXXXXX)
	chmod 755 "$OPEN"
	world_start "$OPEN/world"
	mount_start -o allow_other
	stranger=(setpriv --reuid 65534 --clear-groups)
	"${stranger[@]}" test -x "$BIN/ackctl" || skip "the programs are private"
	got=0
	"${stranger[@]}" "$BIN/ackctl" invalidate "$MNT" >out 2>err </dev/null || got=$?
	is "$got" 3
	"${stranger[@]}" "$BIN/ackctl" status "$MNT" >out
	grep -q 'serving' out
}

@test "a dead mount is told from a bare folder" {
	world_start "$BATS_TEST_TMPDIR/dead"
	mount_start
	send KILL ackfs
	wait_for test -e "$W/ackfs.status"
	ctl_is 2 status "$MNT"
	grep -q 'its daemon is gone' err
	ctl_is 0 umount "$MNT"
	is "$(grep -c . err)" 1 "$(cat err)"
	ctl_is 2 status "$MNT"
	grep -q 'no ackfs is mounted' err
}

@test "umount wants the mount point, not what lies below" {
	ctl_is 3 umount "$D"
	grep -q "is no mount point; it lies on $MNT" err
	is_mounted
}

@test "umount waits until what was closed is stored" {
	world_start "$BATS_TEST_TMPDIR/leaving"
	mount_start -o upload.close_returns=staged
	fault 'Put*' '*' latency ',"ms":700,"count":2'
	echo one >"$MNT/one"
	echo two >"$MNT/two"
	ctl_is 0 umount "$MNT"
	fails is_mounted
	wait_for test -e "$W/ackfs.status"
	is "$(<"$W/ackfs.status")" 0
	oss_has one
	oss_has two
}

@test "umount says when files are left" {
	world_start "$BATS_TEST_TMPDIR/leftover"
	mount_start -o upload.close_returns=staged
	log_allow 'upload: failed'
	log_allow 'files_left'
	fault 'Put*' '*' status ',"status":403,"code":"AccessDenied"'
	echo one >"$MNT/one"
	wait_is 1 status_of .stuck
	ctl_is 1 umount "$MNT"
	grep -q 'staged and not stored yet: 1 ' err
	ctl_is 2 status --state-dir "$W/state/world"
	grep -q '1 retrying' out
}

# The helper is looked for in /sbin alone: in a mount namespace it is there.
@test "umount(8) waits through its helper" {
	[ "$(id -u)" = 0 ] || skip "not root"
	world_start "$BATS_TEST_TMPDIR/helper"
	export W MNT BIN BUCKET EMU HELPER=$BATS_TEST_DIRNAME/../../etc/umount.fuse.ackfs
	cat >inside <<-'SH'
		set -eu
		mkdir upper
		mount -t tmpfs tmpfs upper || exit 77
		for dir in /usr/sbin /usr/local /run; do
			mkdir -p "upper$dir/u" "upper$dir/w"
			mount -t overlay overlay -o "lowerdir=$dir,upperdir=$PWD/upper$dir/u,workdir=$PWD/upper$dir/w" "$dir" || exit 77
		done
		cp "$HELPER" /usr/sbin/umount.fuse.ackfs
		mkdir -p /usr/local/bin
		cp "$BIN/ackctl" /usr/local/bin
		noted() { grep -s "TARGET=$MNT " /run/mount/utab; }
		begin() {
			"$BIN/ackfs" "$BUCKET" "$MNT" -f -o "config=$W/ackfs.conf,upload.close_returns=staged" 2>>"$W/ackfs.log" &
			for ((i = 0; i < 600; i++)); do
				! noted || break
				sleep 0.1
			done
		}
		begin
		kill -TERM $!
		wait $!
		! noted || exit 1
		begin
		curl -sSf -o /dev/null "$EMU/-/faults" -d '{"operation":"Put*","fault":"latency","ms":1500}'
		echo slow >"$MNT/slow"
		umount "$MNT"
		grep -q 'unmounted: files_left=0' "$W/ackfs.log"
	SH
	got=0
	unshare -m bash inside >out 2>&1 3>&- || got=$?
	[ $got -ne 77 ] || skip "no mount namespaces with overlays here"
	[ $got -eq 0 ] || { cat out >&2; return 1; }
	oss_has slow
}
