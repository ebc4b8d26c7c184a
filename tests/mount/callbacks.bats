#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Application servers that answer in every way but the right one, and what the
# file's attributes say of each.
# bats file_tags=asan

load lib/common

# A TLS server that nobody trusts; four ports where nobody listens.
dead_ports() {
	python3 - <<-'PY'
		import socket
		held = [socket.socket() for _ in range(4)]
		for s in held:
		    s.bind(('127.0.0.1', 0))
		print(*[s.getsockname()[1] for s in held])
	PY
}

before_mount() {
	local p dead=
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$W/tls.key" \
		-out "$W/tls.crt" -days 2 -subj /CN=app.example.com 2>/dev/null
	spawn answers python3 "$BATS_TEST_DIRNAME/lib/answers.py" "$W"
	spawn answers-tls python3 "$BATS_TEST_DIRNAME/lib/answers.py" "$W" \
		"$W/tls.crt" "$W/tls.key"
	wait_for has_port answers
	wait_for has_port answers-tls
	ODD=http://127.0.0.1:$(<"$W/answers.port")
	for p in $(dead_ports); do dead+="http://127.0.0.1:$p/;"; done
	# A failed callback stays failed: its repetition is another file's subject.
	sed -i 's/^\[callback\]$/&\nretry_for = 0/' "$W/ackfs.conf"
	conf_add 'callback "tls"' 'match = **/bad-tls' \
		"url = https://127.0.0.1:$(<"$W/answers-tls.port")/fine"
	conf_add 'callback "fifth"' 'match = **/fifth' "url = $dead$ODD/fine"
	conf_add 'callback "nobody"' 'match = **/nobody' "url = ${dead%;}"
	conf_add 'callback "odd"' 'match = **/odd/**' "url = $ODD/%{name}"
}

teardown_file() {
	world_use "$BATS_FILE_TMPDIR/world"
	stop answers
	stop answers-tls
	file_teardown
}

# What the attributes say: state, OSS's status, the application's, EC, error.
outcome_of() { # PATH
	local name
	for name in state oss_status server_status ec error; do
		printf '%s|' "$(attr "callback.$name" "$1" 2>/dev/null || echo -)"
	done
}

# Each file's name says how it is answered.
@test "answers of every kind: outcome and attributes" {
	log_allow 'callback: '
	mkdir "$D/odd"
	cat >table <<-'EOF'
		fine         ok      200  200  -              -
		escaped-nul  ok      200  200  -              -
		100KB        ok      200  200  -              -
		fifth        ok      200  200  -              -
		3MB          failed  203  400  -              Error Status : 400.User server return too long content-length value.
		empty        failed  203  400  -              Error Status : 400.User server return invalid conent-length value.
		chunked      failed  203  400  -              Error Status : 400.User server missing content-length.
		until-close  failed  203  400  -              Error Status : 400.User server missing content-length.
		no-json      failed  203  -    0007-00000205  Response body is not valid json format.
		bom          failed  203  -    0007-00000205  Response body is not valid json format.
		nul          failed  203  -    0007-00000205  Response body is not valid json format.
		redirect     failed  203  302  0007-00000203  Error status : 302.
		201          failed  203  201  0007-00000203  Error status : 201.
		204          failed  203  204  0007-00000203  Error status : 204.
		404          failed  203  404  0007-00000203  Error status : 404.
		500          failed  203  500  0007-00000203  Error status : 500.
		cut          failed  203  502  0007-00000203  Error status : 502.
		bad-tls      failed  203  502  0007-00000203  Error status : 502.
		nobody       failed  203  502  0007-00000203  Error status : 502.
		late         failed  203  -    0007-00000202  Error status : -1 127.0.0.1:PORT reply timeout, cost:5000ms, timeout:5000ms (err -4, errno115)
	EOF
	while read -r name _; do echo "of $name" >"$D/odd/$name" & done <table
	wait
	while read -r name state oss server ec error; do
		f=$D/odd/$name
		is "$(outcome_of "$f" | sed 's/127.0.0.1:[0-9]*/127.0.0.1:PORT/')" \
			"$state|$oss|$server|$ec|$error|" "$name"
		settled "$f"
		is "$(attr callback.attempts "$f")" 1 "attempts of $name"
		is "$(count_uploads "$f")" 1 "uploads of $name"
		oss_get "$(key_of "$f")" got
		is "$(cat got)" "of $name"
		if [ "$state" = failed ]; then
			fails attr callback.response "$f" 2>/dev/null
			is "$(attr callback.error_code "$f")" CallbackFailed
		fi
		getfattr --absolute-names -d -m - "$f" >all
		grep -q '^user.oss.callback.delivery_id=' all
	done <table
}

@test "an answer is kept byte for byte, and in the log where an attribute is too small" {
	mkdir "$D/odd"
	for f in fine escaped-nul 100KB; do
		echo x >"$D/odd/$f"
		"$BIN/ackctl" log --json "$D/odd/$f" | jq -j .response >"$f"
	done
	is "$(attr callback.response "$D/odd/fine")" '{"Status":"OK"}'
	is "$(attr callback.response "$D/odd/escaped-nul")" '{"a":"x\u0000y"}'
	is "$(cat escaped-nul)" '{"a":"x\u0000y"}'
	is "$(wc -c <100KB)" 100000
	is "$(jq -r '.pad | length' 100KB)" 99990
	too_large "$D/odd/100KB" 100000
}

# The attribute says so, and does not break the listing of the others.
too_large() { # PATH SIZE
	attr callback.response "$1" | grep -q "an answer of $2 bytes"
	getfattr --absolute-names -d -m - "$1" >all
	grep -q "an answer of $2 bytes" all
	grep -q '^user.oss.callback.delivery_id=' all
}

@test "3 MB where OSS takes 3 MB: kept whole" {
	mount_stop
	emulator_restart --callback-answer-max 3M
	mount_start
	mkdir "$D/odd"
	echo x >"$D/odd/3MB"
	is "$(attr callback.state "$D/odd/3MB")" ok
	too_large "$D/odd/3MB" 3000000
	"$BIN/ackctl" log --json "$D/odd/3MB" | jq -j .response >got
	is "$(wc -c <got)" 3000000
	is "$(jq '.pad | length' got)" 2999990
	"$BIN/ackctl" log "$D/odd/3MB" >line # for people: cut
	[ "$(wc -c <line)" -lt 1000 ]
}

@test "a multipart upload gets its answer in place of OSS's XML" {
	mkdir "$D/odd"
	log_allow 'callback: '
	for f in fine 500; do
		head -c 40M /dev/zero >"$D/odd/$f"
		is "$(count_requests -k "$(key_of "$D/odd/$f")" CompleteMultipartUpload)" 1
	done
	is "$(outcome_of "$D/odd/fine")" 'ok|200|200|-|-|'
	is "$(attr callback.response "$D/odd/fine")" '{"Status":"OK"}'
	is "$(outcome_of "$D/odd/500")" 'failed|203|500|0007-00000203|Error status : 500.|'
	is "$(count_uploads "$D/odd/500")" 1
}

@test "the first four of five addresses are down: asked in order, the fifth answers" {
	local mark
	mark=$(mark)
	echo x >"$D/fifth"
	is "$(attr callback.state "$D/fifth")" ok
	attr callback.url "$D/fifth" | tr ';' '\n' >want
	is "$(wc -l <want)" 4 # and the last, without a line feed
	tail -c +$((mark + 1)) "$W/requests.jsonl" |
		jq -r 'select(.operation == "Callback") | .url' >got
	is "$(cat got)" "$(cat want)"
}
