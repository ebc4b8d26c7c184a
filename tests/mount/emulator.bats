#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ackfs-emulator as it runs: curl at its port, faults, callbacks, other clients.
# shellcheck disable=SC2016 # ${...} is the callback's, not the shell's

load lib/emulator

setup() {
	cd "$BATS_TEST_TMPDIR"
	HELPERS=()
}

teardown() {
	local p
	for p in "${HELPERS[@]}"; do kill "$p" 2>/dev/null || true; done
	emulator_stop
}

is() {
	[ "$1" = "$2" ] || {
		printf 'got  %s\nwant %s\n' "$1" "$2"
		return 1
	}
}

# "! command" does not fail a test; this does when the command succeeds.
fails() { if "$@"; then return 1; fi; }

# curl with its status code, or exit status after an E.
code() {
	local status=0
	curl -sS -o body -D head -w '%{http_code}' "$@" 2>curl.err || status=$?
	[ $status -eq 0 ] || printf 'E%s' $status
}

open() { emulator_start --bucket test --anonymous "$@"; }

put() { code -T - "$EMULATOR_URL/test/$1" "${@:2}"; }
get() { code "$EMULATOR_URL/test/$1" "${@:2}"; }

# An application on a port of its own: answers {"n":N}, keeps requests in
# app.log, a JSON line each.
start_app() {
	cat >app.py <<-'PY'
		import http.server, json
		class Handler(http.server.BaseHTTPRequestHandler):
		    protocol_version = 'HTTP/1.1'
		    n = 0
		    def do_POST(self):
		        body = self.rfile.read(int(self.headers['Content-Length'])).decode()
		        Handler.n += 1
		        with open('app.log', 'a') as f:
		            print(json.dumps({'path': self.path, 'body': body,
		                              'headers': dict(self.headers)}), file=f)
		        answer = json.dumps({'n': Handler.n}).encode()
		        self.send_response(200)
		        self.send_header('Content-Type', 'application/json')
		        self.send_header('Content-Length', str(len(answer)))
		        self.end_headers()
		        self.wfile.write(answer)
		    def log_message(self, *args):
		        pass
		server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
		print(server.server_port, flush=True)
		server.serve_forever()
	PY
	python3 -u app.py >app.port 2>app.err 3>&- &
	HELPERS+=($!)
	emulator_wait test -s app.port
	APP=127.0.0.1:$(cat app.port)
}

# callback BODY: the header's value.
callback() {
	printf '{"callbackUrl":"%s/cb","callbackBody":"%s"}' "$APP" "$1" | base64 -w0
}

@test "says that it is ready and ends at SIGTERM" {
	open
	is "$(cat emulator.out)" "ackfs-emulator: ready: url=$EMULATOR_URL"
	emulator_stop
	is "$?" 0
}

@test "help, version and mistakes" {
	"$EMULATOR" --help >help
	grep -q -- '--forbid-private-callbacks' help
	grep -q 'reset_after' help
	"$EMULATOR" --version | grep -q '^ackfs-emulator '
	run "$EMULATOR"
	is "$status" 2
	run "$EMULATOR" --dir x --port 99999
	is "$status" 2
	run "$EMULATOR" --dir x --latency-ms soon
	is "$status" 2
	run "$EMULATOR" --dir x --no-such-option
	is "$status" 2
	run "$EMULATOR" --dir x --bucket UPPER
	is "$status" 1
}

@test "objects survive a restart, leftovers do not" {
	open
	is "$(echo one | put a/b -H 'x-oss-meta-m: 1')" 200
	emulator_stop
	mkdir -p emulator.d/blobs/00
	touch emulator.d/blobs/00/00112233445566778899aabbccddeeff
	touch emulator.d/buckets/test/objects/junk.tmp
	emulator_restart --anonymous
	is "$(get a/b)" 200
	is "$(cat body)" one
	grep -qi '^x-oss-meta-m: 1' head
	fails test -e emulator.d/blobs/00/00112233445566778899aabbccddeeff
	is "$(find emulator.d/blobs -type f | wc -l)" 1
	is "$(code -X DELETE "$EMULATOR_URL/test/a/b")" 204
	is "$(find emulator.d/blobs -type f | wc -l)" 0
}

@test "every request is a line of the log before it is answered" {
	open
	echo x | put k >/dev/null
	for _ in 1 2 3; do get k >/dev/null; done
	get none >/dev/null
	curl -s "$EMULATOR_URL/test?list-type=2&prefix=a" >/dev/null
	is "$(emulator_count GetObject) $(emulator_count GetObject k)" '4 3'
	is "$(emulator_count ListObjectsV2)" 1
	is "$(emulator_log '[(r["status"], r.get("code")) for r in log][-2]')" \
		"(404, 'NoSuchKey')"
	is "$(emulator_log 'log[0]["bytes_in"], log[1]["bytes_out"]')" '(2, 2)'
	curl -s "$EMULATOR_URL/-/stats" >stats
	is "$(python3 -c 'import json; s=json.load(open("stats")); print(s["requests"], s["operations"]["GetObject"])')" \
		'6 4'
}

@test "V1 signatures by hand: right, wrong, late" {
	emulator_start --bucket test
	sign() { # DATE
		printf 'PUT\n\n\n%s\n/test/k' "$1" |
			openssl dgst -sha1 -hmac emulator-secret -binary | base64
	}
	now=$(LC_ALL=C date -u '+%a, %d %b %Y %T GMT')
	is "$(put k -H "Date: $now" -H "Authorization: OSS emulator-key:$(sign "$now")" </dev/null)" 200
	is "$(put k -H "Date: $now" -H "Authorization: OSS emulator-key:$(sign x)" </dev/null)" 403
	grep -q '<StringToSign>PUT&#xA;&#xA;&#xA;' body
	is "$(put k </dev/null)" 403
	curl -sS -d '{"skew_ms":3600000}' "$EMULATOR_URL/-/clock"
	is "$(put k -H "Date: $now" -H "Authorization: OSS emulator-key:$(sign "$now")" </dev/null)" 403
	grep -q '<Code>RequestTimeTooSkewed</Code>' body
	is "$(emulator_log '[r["auth"] for r in log][0]')" v1
}

@test "keys come from files, and are not in the command line" {
	printf 'file-secret\n' >secret
	printf 'the-token\n' >token
	emulator_start --bucket test --access-key-id other \
		--access-key-secret-file secret --security-token-file token
	fails grep -qa 'file-secret\|the-token' "/proc/$EMULATOR_PID/cmdline"
	now=$(LC_ALL=C date -u '+%a, %d %b %Y %T GMT')
	sig=$(printf 'GET\n\n\n%s\nx-oss-security-token:the-token\n/test/k' "$now" |
		openssl dgst -sha1 -hmac file-secret -binary | base64)
	is "$(get k -H "Date: $now" -H 'x-oss-security-token: the-token' \
		-H "Authorization: OSS other:$sig")" 404
	curl -sS "$EMULATOR_URL/-/credentials" -d '{"access_key_id":"other",
		"access_key_secret":"file-secret","security_token":"the-token","expires":1}'
	is "$(get k -H "Date: $now" -H 'x-oss-security-token: the-token' \
		-H "Authorization: OSS other:$sig")" 403
	grep -q SecurityTokenExpired body
}

@test "the bucket may stand in the host name" {
	open
	echo x | put k >/dev/null
	is "$(code -H "Host: test.localhost:$EMULATOR_PORT" "$EMULATOR_URL/k")" 200
	is "$(code -H 'Host: test.oss-cn-hangzhou.aliyuncs.com' "$EMULATOR_URL/k")" 200
	is "$(code -H 'Host: other.localhost' "$EMULATOR_URL/k")" 404
	grep -q NoSuchBucket body
}

@test "every answer has the headers of OSS" {
	start_app
	open
	echo x | put k >/dev/null
	check() { # STATUS CURL-ARGUMENT...
		is "$(code "${@:2}")" "$1"
		tr -d '\r' <./head >lines
		grep -qx 'Server: AliyunOSS' lines
		grep -qx 'Connection: [Kk]eep-[Aa]live' lines
		grep -Eqx 'Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT' lines
		grep -Eqx 'x-oss-request-id: [0-9A-F]{24}' lines
		grep -Eqx 'x-oss-server-time: [0-9]+' lines
	}
	check 200 "$EMULATOR_URL/test/k"
	check 200 -I "$EMULATOR_URL/test/k"
	check 206 -r 0-0 "$EMULATOR_URL/test/k"
	check 304 -H 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT' "$EMULATOR_URL/test/k"
	fails grep -qi '^x-oss-e' lines
	check 404 "$EMULATOR_URL/test/none"
	check 404 -I "$EMULATOR_URL/test/none"
	check 204 -X DELETE "$EMULATOR_URL/test/none"
	check 200 "$EMULATOR_URL/test?list-type=2"
	check 200 -T "$BATS_TEST_FILENAME" -H "x-oss-callback: $(callback 'id=${reqId}')" "$EMULATOR_URL/test/k"
	# The callback knows the request by the id that the client is told.
	id=$(sed -n 's/^x-oss-request-id: //p' lines)
	grep -q "\"body\": \"id=$id\"" app.log
	grep -q "\"x-oss-request-id\": \"$id\"" app.log
	grep -qx 'Content-Length: 8' lines
	kill "${HELPERS[@]}"
	check 203 -T "$BATS_TEST_FILENAME" -H "x-oss-callback: $(callback x)" "$EMULATOR_URL/test/k"
	grep -q 'Error status : 502.' body
}

@test "a length is asked for, and errors come before the body" {
	open
	is "$(code -X PUT "$EMULATOR_URL/test/k")" 411
	head -c 3000000 /dev/zero >big
	is "$(code -T big -H 'Expect: 100-continue' "$EMULATOR_URL/none/k")" 404
	fails grep -q '^HTTP/1.1 100' head
	is "$(emulator_log 'log[-1]["bytes_in"]')" 0
	is "$(code -T big -H 'Expect:' "$EMULATOR_URL/none/k")" 404
	is "$(code -T - "$EMULATOR_URL/test/chunked" <big)" 200
	is "$(emulator_log 'log[-1]["bytes_in"]')" 3000000
}

@test "all that OSS allows in headers fits, twice over" {
	open
	local text
	text=$(printf 'y%.0s' {1..2000})
	# 8 KiB of metadata, 2 * 6.7 of callback, 11 of tags, 3 of key: 36
	printf "%s: $text\n" x-oss-meta-{a..d} x-pad-{a..z} x-fill-{a..f} >headers
	is "$(code -T headers -H @headers "$EMULATOR_URL/test/k")" 200
	is "$(curl -sI "$EMULATOR_URL/test/k" | grep -c "^x-oss-meta-.: $text")" 4
}

@test "an upload that breaks off stores nothing" {
	open
	# shellcheck disable=SC2094
	exec 9<>"/dev/tcp/127.0.0.1/$EMULATOR_PORT"
	printf 'PUT /test/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf' >&9
	exec 9>&-
	is "$(get k)" 404
	no_blobs() { [ "$(find emulator.d/blobs -type f | wc -l)" -eq 0 ]; }
	emulator_wait no_blobs
}

@test "injected errors" {
	open
	echo x | put k >/dev/null
	emulator_fault '{"operation":"Get*","count":2,"fault":"status","status":503,"code":"SlowDown"}'
	is "$(get k) $(get k) $(get k)" '503 503 200'
	emulator_fault '[{"key":"h*","fault":"html","status":502},{"key":"g","fault":"garbage"}]'
	is "$(get hello)" 502
	grep -q '<html>' body
	grep -qi 'content-type: text/html' head
	echo x | put g >/dev/null
	is "$(get g)" 200
	is "$(head -c 1 body | od -An -tx1 | tr -d ' ')" 01
	curl -sS "$EMULATOR_URL/-/faults" >rules
	is "$(python3 -c 'import json; print([(r["fault"], r["hits"]) for r in json.load(open("rules"))])')" \
		"[('status', 2), ('html', 1), ('garbage', 2)]"
	emulator_clear_faults
	is "$(get k)" 200
	is "$(code -d '{"fault":"nonsense"}' "$EMULATOR_URL/-/faults")" 400
	is "$(code -d '{"fault":"stall","opeartion":"x"}' "$EMULATOR_URL/-/faults")" 400
	is "$(emulator_log 'log[1]["fault"]')" status
}

@test "a seed gives the same hits again" {
	open
	hits() {
		emulator_fault '{"fault":"status","probability":0.3,"seed":7}' >/dev/null
		for _ in $(seq 30); do get k; done
		emulator_clear_faults >/dev/null
	}
	hits >one
	hits >two
	cmp one two
	grep -q 500 one
	grep -q 404 one
}

@test "resets, before and after the object is stored" {
	open
	emulator_fault '{"operation":"PutObject","key":"before","fault":"reset_before"}'
	emulator_fault '{"operation":"PutObject","key":"during","fault":"reset_during","bytes":70000}'
	emulator_fault '{"operation":"PutObject","key":"after","fault":"reset_after"}'
	head -c 4000000 /dev/zero >big
	[[ $(put before <<<x) == *E* ]]
	[[ $(code -T big "$EMULATOR_URL/test/during") == *E* ]]
	[[ $(put after <<<x) == *E56 ]]
	is "$(get before) $(get during) $(get after)" '404 404 200'
	is "$(emulator_count PutObject)" 3
}

@test "a stalled request holds up nobody else, and ends when cleared" {
	open
	emulator_fault '{"operation":"PutObject","fault":"stall"}'
	put k <<<x >stalled &
	waits() { curl -sS "$EMULATOR_URL/-/faults" | grep -q '"hits":1'; }
	emulator_wait waits
	is "$(get k)" 404
	is "$(wc -c <stalled)" 0
	emulator_clear_faults
	wait $!
	is "$(cat stalled)" 200
	emulator_fault '{"operation":"GetObject","fault":"stall_after"}'
	is "$(get k -m 0.5)" 000E28
	emulator_fault '{"operation":"GetObject","fault":"stall"}'
	get k >/dev/null & # ends with the server
}

@test "what arrives can be short, wrong or slow" {
	open
	head -c 300000 /dev/urandom >data
	is "$(code -T data "$EMULATOR_URL/test/k")" 200
	emulator_fault '{"key":"k","count":1,"fault":"truncate","bytes":100000}'
	is "$(get k)" 200E18
	is "$(wc -c <body)" 100000
	emulator_fault '{"key":"k","count":1,"fault":"corrupt"}'
	is "$(get k)" 200
	is "$(cmp -l data body | wc -l)" 1
	emulator_fault '{"key":"k","count":1,"fault":"wrong_crc"}'
	get k >/dev/null
	wrong=$(grep -i '^x-oss-hash' head)
	get k >/dev/null
	cmp data body
	[ "$wrong" != "$(grep -i '^x-oss-hash' head)" ]
	emulator_fault '{"key":"k","count":1,"fault":"trickle","rate":600000}'
	is "$(get k)" 200
	cmp data body
	emulator_fault '{"key":"k","count":1,"fault":"latency","ms":200}'
	get k >/dev/null
	is "$(emulator_log 'log[-1]["ms"] >= 200, log[-3]["ms"] >= 0')" '(True, True)'
}

@test "latency and a bandwidth cap for each connection" {
	open --latency-ms 50 --bandwidth 2M
	head -c 1048576 /dev/zero >data
	start=$(date +%s%N)
	is "$(code -T data "$EMULATOR_URL/test/k")" 200
	is "$(get k)" 200
	[ $((($(date +%s%N) - start) / 1000000)) -ge 1000 ]
	is "$(emulator_log 'all(r["ms"] >= 50 for r in log)')" True
}

@test "large objects do not grow the server" {
	[[ $EMULATOR != *asan* ]] || skip "ASan keeps its own memory"
	open --fast
	truncate -s 400M big
	is "$(code -T big "$EMULATOR_URL/test/big")" 200
	curl -sS "$EMULATOR_URL/test/big" | cmp - big
	peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$EMULATOR_PID/status")
	[ "$peak" -lt 40000 ]
}

@test "callbacks: the application's answer, its log line, the signature" {
	start_app
	open
	is "$(put a/b -H "x-oss-callback: $(callback 'object=${object}&size=${size}')" <<<hello)" 200
	is "$(cat body)" '{"n": 1}'
	is "$(emulator_log '[(r["operation"], r.get("callback"), r.get("outcome"), r["status"]) for r in log]')" \
		"[('Callback', None, 'ok', 200), ('PutObject', 'ok', None, 200)]"
	python3 - <<-'PY'
		import json, base64
		c = json.loads(open('app.log').readline())
		assert c['body'] == 'object=a%2Fb&size=6', c['body']
		h = c['headers']
		open('sig', 'wb').write(base64.b64decode(h['Authorization']))
		open('text', 'w').write(c['path'] + '\n' + c['body'])
		open('url', 'w').write(base64.b64decode(h['x-oss-pub-key-url']).decode())
	PY
	curl -sS -o key.pem "$(cat url)"
	openssl dgst -md5 -verify key.pem -signature sig text
}

@test "a reset after storing but before the callback leaves none" {
	start_app
	open
	emulator_fault '{"operation":"PutObject","count":1,"fault":"reset_stored"}'
	[[ $(put k -H "x-oss-callback: $(callback x)" <<<hello) == *E56 ]]
	is "$(get k)" 200
	fails test -e app.log
	is "$(put k -H "x-oss-callback: $(callback x)" <<<hello)" 200
	is "$(wc -l <app.log)" 1
}

@test "private callback addresses are refused when asked to" {
	start_app
	open --forbid-private-callbacks
	is "$(put k -H "x-oss-callback: $(callback x)" <<<hello)" 400
	grep -q '<EC>0007-00000008</EC>' body
	is "$(get k)" 404
}

@test "https callbacks check the certificate, with or without SNI" {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem \
		-out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost \
		2>/dev/null
	cat >tls.py <<-'PY'
		import http.server, ssl
		class Handler(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        self.rfile.read(int(self.headers['Content-Length']))
		        name = (Handler.sni or 'none').encode()
		        answer = b'{"sni":"' + name + b'"}'
		        self.send_response(200)
		        self.send_header('Content-Length', str(len(answer)))
		        self.end_headers()
		        self.wfile.write(answer)
		    def log_message(self, *args):
		        pass
		def note(sock, name, ctx):
		    Handler.sni = name
		ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		ctx.load_cert_chain('cert.pem', 'key.pem')
		ctx.sni_callback = note
		server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
		server.socket = ctx.wrap_socket(server.socket, server_side=True)
		print(server.server_port, flush=True)
		server.serve_forever()
	PY
	python3 -u tls.py >tls.port 2>tls.err 3>&- &
	HELPERS+=($!)
	emulator_wait test -s tls.port
	param() { # HOST SNI
		printf '{"callbackUrl":"https://%s:%s/","callbackBody":"x","callbackSNI":%s}' \
			"$1" "$(cat tls.port)" "$2" | base64 -w0
	}
	open --callback-ca "$PWD/cert.pem"
	put k -H "x-oss-callback: $(param localhost true)" <<<x >/dev/null
	is "$(cat body)" '{"sni":"localhost"}'
	put k -H "x-oss-callback: $(param localhost false)" <<<x >/dev/null
	is "$(cat body)" '{"sni":"none"}'
	is "$(put k -H "x-oss-callback: $(param 127.0.0.1 false)" <<<x)" 203
	grep -q 'Error status : 502.' body
	emulator_stop
	emulator_restart --anonymous
	is "$(put k -H "x-oss-callback: $(param localhost true)" <<<x)" 203
	emulator_stop
	emulator_restart --anonymous --no-certificate-check
	is "$(put k -H "x-oss-callback: $(param localhost false)" <<<x)" 200
}

@test "objects of a seed are listed and read" {
	open
	curl -sS -f "$EMULATOR_URL/-/seed" \
		-d '{"bucket":"test","prefix":"s/","count":2500,"size":10}'
	is "$(curl -sS "$EMULATOR_URL/test?list-type=2&max-keys=1000" | grep -o '<Key>' | wc -l)" 1000
	is "$(curl -sS "$EMULATOR_URL/test/s/00002499" | wc -c)" 10
	is "$(code -X DELETE "$EMULATOR_URL/test/s/00000000")" 204
}

@test "HTML forms upload too, with their policy and callback" {
	start_app
	emulator_start --bucket test
	policy=$(printf '{"expiration":"2100-01-01T00:00:00.000Z","conditions":[{"bucket":"test"},["starts-with","$key","in/"],["content-length-range",1,100]]}' | base64 -w0)
	sig=$(printf %s "$policy" | openssl dgst -sha1 -hmac emulator-secret -binary | base64)
	form() { # KEY DATA FIELD...
		local key=$1 data=$2
		shift 2
		printf %s "$data" >file.txt
		code "$EMULATOR_URL/test" -F "key=$key" -F OSSAccessKeyId=emulator-key \
			-F "policy=$policy" -F "Signature=${SIG-$sig}" "$@" \
			-F 'file=@file.txt;type=text/plain'
	}
	is "$(form 'in/${filename}' hello)" 204
	is "$(form in/a hello -F success_action_status=201)" 201
	grep -q '<Key>in/a</Key>' body
	is "$(form in/b hello -F "callback=$(callback 'v=${x:v}&op=${operation}')" -F 'x:v=1 2')" 200
	is "$(cat body)" '{"n": 1}'
	grep -q '"body": "v=1%202&op=PostObject"' app.log
	is "$(form out/a hello)" 403
	grep -q 'Policy Condition failed' body
	is "$(form in/c '')" 400
	SIG=wrong
	is "$(form in/a hello)" 403
	grep -q SignatureDoesNotMatch body
	emulator_stop
	emulator_restart --anonymous
	is "$(get in/file.txt)" 200
	is "$(cat body)" hello
	grep -qi '^content-type: text/plain' head
}

@test "s3fs works on it" {
	command -v s3fs >/dev/null || skip "s3fs is not installed"
	[ -w /dev/fuse ] || skip "no /dev/fuse"
	emulator_start --bucket test
	echo emulator-key:emulator-secret >pw
	chmod 600 pw
	mkdir m
	s3fs test m -f -o url="$EMULATOR_URL" -o use_path_request_style \
		-o passwd_file=pw >s3fs.log 2>&1 3>&- &
	HELPERS+=($!)
	emulator_wait mountpoint -q m
	head -c 300000 /dev/urandom >small
	head -c 12000000 /dev/urandom >large
	cp small large m/
	cmp small m/small && cmp large m/large
	mv m/small m/moved
	mkdir m/dir
	is "$(find m -mindepth 1 -printf '%P\n' | sort | paste -sd ' ')" 'dir large moved'
	rm m/large
	fusermount -u m || fusermount3 -u m
	is "$(emulator_log 'all(r["status"] < 300 or r["status"] == 404 for r in log)')" True
	is "$(emulator_log 'all(r["auth"] == "aws4" for r in log)')" True
}

@test "rclone works on it" {
	command -v rclone >/dev/null || skip "rclone is not installed"
	emulator_start --bucket test --fast
	unset AWS_CA_BUNDLE
	export RCLONE_CONFIG=/dev/null RCLONE_CONFIG_E_TYPE=s3 \
		RCLONE_CONFIG_E_PROVIDER=Other RCLONE_CONFIG_E_FORCE_PATH_STYLE=true \
		RCLONE_CONFIG_E_ACCESS_KEY_ID=emulator-key \
		RCLONE_CONFIG_E_SECRET_ACCESS_KEY=emulator-secret \
		RCLONE_CONFIG_E_ENDPOINT="$EMULATOR_URL"
	mkdir -p t/sub
	echo x >'t/sp ace+%&.txt'
	head -c 12000000 /dev/urandom >t/sub/large
	rclone copy t e:test/t --s3-upload-cutoff 6M --s3-chunk-size 5M 2>rclone.log
	rclone check t e:test/t 2>>rclone.log
	rclone moveto e:test/t/sub/large e:test/t/moved 2>>rclone.log
	is "$(rclone lsf -R e:test | sort | paste -sd '|')" 't/|t/moved|t/sp ace+%&.txt'
}
