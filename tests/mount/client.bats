#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The OSS client (tests/tools/osscli) against the emulator: two readings of
# the protocol that share no code.

BIN=${ACKFS_BIN:-$BATS_TEST_DIRNAME/../../build/release}
DEADLINE=300 # tenths of a second
export OSS_ACCESS_KEY_ID=emulator-key OSS_ACCESS_KEY_SECRET=emulator-secret

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	# Fixed content, too large for one buffer and no multiple of anything.
	seq 400000 >data
	printf hello >hello
	: >empty
	"$BIN/ackfs-emulator" --dir emu --bucket bkt --port-file port \
		--log log >out 2>err 3>&- &
	echo $! >pid
	wait_for test -s port
}

teardown_file() {
	cd "$BATS_FILE_TMPDIR"
	kill "$(cat pid)"
	wait_for gone "$(cat pid)"
	cat err
	! grep -E 'Sanitizer|runtime error' err
}

setup() {
	cd "$BATS_FILE_TMPDIR"
	PORT=$(cat port)
	FLAGS=()
}

gone() { ! kill -0 "$1" 2>/dev/null; }

wait_for() {
	local i
	for ((i = 0; i < DEADLINE; i++)); do
		if "$@"; then return 0; fi
		sleep 0.1
	done
	echo "waited in vain for: $*"
	return 1
}

oss() {
	"$BIN/tools/osscli" -e "http://127.0.0.1:$PORT" -b bkt -r cn-hangzhou \
		${FLAGS[@]+"${FLAGS[@]}"} "$@"
}

# The emulator shall fail: OPERATION COUNT FAULT-MEMBERS
fault() {
	curl -sS --fail-with-body -X POST "http://127.0.0.1:$PORT/-/faults" \
		-d "{\"operation\":\"$1\",\"bucket\":\"*\",\"key\":\"**\",\"count\":$2,$3}"
}

same() { # KEY FILE
	oss get "$1" | cmp - "$2"
}

says() {
	echo "$output"
	[[ $output == *"$1"* ]]
}

@test "both signatures put, head, get and list" {
	local version
	for version in 4 1; do
		FLAGS=()
		[ $version = 4 ] || FLAGS=(-1)
		run oss put "sig/v$version" data mode=33188 "mtime=1.5"
		says crc64=
		run oss head "sig/v$version"
		says "size=$(stat -c %s data)"
		says meta.mode=33188
		same "sig/v$version" data
		oss get "sig/v$version" 1000 100 | cmp - <(tail -c +1001 data | head -c 100)
		oss list sig/ / | grep -q "sig/v$version"
	done
}

@test "keys of every kind survive the way there and back" {
	local key
	for key in 'a b' 'a+b' 'a%2Fb' '100%' 'a&b=c?d#e' "quote'\"" 'back\slash' \
		$'tab\tkey' $'ctl\x01' '中文/文件' '🙂' 'a//b' 'a/../b' './x' \
		"$(printf 'k%.0s' $(seq 1023))"; do
		oss put "keys/${key:0:1018}" hello
		same "keys/${key:0:1018}" hello
		oss list keys/ | grep -qF "${key:0:60}"
		oss rmm "keys/${key:0:1018}" >/dev/null
		run oss head "keys/${key:0:1018}"
		[ "$status" -ne 0 ]
		says NoSuchKey
	done
	[ -z "$(oss list keys/)" ]
}

@test "empty objects, and empty answers" {
	oss put none empty
	[ "$(oss get none | wc -c)" -eq 0 ]
	run oss list nothing/
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	oss rm nothing
}

@test "what is refused has OSS's words" {
	run oss get missing
	says "ENOENT attempts=1"
	says code=NoSuchKey
	run oss head missing
	says code=NoSuchKey
	FLAGS=(-b nobucket)
	run oss head missing
	says "ENODEV"
	FLAGS=()
	OSS_ACCESS_KEY_SECRET=wrong run oss head missing
	says "EACCES attempts=1"
	says code=SignatureDoesNotMatch
	OSS_ACCESS_KEY_ID=wrong run oss probe
	says code=InvalidAccessKeyId
	oss put there hello
	FLAGS=(-f)
	run oss put there hello
	says "EEXIST attempts=1"
}

@test "copies, parts and appends join to the same bytes" {
	oss put src data
	oss copy src dst
	same dst data
	oss copy dst dst
	FLAGS=(-j 4)
	oss mput big data 500K
	same big data
	oss mget big 300K
	oss append big hello
	same big <(cat data hello)
}

@test "uploads can be listed and aborted" {
	local id
	id=$(oss initiate up)
	oss part up "$id" 1 hello
	run oss parts up "$id"
	says "1 5 5D41402ABC4B2A76B9719D911017C592"
	oss uploads | grep -qx "$id up"
	oss abort up "$id"
	oss abort up "$id"
	run oss parts up "$id"
	says "ENOENT"
	says code=NoSuchUpload
}

@test "a lost answer, a reset and a wrong CRC are overcome" {
	fault PutObject 2 '"fault":"reset_after"'
	run oss put lost data
	says attempts=3
	same lost data
	fault PutObject 1 '"fault":"wrong_crc"'
	run oss put lost hello
	says attempts=2
	same lost hello
	fault UploadPart 3 '"fault":"reset_before"'
	FLAGS=(-j 2)
	oss mput lost data 1M
	same lost data
}

@test "a get goes on behind breaks, throttling and HTML" {
	oss put broken data
	fault GetObject 2 '"fault":"truncate","bytes":600000'
	same broken data
	fault GetObject 1 '"fault":"status","status":503,"code":"SlowDown"'
	fault GetObject 1 '"fault":"html"'
	same broken data
}

@test "a callback that fails leaves the object and OSS's XML" {
	local cb
	cb=$(printf '{"callbackUrl":"http://127.0.0.1:1/","callbackBody":"o=1"}' | base64 -w0)
	FLAGS=(-c "$cb")
	run oss put cb1 hello
	says http=203
	says code=CallbackFailed
	run oss mput cb2 data 1M
	says http=203
	FLAGS=()
	same cb2 data
}

@test "a silent server ends with the deadline" {
	fault HeadObject 1 '"fault":"stall"'
	FLAGS=(-t 300)
	run oss head there
	says ETIMEDOUT
}
