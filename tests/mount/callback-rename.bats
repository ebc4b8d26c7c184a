#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A rename completes an upload: stored files that get a name with a callback,
# by on_rename = auto, always and never.

load lib/common

# in/: no callback; auto/, always/, never/: what their names say.
before_mount() {
	conf_add 'callback "in"' 'match = **/in/**' 'enabled = false'
	conf_add 'callback "always"' 'match = **/always/**' 'on_rename = always'
	conf_add 'callback "never"' 'match = **/never/**' 'on_rename = never'
	conf_add 'callback "failing"' 'match = **/failing/**' 'retry_for = 0'
}

setup() {
	test_setup
	random_file big 300000
	mkdir "$D/in" "$D/auto" "$D/always" "$D/never" "$D/failing"
}

# One that is stored without a callback.
stored() { # PATH FILE
	cp "$2" "$1"
	settled "$1"
	is "$(count_callbacks "$1")" 0
}

# bytes_since MARK: how many bodies went up
bodies_since() {
	requests_since "$1" | grep -cE '^(PutObject|UploadPart) ' || true
}

told() { # N PATH [FILE]: N callbacks, the last genuine, with its size
	wait_is "$1" count_callbacks "$2"
	[ "$1" -gt 0 ] || return 0
	callback_lines "$2" | tail -n 1 >line
	is "$(jq .verified line)" true
	is "$(jq .fields.size line)" "$(stat -c %s "${3:-big}")"
	is "$(jq -r .fields.object line)" "$(key_of "$2")"
	is "$(attr callback.state "$2")" ok
	same "$2" "${3:-big}"
}

@test "auto: stored without a callback, the new name gets its own, and no bytes go again" {
	stored "$D/in/f" big
	mark=$(mark)
	mv "$D/in/f" "$D/auto/f"
	told 1 "$D/auto/f"
	is "$(bodies_since "$mark")" 0
	is "$(callbacks_of "$D/auto/f" .fields.op)" CompleteMultipartUpload
	fails oss_has "$(key_of "$D/in/f")"
	[ "$(requests_since "$mark" | wc -l)" -le 6 ] || requests_since "$mark"
	oss_get "$(key_of "$D/auto/f")" got
	same got big
}

@test "auto: an empty object by PutObject" {
	: >empty
	stored "$D/in/e" empty
	mv "$D/in/e" "$D/auto/e"
	told 1 "$D/auto/e" empty
	is "$(callbacks_of "$D/auto/e" .fields.op)" PutObject
	fails oss_has "$(key_of "$D/in/e")"
}

@test "auto: what was told already is not told again" {
	cp big "$D/auto/f"
	told 1 "$D/auto/f"
	response=$(attr callback.response "$D/auto/f")
	mv "$D/auto/f" "$D/auto/g"
	is "$(attr callback.state "$D/auto/g")" ok
	is "$(attr callback.response "$D/auto/g")" "$response"
	is "$(count_callbacks "$D/auto/g")" 0
	fails test -e "$D/auto/f"
}

@test "always: each new name is told; never: none is" {
	cp big "$D/auto/f"
	told 1 "$D/auto/f"
	mv "$D/auto/f" "$D/always/f"
	told 1 "$D/always/f"
	mv "$D/always/f" "$D/always/g"
	told 1 "$D/always/g"
	stored "$D/in/h" big
	mv "$D/in/h" "$D/never/h"
	is "$(count_callbacks "$D/never/h")" 0
	is "$(attr callback.state "$D/never/h")" none
	same "$D/never/h" big
}

@test "a callback for a new name is a delivery of its own" {
	cp big "$D/auto/f"
	mv "$D/auto/f" "$D/always/f"
	told 1 "$D/always/f"
	first=$(callbacks_of "$D/auto/f" .fields.id)
	second=$(callbacks_of "$D/always/f" .fields.id)
	[ "$first" != "$second" ]
	is "$(attr callback.delivery_id "$D/always/f")" "$second"
}

@test "a folder: each file in it by its own rule, once" {
	mkdir -p "$D/in/day/sub"
	: >empty
	for i in 1 2 3; do stored "$D/in/day/$i" big; done
	stored "$D/in/day/sub/4" big
	stored "$D/in/day/sub/empty" empty
	mark=$(mark)
	mv "$D/in/day" "$D/auto/day"
	for i in 1 2 3 sub/4; do told 1 "$D/auto/day/$i"; done
	told 1 "$D/auto/day/sub/empty" empty
	is "$(requests_since "$mark" | grep -cE '^UploadPart ')" 0
	is "$(callbacks_below "$D/in")" 0
	fails test -e "$D/in/day"
	mv "$D/auto/day" "$D/auto/again" # told already
	is "$(callbacks_below "$D/auto/again")" 0
	for i in 1 2 3 sub/4; do same "$D/auto/again/$i" big; done
}

callbacks_below() { # FOLDER
	grep -cF "\"object\":\"$(key_of "$1")/" "$W/callbacks.jsonl" || true
}

@test "a rename whose callback fails is still a rename" {
	log_allow 'callback: '
	stored "$D/in/f" big
	stored "$D/in/d1" big
	answer '{"status":503}'
	mv "$D/in/f" "$D/failing/f"
	mkdir "$D/in/d"
	mv "$D/in/d1" "$D/in/d/1"
	mv "$D/in/d" "$D/failing/d"
	answer '{}'
	for f in f d/1; do
		same "$D/failing/$f" big
		is "$(attr callback.state "$D/failing/$f")" failed
		is "$(attr callback.server_status "$D/failing/$f")" 503
		fails oss_has "$(key_of "$D/in/$f")"
		oss_get "$(key_of "$D/failing/$f")" got
		same got big
	done
	fails test -e "$D/in/f"
}

@test "a rename whose callback fails is repeated, with its delivery id" {
	log_allow 'callback: '
	stored "$D/in/f" big
	answer '{"status":503,"count":1}'
	mv "$D/in/f" "$D/auto/f"
	wait_is ok attr callback.state "$D/auto/f"
	wait_is 2 count_callbacks "$D/auto/f"
	is "$(callbacks_of "$D/auto/f" .fields.id | sort -u | wc -l)" 1
}

@test "renamed while its callback is still to be repeated: told under the new name" {
	log_allow 'callback: '
	answer '{"status":503}'
	cp big "$D/auto/f"
	is "$(attr callback.state "$D/auto/f")" failed
	mv "$D/auto/f" "$D/auto/g"
	answer '{}'
	wait_is ok attr callback.state "$D/auto/g"
	callback_lines "$D/auto/g" >lines
	is "$(jq -r 'select(.status == 200) | .fields.object' lines | sort -u)" "$(key_of "$D/auto/g")"
	is "$(jq -r --arg k "$(key_of "$D")/" 'select(.fields.object | startswith($k)) | .fields.id' \
		"$W/callbacks.jsonl" | sort -u | wc -l)" 1
}

@test "over a file that was told of: the new content is told" {
	echo old >"$D/auto/f"
	wait_is 1 count_callbacks "$D/auto/f"
	stored "$D/in/f" big
	mv "$D/in/f" "$D/auto/f"
	told 2 "$D/auto/f"
}
