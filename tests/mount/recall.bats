#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Callbacks that are made again after the application server was down: the same
# delivery, the same object, one file that probes while the others wait.
# shellcheck disable=SC2016 # ${...} is OSS's, not the shell's

load lib/common

before_mount() {
	conf_add 'callback.vars "vars"' 'when = first'
	conf_add 'callback "vars"' 'match = **' \
		'body = {"id":${x:ackfs_id},"object":${object},"size":${size},"etag":${etag},"op":${operation},"when":${x:when}}'
}

server_down() { answer '{"status":503}'; }
server_up() { answer '{}'; }

# Failed so far, in this test's own way.
failed_one() { # PATH FILE
	log_allow 'callback: '
	server_down
	cp "$2" "$1"
	is "$(attr callback.state "$1")" failed
}

acl_of() { OSS_SUB=acl oss GET "$1" | grep -oE '<Grant>[^<]*' | cut -d'>' -f2; } # KEY
tags_of() { OSS_SUB=tagging oss GET "$1" | tr -d '\n' | grep -oE '<Tag>.*</Tag>' || true; } # KEY

set_acl() { OSS_SUB=acl OSS_HEADERS="x-oss-object-acl: $2" oss PUT "$1" -o /dev/null; } # KEY ACL

# All of an object that a copy might change, but its ETag and times.
properties() { # KEY
	oss_head "$1" | grep -iE '^(content-type|content-length|content-disposition|cache-control|x-oss-meta-[^:]*|x-oss-storage-class|x-oss-hash-crc64ecma|x-oss-tagging-count):' |
		sort
	acl_of "$1"
	tags_of "$1"
}

@test "answered in the end: one delivery, and the object is what it was" {
	random_file big 300000
	log_allow 'callback: '
	for class in Standard IA; do
		key=$(key_of "$D")/$class.pdf
		OSS_TYPE=application/x-own OSS_HEADERS="x-oss-meta-colour: blue
x-oss-storage-class: $class
x-oss-tagging: a=1&b=two" oss PUT "$key" -o /dev/null --data-binary @big \
			-H 'Cache-Control: max-age=7' -H 'Content-Disposition: attachment'
	done
	"$BIN/ackctl" invalidate "$D"
	server_down
	for class in Standard IA; do
		printf more >>"$D/$class.pdf"
		is "$(attr callback.state "$D/$class.pdf")" failed
		set_acl "$(key_of "$D")/$class.pdf" public-read
		properties "$(key_of "$D")/$class.pdf" >"$class.before"
		grep -qx public-read "$class.before"
		grep -qi 'x-oss-meta-colour: blue' "$class.before"
		grep -qi 'cache-control: max-age=7' "$class.before"
		grep -q '<Key>a</Key>' "$class.before"
	done
	server_up
	for class in Standard IA; do
		f=$D/$class.pdf
		wait_is ok attr callback.state "$f"
		properties "$(key_of "$f")" >"$class.after"
		same "$class.after" "$class.before"
		[ "$(attr callback.attempts "$f")" -ge 2 ]
		is "$(callbacks_of "$f" .fields.id | sort -u | wc -l)" 1
		is "$(callbacks_of "$f" .fields.id | tail -n 1)" "$(attr callback.delivery_id "$f")"
		is "$(count_uploads "$f")" "$(($(count_callbacks "$f") + 1))"
		cat big <(printf more) >want
		oss_get "$(key_of "$f")" got
		same got want
		same "$f" want
	done
}

# The requests about a key since MARK, sorted.
asked() { requests_since "$1" | awk -v key="$2" '$2 == key { print $1 }' | sort; } # MARK KEY

# It failed while nothing was mounted: what comes next is the first repetition.
failed_and_stopped() { # PATH FILE
	failed_one "$@"
	mount_crash
	server_up
	mark=$(mark)
}

@test "a small file's repetition: HEAD, the ACL and a PUT of the kept bytes, under the same ETag" {
	random_file src 262144
	key=$(key_of "$D/f")
	OSS_TYPE=application/x-own OSS_HEADERS="x-oss-meta-colour: blue
x-oss-storage-class: IA
x-oss-tagging: a=1&b=two" oss PUT "$key" -o /dev/null --data-binary @src \
		-H 'Cache-Control: max-age=7' -H 'Content-Disposition: attachment'
	"$BIN/ackctl" invalidate "$D"
	failed_one "$D/f" src
	failed_and_stopped "$D/plain" src
	set_acl "$key" public-read
	properties "$key" >before
	grep -qx public-read before
	grep -qi 'x-oss-storage-class: IA' before
	grep -q '<Key>a</Key>' before
	etag=$(oss_header "$key" etag)
	mark=$(mark)
	mount_start
	wait_for stored_since "$mark" "$key"
	wait_for stored_since "$mark" "$(key_of "$D/plain")"
	is "$(asked "$mark" "$key" | xargs)" 'GetObjectACL GetObjectTagging HeadObject PutObject'
	is "$(asked "$mark" "$(key_of "$D/plain")" | xargs)" 'GetObjectACL HeadObject PutObject'
	properties "$key" >after
	same after before
	is "$(oss_header "$key" etag)" "$etag"
	wait_is ok attr callback.state "$D/f"
	is "\"$(attr etag "$D/f")\"" "$etag"
	is "$(callbacks_of "$D/f" .fields.id | sort -u | wc -l)" 1
	same "$D/f" src
}

stored_since() { [ "$(count_requests -s "$1" -k "$2" PutObject CompleteMultipartUpload)" -ge 1 ]; } # MARK KEY

@test "a byte more than is kept: copied by the server" {
	random_file src 262145
	failed_and_stopped "$D/f" src
	mount_start
	wait_is ok attr callback.state "$D/f"
	is "$(count_requests -s "$mark" -k "$(key_of "$D/f")" PutObject)" 0
	same "$D/f" src
}

is_old() { [ $(($(date +%s) - $(date -d "$(oss_header "$1" last-modified)" +%s))) -gt 3 ]; } # KEY

@test "killed while a repetition is answered: made once more, with the same bytes" {
	random_file src 1000
	failed_and_stopped "$D/f" src
	before=$(count_callbacks "$D/f")
	# Of another time for sure: Last-Modified may be 2 s off.
	wait_for is_old "$(key_of "$D/f")"
	fault PutObject "$(key_of "$D/f")" stall_after
	mount_start
	wait_is $((before + 1)) count_callbacks "$D/f"
	mount_crash
	faults_clear
	mount_start
	wait_is ok attr callback.state "$D/f"
	is "$(callbacks_of "$D/f" .fields.id | sort -u | wc -l)" 1
	is "$(count_callbacks "$D/f")" $((before + 2))
	is "$(count_requests -s "$mark" -k "$(key_of "$D/f")" InitiateMultipartUpload)" 0
	oss_get "$(key_of "$D/f")" got
	same got src
}

@test "the ETag is asked for right before each, and somebody else's object is left alone" {
	echo x >src
	failed_one "$D/f" src
	mark=$(mark)
	echo theirs >theirs
	oss_put "$(key_of "$D/f")" theirs
	server_up
	wait_is 1 given_up "$D/f"
	oss_get "$(key_of "$D/f")" got
	same got theirs
	is "$(count_callbacks "$D/f")" 1
	is "$(count_requests -s "$mark" -k "$(key_of "$D/f")" InitiateMultipartUpload PutObject)" 1 # theirs
	"$BIN/ackctl" log --state given-up "$D/f" >out
	is "$(wc -l <out)" 1
}

@test "an object that was archived meanwhile: OSS refuses the copy, given up" {
	echo x >src
	failed_one "$D/f" src
	OSS_HEADERS="x-oss-copy-source: /$BUCKET/$(key_of "$D/f")
x-oss-metadata-directive: REPLACE
x-oss-storage-class: Archive" oss PUT "$(key_of "$D/f")" -o /dev/null
	server_up
	wait_is 1 given_up "$D/f"
	is "$(count_callbacks "$D/f")" 1
	is "$(oss_class "$(key_of "$D/f")")" Archive
	"$BIN/ackctl" log --state given-up "$D/f" >out
	is "$(wc -l <out)" 1
}

oss_class() { oss HEAD "$1" -I | tr -d '\r' | awk 'tolower($1) == "x-oss-storage-class:" { print $2 }'; }

given_up() { "$BIN/ackctl" log --json "$1" | jq -s '[.[] | select(.given_up)] | length'; }

@test "what was promised at the close is what is sent again, whatever is configured now" {
	echo x >src
	failed_one "$D/f" src
	first=$(callbacks_of "$D/f" .fields.id | head -n 1)
	mount_stop
	sed -i -e 's/^when = first/when = second/' \
		-e "s,^url = $RCV/uploaded,url = $RCV/elsewhere," "$W/ackfs.conf"
	server_up
	mount_start
	wait_is ok attr callback.state "$D/f"
	is "$(callbacks_of "$D/f" .fields.when | sort -u)" first
	is "$(callbacks_of "$D/f" .fields.id | sort -u)" "$first"
	is "$(callbacks_of "$D/f" .path | sort -u)" /uploaded
	echo y >"$D/g"
	is "$(attr callback.state "$D/g")" ok
	is "$(callbacks_of "$D/g" '.path + " " + .fields.when')" '/elsewhere second'
	sed -i -e 's/^when = second/when = first/' \
		-e "s,^url = $RCV/elsewhere,url = $RCV/uploaded," "$W/ackfs.conf"
	remount
}

@test "while the server is down one file probes and the others wait" {
	log_allow 'callback: '
	stop receiver
	# shellcheck disable=SC2034 # receiver_start reads it
	RCV_PORT=${RCV##*:}
	for i in $(seq 40); do echo "$i" >"$D/$i" & done
	wait
	for i in $(seq 40); do is "$(attr callback.state "$D/$i")" failed; done
	mark=$(mark)
	asleep=$SECONDS
	wait_for probes_since 3
	# 1, 2, 4 s apart, give or take: not 40 at a time.
	[ "$(posts_since | wc -l)" -le 4 ]
	[ $((SECONDS - asleep)) -ge 3 ]
	mark=$(mark)
	receiver_start
	for i in $(seq 40); do wait_is ok attr callback.state "$D/$i"; done
	posts_since >posts
	is "$(sort -u posts | wc -l)" 40
	[ "$(wc -l <posts)" -le 41 ] # a probe may just have been under way
	for i in $(seq 40); do
		is "$(count_callbacks "$D/$i")" 1
		is "$("$BIN/ackctl" log --json "$D/$i" | jq -r .delivery_id | sort -u | wc -l)" 1
	done
}

posts_since() {
	tail -c +$((mark + 1)) "$W/requests.jsonl" |
		jq -r 'select(.operation == "Callback") | .key'
}

probes_since() { [ "$(posts_since | wc -l)" -ge "$1" ]; }

@test "a probe that is refused for itself does not hold up the others" {
	log_allow 'callback: '
	server_down
	for i in 1 2 3; do echo $i >"$D/$i"; done
	# One of them never succeeds.
	fault Callback "$(key_of "$D")/1" status ',"status":500'
	server_up
	for i in 2 3; do wait_is ok attr callback.state "$D/$i"; done
	is "$(attr callback.state "$D/1")" failed
	faults_clear
	wait_is ok attr callback.state "$D/1"
}

@test "setfattr callback.retry, retry-callback --failed and --since" {
	log_allow 'callback: '
	server_down
	for i in 1 2 3; do echo $i >"$D/$i"; done
	since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	sleep 1
	echo 4 >"$D/4"
	server_up
	setfattr -n user.oss.callback.retry -v 1 "$D/1"
	wait_is ok attr callback.state "$D/1"
	"$BIN/ackctl" retry-callback --failed --since "$since" --mount "$MNT" >out
	wait_is ok attr callback.state "$D/4"
	"$BIN/ackctl" retry-callback --failed --mount "$MNT" >out
	for i in 2 3; do wait_is ok attr callback.state "$D/$i"; done
	for i in 1 2 3 4; do
		is "$(callbacks_of "$D/$i" .fields.id | sort -u | wc -l)" 1
		is "$(attr callback.history "$D/$i" | jq -r '.[0].state, .[-1].state')" $'ok\nfailed'
	done
}

@test "callback.history has the last ten attempts, newest first" {
	echo x >"$D/f"
	for i in $(seq 11); do
		setfattr -n user.oss.callback.retry -v 1 "$D/f"
		wait_is $((i + 1)) count_callbacks "$D/f"
		wait_is $((i + 1)) attr callback.attempts "$D/f"
	done
	attr callback.history "$D/f" >history
	is "$(jq length history)" 10
	is "$(jq -c '[.[].attempt]' history)" '[12,11,10,9,8,7,6,5,4,3]'
	is "$(jq -r '.[].delivery_id' history | sort -u)" "$(attr callback.delivery_id "$D/f")"
}
