#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The application's answer, read back from the file: never stale, never in
# the way of others, still there after a remount.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

ROUNDS=500

# A failed callback stays failed: its repetition is another file's subject.
before_mount() { sed -i 's/^\[callback\]$/&\nretry_for = 0/' "$W/ackfs.conf"; }

# rounds COMMAND: run for i in 1..ROUNDS with $f and $i; the answer that
# getfattr shows after each must be the receiver's next one.
rounds() {
	local first
	f=$D/f
	first=$(wc -l <"$W/callbacks.jsonl")
	for ((i = 1; i <= ROUNDS; i++)); do
		eval "$1"
		getfattr --absolute-names --only-values \
			-n user.oss.callback.response "$f"
		echo
	done >got
	tail -n +$((first + 1)) "$W/callbacks.jsonl" | jq -r .answer >want
	is "$(wc -l <want)" $ROUNDS
	same got want
}

@test "cmd > f; getfattr f: 500 rounds" {
	rounds '/bin/echo $i >"$f"'
}

@test "(a; b) > f; getfattr f, which RELEASE decides: 500 rounds" {
	rounds '(/bin/echo $i; /bin/true) >"$f"'
}

@test "cmd >> f; getfattr f, the shell's own echo: 500 rounds" {
	rounds 'echo $i >>"$f"'
}

@test "getfattr -d shows what there is to know" {
	echo hello >"$D/f.txt"
	uploaded 1 "$D/f.txt" <<<hello
	attrs=$(getfattr --absolute-names -d -m '^user\.oss\.' "$D/f.txt")
	for name in key etag crc64 content_type size request_id upload.state \
		callback.state callback.response callback.oss_status \
		callback.time callback.elapsed_ms callback.attempts \
		callback.request_id callback.delivery_id callback.url \
		callback.host callback.body callback.body_type callback.vars; do
		grep -q "^user\.oss\.$name=" <<<"$attrs" || fail "no $name in: $attrs"
	done
	fails grep -q 'callback\.error' <<<"$attrs"
	is "$(attr key "$D/f.txt")" "$(key_of "$D/f.txt")"
	is "$(attr size "$D/f.txt")" 6
	is "$(attr content_type "$D/f.txt")" text/plain
	is "$(attr upload.state "$D/f.txt")" "done"
	is "$(attr callback.state "$D/f.txt")" ok
	is "$(attr callback.oss_status "$D/f.txt")" 200
	is "$(attr callback.attempts "$D/f.txt")" 1
	is "$(attr callback.url "$D/f.txt")" "$RCV/uploaded"
	is "$(attr callback.host "$D/f.txt")" app.example.com
	is "$(callbacks_of "$D/f.txt" .headers.Host)" app.example.com
	is "$(attr callback.body_type "$D/f.txt")" application/json
	is "$(attr callback.response "$D/f.txt")" "$(callbacks_of "$D/f.txt" .answer)"
	is "$(attr callback.delivery_id "$D/f.txt")" "$(callbacks_of "$D/f.txt" .id)"
	is "$(attr etag "$D/f.txt" | tr -d '"' | tr a-f A-F)" \
		"$(echo hello | md5sum | cut -c1-32 | tr a-f A-F)"
	[[ $(attr callback.time "$D/f.txt") =~ ^20..-..-..T..:..:..(\.[0-9]+)?Z$ ]]
}

@test "a callback that fails: stored all the same, and the attributes say why" {
	answer '{"status":503}'
	log_allow callback
	echo x >"$D/f"
	answer '{}'
	is "$(attr callback.state "$D/f")" failed
	is "$(attr callback.oss_status "$D/f")" 203
	is "$(attr callback.server_status "$D/f")" 503
	is "$(attr callback.error_code "$D/f")" CallbackFailed
	attr callback.error "$D/f" | grep -q .
	attr callback.ec "$D/f" | grep -q '^0007-'
	is "$(attr upload.state "$D/f")" "done"
	is "$(count_uploads "$D/f")" 1
	oss_get "$(key_of "$D/f")" got
	is "$(cat got)" x
}

@test "with on_failure = fail_close, close() says EREMOTEIO" {
	remount -o callback.on_failure=fail_close
	answer '{"status":500}'
	log_allow callback
	python3 - "$D/g" <<-'PY'
		import errno, os, sys
		fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
		os.write(fd, b"x\n")
		try:
		    os.close(fd)
		except OSError as e:
		    sys.exit(e.errno != errno.EREMOTEIO)
		sys.exit("close() returned 0")
	PY
	answer '{}'
	oss_get "$(key_of "$D/g")" got
	is "$(cat got)" x
	remount
}

@test "an object of another tool: unknown, and no callback attributes but that" {
	oss_put "$(key_of "$D")-foreign" <(echo x)
	remount
	f=$D-foreign
	is "$(attr callback.state "$f")" unknown
	is "$(getfattr --absolute-names -d -m 'callback' "$f" | grep -c =)" 1
	fails attr callback.response "$f" 2>err
	grep -q 'No such attribute' err
}

@test "everything survives a remount" {
	echo x >"$D/f"
	uploaded 1 "$D/f" <<<x
	getfattr --absolute-names -d -m '^user\.oss\.callback' "$D/f" >before
	remount
	getfattr --absolute-names -d -m '^user\.oss\.callback' "$D/f" >after
	same after before
}

@test "overwritten by another tool: unknown" {
	echo x >"$D/f"
	uploaded 1 "$D/f" <<<x
	uncounted "$D/f"
	oss_put "$(key_of "$D/f")" <(echo y)
	remount
	is "$(attr callback.state "$D/f")" unknown
	fails attr callback.response "$D/f" 2>/dev/null
}

@test "overwritten by another tool with the same bytes: unknown" {
	echo x >"$D/f"
	uploaded 1 "$D/f" <<<x
	uncounted "$D/f"
	curl -sSf -o /dev/null "$EMU/-/clock" -d '{"skew_ms":60000}'
	oss_put "$(key_of "$D/f")" <(echo x)
	curl -sSf -o /dev/null "$EMU/-/clock" -d '{"skew_ms":0}'
	remount
	is "$(attr callback.state "$D/f")" unknown
}

@test "a second upload replaces the first one's outcome" {
	echo one >"$D/f"
	first=$(attr callback.delivery_id "$D/f")
	answer '{"status":503}'
	log_allow callback
	echo two >"$D/f"
	answer '{}'
	is "$(attr callback.state "$D/f")" failed
	[ "$(attr callback.delivery_id "$D/f")" != "$first" ]
	fails attr callback.response "$D/f" 2>/dev/null
}

@test "security, system and trusted attributes cost no request" {
	echo x >"$D/f"
	uploaded 1 "$D/f" <<<x
	mark=$(mark)
	fails getfattr --absolute-names -n security.capability "$D/f" 2>err
	grep -q 'No such attribute' err
	# "Never any here" is what lets ls -l ask once, not for each file.
	for name in trusted.x security.selinux system.posix_acl_access; do
		fails getfattr --absolute-names -n $name "$D/f" 2>err
		grep -q 'Operation not supported' err
	done
	is "$(count_requests -s "$mark")" 0
}

@test "user metadata is written and read back" {
	echo x >"$D/f"
	setfattr -n user.oss.meta.colour -v blue "$D/f"
	is "$(attr meta.colour "$D/f")" blue
	wait_is blue oss_header "$(key_of "$D/f")" x-oss-meta-colour
	is "$(attr callback.state "$D/f")" ok
	uploaded 1 "$D/f" <<<x
}

@test "user metadata is refused where its sum is more than OSS holds" {
	local value
	value=$(printf 'v%.0s' $(seq 3000))
	echo x >"$D/f"
	setfattr -n user.oss.meta.a -v "$value" "$D/f"
	setfattr -n user.oss.meta.b -v "$value" "$D/f"
	run setfattr -n user.oss.meta.c -v "$value" "$D/f"
	[ "$status" -ne 0 ]
	[[ $output == *"Argument list too long" ]]
	setfattr -n user.oss.meta.b -v short "$D/f" # what it replaces does not count
	setfattr -n user.oss.meta.c -v "$value" "$D/f"
	wait_is "$value" oss_header "$(key_of "$D/f")" x-oss-meta-c
}

# -- nobody waits for another's upload ---------------------------------------------------

# A file whose upload stalls until faults_clear; the writer waits in close().
stalled() { # PATH
	fault PutObject "$(key_of "$1")" stall
	echo stalled >"$1" &
	wait_is 1 fault_hits
}

@test "ls -l of a directory with a stalled upload does not wait" {
	echo x >"$D/other"
	stalled "$D/f"
	quick 10 ls -l "$D" >out
	grep -q ' 8 .* f$' out
	quick 10 cat "$D/f" >got
	is "$(cat got)" stalled
	quick 10 stat "$D/f" >/dev/null
	quick 10 ls "$D"/none 2>/dev/null || true
	is "$(quick 10 getfattr --absolute-names --only-values -n user.oss.callback.state "$D/f")" pending
	is "$(quick 10 getfattr --absolute-names --only-values -n user.oss.upload.state "$D/f")" uploading
	quick 10 getfattr "$D/f" >/dev/null
	quick 10 touch "$D/new"
	faults_clear
	wait $!
	uploaded 1 "$D/f" <<<stalled
}

@test "getxattr of the answer waits for the running upload" {
	stalled "$D/f"
	attr callback.response "$D/f" >got &
	reader=$!
	sleep 0.3
	[ ! -s got ]
	faults_clear
	wait $reader
	is "$(cat got)" "$(callbacks_of "$D/f" .answer)"
}

@test "getfattr -d of a stalled upload answers when it is done" {
	stalled "$D/f"
	getfattr --absolute-names -d -m callback "$D/f" >got &
	reader=$!
	faults_clear
	wait $reader
	grep -q 'callback.state="ok"' got || grep -q 'callback.state="pending"' got
}

@test "64 closes that wait do not slow down a lookup elsewhere" {
	mkdir "$D/busy" "$D/idle"
	echo x >"$D/idle/f"
	fault PutObject "$(key_of "$D")/busy/*" stall
	for i in $(seq 64); do echo "$i" >"$D/busy/$i" & done
	wait_for enough_hits
	for i in $(seq 20); do
		quick 5 stat "$D/idle/f" >/dev/null
		quick 5 ls "$D/idle" "$D/busy" >/dev/null
		quick 5 stat "$D/idle/none$i" 2>/dev/null || is $? 1
		quick 5 stat "$D/busy/none$i" 2>/dev/null || is $? 1
		quick 5 cat "$D/idle/f" >/dev/null
	done
	faults_clear
	wait
	is "$(requests_since 0 | grep -c "^PutObject $(key_of "$D")/busy/.")" 64
}

enough_hits() { [ "$(fault_hits)" -ge 10 ]; }
