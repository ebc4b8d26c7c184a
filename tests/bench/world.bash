# SPDX-License-Identifier: Apache-2.0
# What the benchmarks measure: one emulator, and mounts of it side by side.
#
#     world_open [EMULATOR-OPTION...]     an empty bucket; EMU is its address
#     mount_PROGRAM [OPTION...]           ackfs, s3fs, rclone, nullfs: PID[PROGRAM]
#                                         and MNT[PROGRAM]
#     unmount PROGRAM, world_close        all of it goes
#
# shellcheck shell=bash disable=SC2034

# The environment must not reach the programs.
unset OSS_ACCESS_KEY_ID OSS_ACCESS_KEY_SECRET OSS_SESSION_TOKEN AWS_CA_BUNDLE \
	AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY http_proxy https_proxy all_proxy \
	HTTP_PROXY HTTPS_PROXY ALL_PROXY

BUCKET=bench
KEY_ID=emulator-key # the emulator's own default
KEY_SECRET=emulator-secret
declare -A PID=() MNT=()
EMU='' EMU_PID='' WORLD='' OSS=''
OSS_ROOT=/dev/shm
[ "$(df --output=avail -k $OSS_ROOT | tail -n 1)" -gt $((8 << 20)) ] || OSS_ROOT=$WORK

# until_ok COMMAND...: for two minutes, every 20 ms
until_ok() {
	local end=$((SECONDS + 120))
	until "$@"; do
		[ $SECONDS -lt $end ] || die "waited in vain for: $*"
		sleep 0.02
	done
}

die() {
	echo "bench: $*" >&2
	exit 1
}

# The other end of the network costs this machine's disk nothing: what is stored
# is in memory where there is room (OSS_ROOT).
world_open() { # [EMULATOR-OPTION...]
	WORLD=$WORK/world
	rm -rf "$WORLD"
	mkdir -p "$WORLD"
	OSS=$(mktemp -d "$OSS_ROOT/ackfs-bench-oss.XXXXXX")
	"$BIN/ackfs-emulator" --dir "$OSS" --bucket $BUCKET --fast --anonymous \
		--port-file "$WORLD/port" "$@" >"$WORLD/emulator.log" 2>&1 &
	EMU_PID=$!
	until_ok test -s "$WORLD/port"
	EMU=http://127.0.0.1:$(<"$WORLD/port")
}

world_close() {
	local p
	for p in "${!PID[@]}"; do unmount "$p"; done
	if [ -n "$EMU_PID" ]; then
		kill "$EMU_PID"
		wait "$EMU_PID" || true
	fi
	EMU_PID=
	[ -z "$WORLD" ] || rm -rf "$WORLD"
	[ -z "$OSS" ] || rm -rf "$OSS"
}

# -- mounts ---------------------------------------------------------------------

# mount_as NAME COMMAND...: in the foreground of a process of our own.  @MNT@
# stands for the mount point.
mount_as() {
	local name=$1
	shift
	MNT[$name]=$WORLD/$name
	mkdir -p "$WORLD/$name"
	"${@//@MNT@/$WORLD/$name}" >>"$WORLD/$name.log" 2>&1 </dev/null &
	PID[$name]=$!
	until_ok is_up "$name"
}

is_up() {
	kill -0 "${PID[$1]}" 2>/dev/null || {
		tail -n 5 "$WORLD/$1.log" >&2
		die "$1 does not mount"
	}
	grep -qF " ${MNT[$1]} fuse" /proc/self/mounts
}

mount_ackfs() { # [OPTION...]
	local source=${ACKFS_SOURCE:-$BUCKET}
	cat >"$WORLD/ackfs.conf" <<-CONF
		[oss]
		endpoint = $EMU
		region = cn-hangzhou
		[credentials]
		access_key_id = $KEY_ID
		access_key_secret = $KEY_SECRET
		[state]
		dir = $WORLD/state
		staging_min_free = 64M
	CONF
	chmod 600 "$WORLD/ackfs.conf"
	mount_as ackfs "$BIN/ackfs" "$source" @MNT@ -f \
		-o "config=$WORLD/ackfs.conf" "$@"
}

# As many parts at a time as ackfs sends.
mount_s3fs() { # [OPTION...]
	echo "$KEY_ID:$KEY_SECRET" >"$WORLD/passwd-s3fs"
	chmod 600 "$WORLD/passwd-s3fs"
	mkdir -p "$WORLD/tmp"
	mount_as s3fs s3fs $BUCKET @MNT@ -f -o "url=$EMU" -o use_path_request_style \
		-o "passwd_file=$WORLD/passwd-s3fs" -o endpoint=cn-hangzhou \
		-o "tmpdir=$WORLD/tmp" -o parallel_count=8 "$@"
}

# The cache of mode "writes", which changing files needs, answers close() before
# anything is uploaded: the other mode is the one to compare with.
mount_rclone() { # [OPTION...]
	cat >"$WORLD/rclone.conf" <<-CONF
		[bench]
		type = s3
		provider = Other
		endpoint = $EMU
		region = cn-hangzhou
		access_key_id = $KEY_ID
		secret_access_key = $KEY_SECRET
	CONF
	mount_as rclone rclone mount bench:$BUCKET @MNT@ --config "$WORLD/rclone.conf" \
		--cache-dir "$WORLD/tmp" --use-server-modtime --s3-upload-concurrency 8 "$@"
}

mount_nullfs() { # [OPTION...]
	mount_as nullfs "$BIN/tools/nullfs" "$@" @MNT@
}

unmount() { # PROGRAM
	[ -n "${PID[$1]:-}" ] || return 0
	fusermount3 -u "${MNT[$1]}" 2>/dev/null || fusermount3 -u -z "${MNT[$1]}" || true
	wait "${PID[$1]}" || true
	unset "PID[$1]" "MNT[$1]"
}

# -- the emulator's side -----------------------------------------------------------

seed() { # PREFIX COUNT SIZE: objects PREFIX00000000 and so on, in no time
	curl -sSf -o /dev/null "$EMU/-/seed" \
		-d '{"bucket":"'$BUCKET'","prefix":"'"$1"'","count":'"$2"',"size":'"$3"'}'
}

stats_reset() { curl -sSf -o /dev/null -X DELETE "$EMU/-/stats"; }

# stats [OPERATION...]: how many; no operation: all requests; bytes: both ways
stats() {
	curl -sSf "$EMU/-/stats" | jq --args '
		if $ARGS.positional == ["bytes"] then .bytes_in + .bytes_out
		elif $ARGS.positional == [] then .requests
		else [.operations[$ARGS.positional[]] // 0] | add end' "$@"
}

# What was asked, for people: "PutObject=3 HeadObject=1"
stats_text() {
	curl -sSf "$EMU/-/stats" |
		jq -r '.operations | to_entries | map("\(.key)=\(.value)") | join(" ")'
}

remove() { curl -sS -o /dev/null -X DELETE "$EMU/$BUCKET/$1"; } # KEY

size_is() { # KEY SIZE
	curl -sSf -I "$EMU/$BUCKET/$1" | tr -d '\r' |
		grep -qix "content-length: $2"
}

# -- memory, in KiB -----------------------------------------------------------------

rss_reset() { echo 5 >"/proc/${PID[$1]}/clear_refs"; } # PROGRAM
rss_peak() { awk '/^VmHWM/ { print $2 }' "/proc/${PID[$1]}/status"; }
rss_now() { awk '/^VmRSS/ { print $2 }' "/proc/${PID[$1]}/status"; }
