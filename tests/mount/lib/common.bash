# SPDX-License-Identifier: Apache-2.0
# What the mount tests share.  A *world* is a folder with an emulator, a
# receiver, a configuration and a mount of its own:
#
#     world_start DIR   emulator and receiver start, the configuration is written
#     mount_start       the daemon, in the foreground, its output in $W/ackfs.log
#     mount_stop        unmount, and wait for the daemon's good end
#     world_stop        everything that is left
#
# A file has one world (file_setup in setup_file, file_teardown in
# teardown_file); each test gets a new folder of the mount, $D, and its own
# working directory.  A test may start a world of its own; teardown stops it.
#
# Variables: W (the world's folder), MNT, D, EMU and RCV (addresses), BUCKET.
# shellcheck shell=bash disable=SC2154,SC2034

BIN=${ACKFS_BIN:-$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/build/release}
TOOLS=$BIN/tools
BUCKET=bucket
DEADLINE=60 # seconds; ample for a loaded machine under sanitizers
ACCESS_KEY=emulator-key # the emulator's own default
SECRET_KEY=emulator-secret

# The tests' own environment must not reach the daemon.
unset OSS_ACCESS_KEY_ID OSS_ACCESS_KEY_SECRET OSS_SESSION_TOKEN http_proxy
export LC_ALL=C.UTF-8

# -- saying no ------------------------------------------------------------------

fail() {
	echo "$*" >&2
	return 1
}

# "! command" does not fail a test; this does when the command succeeds.
fails() { if "$@"; then fail "this should have failed: $*"; fi; }

is() { # GOT WANT [WHAT]
	[ "$1" = "$2" ] || fail "${3:+$3: }got  $1"$'\n'"want $2"
}

same() { # FILE WANTED-FILE
	cmp "$1" "$2" || fail "$1 differs from $2"
}

# wait_for COMMAND...: until it succeeds; status 2 says that it never will.
wait_for() {
	local end=$((SECONDS + DEADLINE))
	until "$@"; do
		[ $? -ne 2 ] || fail "no use waiting for: $*" || return 1
		[ "$SECONDS" -lt "$end" ] || fail "waited in vain for: $*" || return 1
		sleep 0.03
	done
}

# wait_is WANT COMMAND...: until the command prints that.
wait_is() {
	local want=$1 end=$((SECONDS + DEADLINE)) got
	shift
	until got=$("$@" 2>&1) && [ "$got" = "$want" ]; do
		[ "$SECONDS" -lt "$end" ] ||
			fail "waited in vain for: $*"$'\n'"got  $got"$'\n'"want $want" ||
			return 1
		sleep 0.03
	done
}

# quick SECONDS COMMAND...: it must not take longer.
quick() {
	local limit=$1 rc=0
	shift
	timeout -k 1 "$limit" "$@" || rc=$?
	[ $rc -ne 124 ] || fail "took more than $limit s: $*" || return 1
	return $rc
}

# -- worlds ---------------------------------------------------------------------

# A mount needs the device, and the programs.
need_fuse() {
	if ! { : <>/dev/fuse; } 2>/dev/null; then
		skip "no access to /dev/fuse here"
	fi
}

world_use() { # DIR
	W=$1
	MNT=$W/mnt
	EMU=
	RCV=
	if [ -s "$W/emulator.port" ]; then EMU=http://127.0.0.1:$(<"$W/emulator.port"); fi
	if [ -s "$W/receiver.port" ]; then RCV=http://127.0.0.1:$(<"$W/receiver.port"); fi
}

# spawn NAME COMMAND...: in the background, its process id in NAME.pid, its
# output in NAME.log, its exit status in NAME.status once it has ended.
spawn() {
	local name=$W/$1
	shift
	rm -f "$name.status" "$name.pid"
	{
		"$@" </dev/null >>"$name.log" 2>&1 &
		echo $! >"$name.pid.new"
		mv "$name.pid.new" "$name.pid"
		rc=0
		wait $! || rc=$?
		echo $rc >"$name.status.new"
		mv "$name.status.new" "$name.status"
	} >/dev/null 2>&1 3>&- 4>&- &
	wait_for test -s "$name.pid"
}

is_up() { [ -s "$W/$1.pid" ] && [ ! -e "$W/$1.status" ]; }

pid_of() { cat "$W/$1.pid"; }

send() { # SIGNAL NAME
	! is_up "$2" || kill "-$1" "$(pid_of "$2")" 2>/dev/null || true
}

stop() { # NAME: and say how it ended
	send TERM "$1"
	[ ! -e "$W/$1.pid" ] || wait_for test -e "$W/$1.status"
}

# has_port NAME: does it listen?
has_port() {
	[ ! -e "$W/$1.status" ] || {
		cat "$W/$1.log" >&2
		return 2
	}
	[ -s "$W/$1.port" ]
}

emulator_start() { # [OPTION...]
	rm -f "$W/emulator.port"
	spawn emulator "$BIN/ackfs-emulator" --dir "$W/oss" --bucket "$BUCKET" \
		--port "${EMU_PORT:-0}" --port-file "$W/emulator.port" \
		--log "$W/requests.jsonl" "$@"
	wait_for has_port emulator
	EMU=http://127.0.0.1:$(<"$W/emulator.port")
}

# With the same port as before, which the daemon knows.
emulator_restart() { # [OPTION...]
	local EMU_PORT=${EMU##*:}
	stop emulator
	emulator_start "$@"
}

receiver_start() {
	rm -f "$W/receiver.port"
	spawn receiver "$BIN/ackfs-receiver" --port "${RCV_PORT:-0}" \
		--port-file "$W/receiver.port" --log "$W/callbacks.jsonl" --admin \
		--trust-key-url "$EMU/"
	wait_for has_port receiver
	RCV=http://127.0.0.1:$(<"$W/receiver.port")
}

world_start() { # DIR [EMULATOR-OPTION...]
	mkdir -p "$1/mnt" "$1/state"
	world_use "$1"
	shift
	emulator_start "$@"
	receiver_start
	: >>"$W/requests.jsonl"
	: >>"$W/callbacks.jsonl"
	echo "OSS refuses private addresses" >"$W/allowed"
	: >"$W/expected"
	conf_write
}

conf_write() {
	cat >"$W/ackfs.conf" <<-CONF
		[oss]
		endpoint = $EMU
		region = cn-hangzhou
		bucket = $BUCKET
		[credentials]
		access_key_id = $ACCESS_KEY
		access_key_secret = $SECRET_KEY
		[callback]
		url = $RCV/uploaded
		host = app.example.com
		body_type = application/json
		body = {"id":\${x:ackfs_id},"object":\${object},"size":\${size},"etag":\${etag},"type":\${mimeType},"op":\${operation}}
		[state]
		dir = $W/state
		name = world
		staging_min_free = 16M
		[log]
		level = info
	CONF
	chmod 600 "$W/ackfs.conf"
}

# Lines for a section; "SECTION.KEY=VALUE" as -o is shorter where it will do.
conf_add() { # SECTION LINE...
	printf '\n[%s]\n' "$1" >>"$W/ackfs.conf"
	shift
	printf '%s\n' "$@" >>"$W/ackfs.conf"
}

is_mounted() { grep -qF " $MNT fuse.ackfs " /proc/self/mounts; }

mount_answers() {
	[ ! -e "$W/ackfs.status" ] || {
		tail -n 20 "$W/ackfs.log" >&2
		return 2
	}
	is_mounted && stat -f "$MNT" >/dev/null # which the kernel never answers itself
}

mount_start() { # [OPTION...]: of ackfs
	local log_at=0
	[ ! -e "$W/ackfs.log" ] || log_at=$(stat -c %s "$W/ackfs.log")
	echo "$log_at" >"$W/log.mark"
	spawn ackfs "$BIN/ackfs" "$BUCKET" "$MNT" -f -o "config=$W/ackfs.conf" "$@"
	wait_for mount_answers
}

# Unmount: the daemon must end by itself, with status 0.
mount_stop() {
	if is_mounted; then fusermount3 -u "$MNT"; fi
	wait_for test -e "$W/ackfs.status"
	is "$(<"$W/ackfs.status")" 0 "exit status of ackfs"
}

remount() { # [OPTION...]
	mount_stop
	mount_start "$@"
}

# kill -9, and the dead mount out of the way.
mount_crash() {
	send KILL ackfs
	wait_for test -e "$W/ackfs.status"
	! is_mounted || fusermount3 -u -z "$MNT"
}

# Whatever is left of a world; never fails.
world_stop() {
	# What stalls goes on, so that an unmount is not held up.
	if is_up emulator; then faults_clear >/dev/null 2>&1 || true; fi
	! is_mounted || fusermount3 -u "$MNT" 2>/dev/null ||
		fusermount3 -u -z "$MNT" || true
	if is_up ackfs; then
		wait_for test -e "$W/ackfs.status" || send KILL ackfs
	fi
	stop receiver || send KILL receiver
	stop emulator || send KILL emulator
}

# -- the order of a file and of a test -------------------------------------------

# A file may put objects into the bucket, or lines into the configuration.
before_mount() { :; }

file_setup() {
	need_fuse
	world_start "$BATS_FILE_TMPDIR/world"
	before_mount
	mount_start
}

file_teardown() {
	local bad=0
	world_use "$BATS_FILE_TMPDIR/world"
	[ -e "$W/emulator.pid" ] || return 0
	if is_up ackfs; then mount_stop || bad=1; fi
	expected_again || bad=1
	world_stop
	sanitizers_quiet || bad=1
	[ $bad -eq 0 ] || tail -n 40 "$W/ackfs.log" >&2
	return $bad
}

test_setup() {
	need_fuse
	cd "$BATS_TEST_TMPDIR" || return
	world_use "$BATS_FILE_TMPDIR/world"
	! is_up ackfs || stat -c %s "$W/ackfs.log" >"$W/log.mark"
	D=$MNT/t$BATS_TEST_NUMBER
	if is_mounted; then mkdir "$D"; fi
}

test_teardown() {
	local bad=0
	if [ "$W" != "$BATS_FILE_TMPDIR/world" ]; then
		world_stop
		sanitizers_quiet || bad=1
	elif is_up emulator; then
		faults_clear >/dev/null
	fi
	log_quiet || bad=1
	if [ -e "$W/ackfs.status" ] && is_mounted; then
		echo "-- ackfs has ended with status $(<"$W/ackfs.status")" >&2
		bad=1
	fi
	if [ $bad -ne 0 ] || [ -z "${BATS_TEST_COMPLETED:-}" ]; then
		echo "-- the end of ackfs.log:" >&2
		log_new | tail -n 30 >&2
	fi
	return $bad
}

setup_file() { file_setup; }
teardown_file() { file_teardown; }
setup() { test_setup; }
teardown() { test_teardown; }

# -- the daemon's log ---------------------------------------------------------------

log_new() { # since the test (or the mount) began
	[ ! -e "$W/ackfs.log" ] ||
		tail -c +"$(($(cat "$W/log.mark" 2>/dev/null || echo 0) + 1))" "$W/ackfs.log"
}

log_has() { log_new | grep -qE -- "$1"; }

# A test that provokes an error or a warning says which.
log_allow() { echo "$1" >>"$W/allowed"; }

# Errors, and warnings, that no test expected fail it.
log_quiet() {
	local lines
	lines=$(log_new | grep -E '^[0-9TZ:.-]+ (err|warn): ' |
		grep -vEf <(printf '%s\n' '^$' && cat "$W/allowed")) || return 0
	fail "unexpected in the daemon's log:"$'\n'"$lines"
}

sanitizers_quiet() {
	! grep -E 'Sanitizer|runtime error:|lock rank|Assertion' \
		"$W"/{ackfs,emulator,receiver}.log >&2
}

# -- requests and callbacks -----------------------------------------------------------

key_of() { printf '%s' "${1#"$MNT"/}"; } # PATH

# A point in the request log; count_requests -s starts there.
mark() { stat -c %s "$W/requests.jsonl"; }

# count_requests [-s MARK] [-k KEY] [OPERATION...]: how many (of those
# operations; all when none is named)
count_requests() {
	local since=0 key=
	while :; do
		case $1 in
		-s) since=$2 && shift 2 ;;
		-k) key=$2 && shift 2 ;;
		*) break ;;
		esac
	done
	tail -c +$((since + 1)) "$W/requests.jsonl" |
		jq -n --arg key "$key" --arg ops "$*" '
			($ops | split(" ")) as $o |
			[inputs | select(($key == "" or .key == $key) and
				(if $ops == "" then .operation != "Callback"
				 else (.operation | IN($o[])) end))] | length'
}

# What was asked since MARK: "PutObject key" a line.
requests_since() { # MARK
	tail -c +$(($1 + 1)) "$W/requests.jsonl" | jq -r '
		select(.operation != "Callback") | "\(.operation) \(.key // "")"'
}

# Most keys stand in the logs, which are JSON, as they are: grep is faster.
is_plain() { [[ $1 != *[!A-Za-z0-9._/-]* ]]; }

UPLOADS='PutObject|CompleteMultipartUpload|AppendObject'

count_uploads() { # PATH
	local key
	key=$(key_of "$1")
	if is_plain "$key"; then
		grep -F "\"key\":\"$key\"," "$W/requests.jsonl" |
			grep -cE "^\{\"time\":\"[^\"]*\",\"operation\":\"($UPLOADS)\"" || true
	else
		IFS='|' read -ra operations <<<"$UPLOADS"
		count_requests -k "$key" "${operations[@]}"
	fi
}

# The receiver's lines for that object.
callback_lines() { # PATH
	local key
	key=$(key_of "$1")
	if is_plain "$key"; then
		grep -F "\"object\":\"$key\"," "$W/callbacks.jsonl" || true
	else
		jq -c --arg key "$key" 'select(.fields.object == $key)' \
			"$W/callbacks.jsonl"
	fi
}

count_callbacks() { callback_lines "$1" | wc -l; } # PATH

callbacks_of() { callback_lines "$1" | jq -r "$2"; } # PATH FILTER

# The numbers that uploaded() and not_uploaded() saw last hold to the end.
expected_again() {
	local path n bad=0
	declare -A expected
	while IFS= read -r path; do
		expected[${path#* }]=${path%% *}
	done <"$W/expected"
	for path in "${!expected[@]}"; do
		n=${expected[$path]}
		[ "$n" != - ] || continue
		is "$(count_uploads "$path")" "$n" "in the end, uploads of $path" ||
			bad=1
		is "$(count_callbacks "$path")" "$n" \
			"in the end, callbacks for $path" || bad=1
	done
	return $bad
}

# What comes after this is not counted any more.
uncounted() { echo "- $1" >>"$W/expected"; } # PATH

# uploaded N PATH [FILE]: N uploads and N genuine callbacks, the last with the
# size of FILE (standard input when none is given), whose bytes OSS has and the
# mount shows.
uploaded() {
	# bats runs its trap after each command of functions: not in here.
	set +T
	uploaded_exactly "$@"
	set -T
}

uploaded_exactly() {
	local n=$1 path=$2 want=${3:-want} size lines
	[ -n "${3:-}" ] || cat >want
	wait_is "$n" count_uploads "$path" || {
		requests_since 0 | grep -F "${path##*/}" >&2
		return 1
	}
	wait_is "$n" count_callbacks "$path"
	settled "$path"
	[[ $path = *$'\n'* ]] || echo "$n $path" >>"$W/expected"
	size=$(stat -L -c %s "$want")
	lines=$(callback_lines "$path")
	[[ ${lines##*$'\n'} = *'"fields":{'*"\"size\":$size,"* ]] ||
		fail "size in the callback is not $size: ${lines##*$'\n'}"
	is "$(grep -cF '"verified":true' <<<"$lines")" "$n" "genuine callbacks"
	is "$(grep -oE '"reason":"[^"]*","id":"[^"]*"' <<<"$lines" | sort -u | wc -l)" \
		"$n" "delivery ids"
	oss_get "$(key_of "$path")" got
	same got "$want"
	same "$path" "$want"
}

# not_uploaded PATH: nothing so far, and expected to stay so.
not_uploaded() {
	is "$(count_uploads "$1") $(count_callbacks "$1")" "0 0" \
		"uploads and callbacks of $1"
	echo "0 $1" >>"$W/expected"
}

attr() { # NAME PATH
	getfattr --absolute-names --only-values -n "user.oss.$1" -- "$2"
}

# Nothing of it is staged any more.
settled() { wait_is 'done' attr upload.state "$1"; } # PATH

# -- faults -----------------------------------------------------------------------

# fault OPERATION KEY FAULT [,"MORE":...]: globs; ackfs-emulator --help has more
fault() {
	curl -sSf -o /dev/null "$EMU/-/faults" -d '{"operation":"'"$1"'","key":"'"$2"'","fault":"'"$3"'"'"${4:-}"'}'
}

# How often a fault has hit; of all that are set.
fault_hits() { curl -sSf "$EMU/-/faults" | jq '[.[].hits] | add // 0'; }

faults_clear() { curl -sSf -o /dev/null -X DELETE "$EMU/-/faults"; }

# The receiver's answers: '{"status":503}', '{}' to go back.
answer() { curl -sSf -o /dev/null -d "$1" "$RCV/-/answer"; }

# -- OSS without a mount -------------------------------------------------------------

# oss VERB KEY [CURL-OPTION...]: signed (V1).  OSS_SUB is a subresource, OSS_TYPE
# the Content-Type; headers that start with x-oss- go to OSS_HEADERS, one a line,
# sorted.
oss() {
	local verb=$1 key=$2 sub=${OSS_SUB:+?$OSS_SUB} date line sign encoded
	local headers='' options=()
	shift 2
	date=$(date -u '+%a, %d %b %Y %H:%M:%S GMT')
	while read -r line; do
		[ -n "$line" ] || continue
		headers+=${line%%: *}:${line#*: }$'\n'
		options+=(-H "$line")
	done <<<"${OSS_HEADERS:-}"
	sign=$(printf '%s\n\n%s\n%s\n%s/%s/%s%s' "$verb" "${OSS_TYPE:-}" "$date" \
		"$headers" "$BUCKET" "$key" "$sub" |
		openssl dgst -sha1 -hmac "$SECRET_KEY" -binary | base64)
	encoded=$key
	is_plain "$key" || encoded=$(jq -rn --arg k "$key" '$k | @uri')
	curl -sSf --path-as-is -X "$verb" -H "Date: $date" \
		-H "Authorization: OSS $ACCESS_KEY:$sign" -H "Content-Type: ${OSS_TYPE:-}" \
		"${options[@]}" "$@" "$EMU/$BUCKET/$encoded$sub"
}

# seed PREFIX COUNT SIZE: objects PREFIX00000000 and so on, in no time
seed() {
	curl -sSf -o /dev/null "$EMU/-/seed" \
		-d '{"bucket":"'"$BUCKET"'","prefix":"'"$1"'","count":'"$2"',"size":'"$3"'}'
}

oss_put() { oss PUT "$1" -o /dev/null --data-binary "@${2:-/dev/null}"; } # KEY [FILE]
oss_get() { oss GET "$1" -o "$2"; }                           # KEY FILE
oss_delete() { oss DELETE "$1" -o /dev/null; }                # KEY
oss_head() { oss GET "$1" -o /dev/null -D - | tr -d '\r'; }   # KEY: headers

# oss_header KEY NAME: its value
oss_header() { oss_head "$1" | awk -v n="$2:" 'tolower($1) == tolower(n) { sub(/^[^ ]* /, ""); print }'; }

oss_has() { oss GET "$1" -o /dev/null 2>/dev/null; } # KEY

# random_file NAME SIZE
random_file() { head -c "$2" /dev/urandom >"$1"; }
