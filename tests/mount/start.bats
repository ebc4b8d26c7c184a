#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Starting and ending: command line, background mode, refusals, options.
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

# Emulator and receiver for the file; each test mounts by itself.
file_setup_without_mount() {
	need_fuse
	world_start "$BATS_FILE_TMPDIR/world"
}

setup_file() { file_setup_without_mount; }

setup() {
	need_fuse
	cd "$BATS_TEST_TMPDIR"
	world_use "$BATS_FILE_TMPDIR/world"
	conf_write
	: >err
	rm -f "$W/ackfs.log"
	echo 0 >"$W/log.mark"
}

teardown() {
	if is_up ackfs; then mount_stop; fi
	! is_mounted || fusermount3 -u "$MNT"
	test_teardown
}

# refused STATUS-REGEX LINE-REGEX ARGUMENT...: no mount, within 10 s, one line
refused() {
	local status=$1 line=$2 rc=0
	shift 2
	quick 12 "$BIN/ackfs" "$@" >out 2>err || rc=$?
	[[ $rc =~ ^($status)$ ]] || fail "status $rc: $(cat err)"
	grep -qE -- "$line" err || fail "no \"$line\" in: $(cat err)"
	fails is_mounted
}

one_line() { is "$(wc -l <err)" 1 "lines of: $(cat err)"; }

# In the background: returns when it answers; its process id by the lock file.
background() { # [OPTION...]
	quick 30 "$BIN/ackfs" "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" \
		-o "log.file=$W/ackfs.log" "$@" >out 2>err 3>&- 4>&-
}

daemon_pid() {
	local p
	for p in $(pgrep -x ackfs); do
		! tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -qF "$MNT" || echo "$p"
	done
}

has_ended() { [ -z "$(daemon_pid)" ]; }

background_stop() {
	fusermount3 -u "$MNT"
	wait_for has_ended
}

@test "in the background: the mount answers when the command returns 0" {
	background
	is "$(cat out err)" ""
	is_mounted
	echo x >"$MNT/bg"
	is "$(cat "$MNT/bg")" x
	background_stop
}

@test "in the background it lets go of the terminal and the working directory" {
	background
	pid=$(daemon_pid)
	is "$(readlink "/proc/$pid/cwd")" /
	is "$(readlink "/proc/$pid/fd/0")" /dev/null
	[ "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid" ]
	background_stop
}

@test "in the foreground it logs to stderr and ends with 0 at unmount" {
	mount_start
	echo x >"$MNT/fg"
	mount_stop
}

@test "SIGTERM and SIGINT unmount and end with 0" {
	for signal in TERM INT; do
		mount_start
		echo x >"$MNT/$signal"
		kill -$signal "$(pid_of ackfs)"
		wait_for test -e "$W/ackfs.status"
		is "$(<"$W/ackfs.status")" 0
		fails is_mounted
	done
}

@test "a missing bucket" {
	sed -i '/^bucket/d' "$W/ackfs.conf"
	refused '[1-9][0-9]*' 'NoSuchBucket|does not exist' no-such-bucket "$MNT" -o "config=$W/ackfs.conf"
	one_line
	grep -q no-such-bucket err
}

@test "a wrong secret" {
	sed -i 's/^access_key_secret.*/access_key_secret = wrong/' "$W/ackfs.conf"
	refused '[1-9][0-9]*' SignatureDoesNotMatch "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
	one_line
	fails grep -qw wrong err
}

@test "an unknown access key" {
	sed -i 's/^access_key_id.*/access_key_id = nobody/' "$W/ackfs.conf"
	refused '[1-9][0-9]*' InvalidAccessKeyId "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
	one_line
}

@test "no credentials at all" {
	sed -i '/^access_key/d' "$W/ackfs.conf"
	refused '[1-9][0-9]*' '[Cc]redential|access key|OSS_ACCESS_KEY_ID' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
}

@test "an endpoint where nobody listens" {
	refused '[1-9][0-9]*' 127.0.0.1:1 "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" \
		-o endpoint=http://127.0.0.1:1
	one_line
}

@test "an endpoint that does not exist" {
	refused '[1-9][0-9]*' 'nowhere.invalid' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" \
		-o endpoint=http://nowhere.invalid
	one_line
}

@test "an endpoint that never answers" {
	fault '*' '*' stall
	refused '[1-9][0-9]*' . "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
	one_line
}

@test "an endpoint that is no OSS" {
	refused '[1-9][0-9]*' . "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" -o "endpoint=$RCV"
	one_line
}

@test "a wrong region" {
	refused '[1-9][0-9]*' 'region' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" -o region=cn-beijing
}

@test "a mount point that is not there, or not a folder" {
	touch file
	refused '[1-9][0-9]*' none "$BUCKET" "$PWD/none" -o "config=$W/ackfs.conf"
	one_line
	refused '[1-9][0-9]*' file "$BUCKET" "$PWD/file" -o "config=$W/ackfs.conf"
	one_line
}

# Mounts are real here, so it is /dev that is another for this one process.
@test "after a crash the next mount takes the dead one's place" {
	"$BIN/ackfs" "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" -f 2>>"$W/ackfs.log" 3>&- &
	local daemon=$!
	wait_for is_mounted
	echo x >"$MNT/before"
	stat "$MNT" >/dev/null # which the kernel remembers a while
	kill -KILL $daemon
	wait $daemon || true
	mount_start
	is "$(grep -c " $MNT " /proc/self/mounts)" 1
	is "$(cat "$MNT/before")" x
	grep -q 'the dead mount is taken away' "$W/ackfs.log"
	mount_stop
}

@test "a machine without /dev/fuse" {
	local rc=0
	unshare --mount sh -c 'mount -t tmpfs dev /dev && mknod -m 666 /dev/null c 1 3 &&
		exec "$@"' - "$BIN/ackfs" "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" 2>err || rc=$?
	is $rc 1
	grep -q "cannot mount on $MNT: /dev/fuse: No such file or directory" err
}

@test "a configuration that is not there, or that others can read" {
	refused '[1-9][0-9]*' none.conf "$BUCKET" "$MNT" -o "config=$PWD/none.conf"
	chmod 644 "$W/ackfs.conf"
	refused '[1-9][0-9]*' 'ackfs.conf.*chmod|readable|others' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
	chmod 600 "$W/ackfs.conf"
}

@test "mistakes in the configuration: file, line and what to write" {
	conf_add upload 'close_return = staged'
	line=$(grep -n close_return "$W/ackfs.conf" | cut -d: -f1)
	refused '[1-9][0-9]*' "ackfs.conf:$line: .*close_returns" "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
	conf_write
	conf_add upload 'parallel_uploads = many'
	refused '[1-9][0-9]*' 'upload.parallel_uploads: "many"' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
	conf_write
	sed -i 's/^body = .*/body = {"a":${nothing}}/' "$W/ackfs.conf"
	refused '[1-9][0-9]*' 'nothing' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
	conf_write
	sed -i 's/^body = .*/body = {"a":${object}/' "$W/ackfs.conf"
	refused '[1-9][0-9]*' 'JSON' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
}

@test "mistakes on the command line" {
	refused '[1-9][0-9]*' nonsense --nonsense
	refused '[1-9][0-9]*' 'no.such' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" -o no.such=1
	refused '[1-9][0-9]*' . "$BUCKET"
	refused '[1-9][0-9]*' 'access_key_secret' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" \
		-o credentials.access_key_secret=hidden
	fails grep -q hidden err
	refused '[1-9][0-9]*' 'close_returns' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" \
		-o upload.close_returns=never
}

@test "help, version" {
	quick 10 "$BIN/ackfs" -h >out
	grep -q 'MOUNTPOINT' out
	grep -q 'allow_other' out
	quick 10 "$BIN/ackfs" --help >out
	quick 10 "$BIN/ackfs" -V >out
	grep -qE '^ackfs ' out
	grep -qi 'fuse' out
	quick 10 "$BIN/ackfs" --version >out
}

@test "options of mount(8) and fstab are taken and ignored" {
	mount_start -o 'rw,nosuid,nodev,noexec,noatime,auto,nofail,_netdev,user,x-systemd.automount,x-gvfs-hide,dev,suid,exec,defaults'
	echo x >"$MNT/opt"
	mount_stop
}

@test "mount -t fuse.ackfs" {
	[ "$(id -u)" = 0 ] && command -v mount.fuse3 >/dev/null || skip "needs root and mount.fuse3"
	# mount(8) sets PATH itself: installed, "fuse.ackfs" is enough.
	mount -t "fuse.$BIN/ackfs" "$BUCKET" "$MNT" \
		-o "config=$W/ackfs.conf,log.file=$W/ackfs.log,_netdev" 3>&- 4>&-
	is_mounted
	grep -q " $MNT fuse.ackfs $BUCKET " <(sed 's/^.* \(\/[^ ]*\) .* - \(fuse[^ ]*\) \([^ ]*\) .*/ \1 \2 \3 /' /proc/self/mountinfo)
	echo x >"$MNT/by-mount"
	umount "$MNT"
	wait_for has_ended
}

@test "mount(8)'s helper: verbose, sloppy, fake, and no remount" {
	ln -s "$BIN/ackfs" "$W/mount.fuse.ackfs"
	quick 10 "$W/mount.fuse.ackfs" "$BUCKET" "$MNT" -f -v -n -s -t fuse.ackfs \
		-o "config=$W/ackfs.conf,rw"
	fails is_mounted
	fails quick 10 "$W/mount.fuse.ackfs" "$BUCKET" "$MNT" -f -o nonsense 2>err
	grep -q 'unknown option: -o nonsense' err
	fails quick 10 "$W/mount.fuse.ackfs" "$BUCKET" "$MNT" \
		-o "config=$W/ackfs.conf,remount,ro" 2>err
	grep -q 'unmount it, and mount it anew' err
	"$W/mount.fuse.ackfs" "$BUCKET" "$MNT" -v -s -n \
		-o "config=$W/ackfs.conf,log.file=$W/ackfs.log" 3>&- 4>&-
	is_mounted
	fusermount3 -u "$MNT"
	wait_for has_ended
}

@test "what df and mount show: bucket and type" {
	mount_start
	grep " $MNT " /proc/self/mountinfo | grep -q ' - fuse.ackfs '
	is "$(df --output=source "$MNT" | tail -n 1)" "$BUCKET"
	mount_stop
}

@test "BUCKET:/PREFIX on the command line" {
	oss_put "pre/fix/f" <(echo inside)
	spawn ackfs "$BIN/ackfs" "$BUCKET:/pre/fix" "$MNT" -f -o "config=$W/ackfs.conf"
	wait_for mount_answers
	is "$(cat "$MNT/f")" inside
	mount_stop
}

@test "a second mount with the same state folder is refused, and names the first" {
	mount_start
	mkdir second
	pid=$(pid_of ackfs)
	quick 12 "$BIN/ackfs" "$BUCKET" "$PWD/second" -o "config=$W/ackfs.conf" 2>err && fail "mounted twice"
	grep -q "$pid" err
	grep -qF "$MNT" err
	mount_stop
}

@test "two mounts with states of their own" {
	mount_start
	mkdir second
	"$BIN/ackfs" "$BUCKET" "$PWD/second" -o "config=$W/ackfs.conf,state.name=second" \
		-o "log.file=$PWD/second.log" 3>&- 4>&-
	echo x >"$MNT/two-a"
	is "$(cat "$PWD/second/two-a")" x
	fusermount3 -u "$PWD/second"
	mount_stop
}

@test "credentials from the environment and from a file" {
	sed -i '/^access_key/d' "$W/ackfs.conf"
	export OSS_ACCESS_KEY_ID=$ACCESS_KEY OSS_ACCESS_KEY_SECRET=$SECRET_KEY
	mount_start
	unset OSS_ACCESS_KEY_ID OSS_ACCESS_KEY_SECRET
	mount_stop
	printf '%s:%s\n' "$ACCESS_KEY" "$SECRET_KEY" >"$W/keys"
	chmod 600 "$W/keys"
	conf_add credentials "file = $W/keys"
	mount_start
	mount_stop
	chmod 644 "$W/keys"
	refused '[1-9][0-9]*' 'keys' "$BUCKET" "$MNT" -o "config=$W/ackfs.conf"
}

@test "secrets are not in the process's arguments" {
	mount_start
	fails grep -aq "$SECRET_KEY" "/proc/$(pid_of ackfs)/cmdline"
	mount_stop
}

@test "V1 signatures work, in both address styles" {
	mount_start -o oss.signature=v1
	echo x >"$MNT/v1"
	is "$(jq -r 'select(.key == "v1" and .operation == "PutObject") | .auth' "$W/requests.jsonl")" v1
	mount_stop
	mount_start -o "endpoint=http://localhost:${EMU##*:}" -o oss.addressing=virtual
	echo x >"$MNT/virtual"
	is "$(cat "$MNT/v1")" x
	mount_stop
}

@test "without [callback] it works, and says loudly that none are made" {
	sed -i '/^\[callback\]/,/^\[state\]/{/^\[state\]/!d}' "$W/ackfs.conf"
	log_allow callback
	mount_start
	log_has '[Cc]allback'
	echo x >"$MNT/silent"
	is "$(attr callback.state "$MNT/silent")" none
	is "$(jq -r 'select(.fields.object == "silent")' "$W/callbacks.jsonl")" ""
	mount_stop
}

@test "start = offline_ok mounts without OSS, and uploads when it is there" {
	log_allow .
	stop emulator
	mount_start -o mount.start=offline_ok -o upload.close_returns=staged -o upload.retry_deadline=1s
	echo x >"$MNT/early"
	is "$(cat "$MNT/early")" x
	EMU_PORT=${EMU##*:} emulator_start
	wait_for oss_has early
	mount_stop
}

@test "it holds when its working directory, HOME and TMPDIR are gone" {
	(cd / && HOME=/nonexistent TMPDIR=/nonexistent mount_start)
	echo x >"$MNT/nohome"
	mount_stop
}

@test "an unmounted mount point is as it was" {
	touch "$MNT/below"
	background -o nonempty || background
	[ ! -e "$MNT/below" ]
	background_stop
	rm "$MNT/below"
}
