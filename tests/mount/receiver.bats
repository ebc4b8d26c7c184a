#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# ackfs-receiver as it runs: requests by curl, signatures by openssl.

RECEIVER=${ACKFS_BIN:-$BATS_TEST_DIRNAME/../../build/release}/ackfs-receiver
DEADLINE=300 # tenths of a second

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	openssl genrsa -out oss.pem 512 2>openssl.log
	openssl genrsa -out forger.pem 512 2>>openssl.log
	mkdir -p www/trusted www/other
	openssl rsa -in oss.pem -pubout -out www/trusted/key.pem 2>>openssl.log
	openssl rsa -in forger.pem -pubout -out www/other/key.pem 2>>openssl.log
	start_key_server
}

teardown_file() {
	kill "$(cat "$BATS_FILE_TMPDIR/www.pid")"
}

# Serves www; /trusted/moved.pem leads to the forger's key.
start_key_server() {
	cat >www.py <<-'PY'
		import http.server, sys
		class Handler(http.server.SimpleHTTPRequestHandler):
		    def do_GET(self):
		        if self.path != '/trusted/moved.pem':
		            return super().do_GET()
		        self.send_response(302)
		        self.send_header('Location', '/other/key.pem')
		        self.end_headers()
		server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
		print(server.server_port, flush=True)
		server.serve_forever()
	PY
	(cd www && exec python3 -u ../www.py) >www.port 2>www.log 3>&- &
	echo $! >www.pid
	wait_for test -s www.port
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	WWW=http://127.0.0.1:$(cat "$BATS_FILE_TMPDIR/www.port")
	PID=
}

teardown() {
	if [ -n "$PID" ]; then
		kill "$PID" || true
		wait "$PID" || true
		cat stderr # shown when the test failed
		fails grep -E 'Sanitizer|runtime error' stderr
	fi
}

wait_for() {
	local i
	for ((i = 0; i < DEADLINE; i++)); do
		if "$@"; then return 0; fi
		sleep 0.1
	done
	echo "waited in vain for: $*" >&2
	return 1
}

# start OPTION...: the receiver, trusting $WWW/trusted/, at $URL.
start() {
	"$RECEIVER" --port 0 --port-file port --log log --admin \
		--trust-key-url "$WWW/trusted/" "$@" >stdout 2>stderr 3>&- &
	PID=$!
	wait_for test -s port
	URL=http://127.0.0.1:$(cat port)
}

b64() { printf %s "$1" | base64 -w0; }

# sign KEY DECODED_TARGET BODY
sign() {
	printf '%s\n%s' "$2" "$3" |
		openssl dgst -md5 -sign "$BATS_FILE_TMPDIR/$1" | base64 -w0
}

# post TARGET BODY [CURL-OPTION...]: as OSS does; status, header and body go
# to files.  KEY, KEY_URL, SIGNED (the decoded target), AUTH and TYPE change it;
# curl leaves out a header that is empty.
post() {
	local target=$1 body=$2
	shift 2
	local auth=${AUTH-$(sign "${KEY:-oss.pem}" "${SIGNED:-$target}" "$body")}
	curl -sS --path-as-is -o body -D head -w '%{http_code}' \
		-H "Authorization: $auth" \
		-H "x-oss-pub-key-url: $(b64 "${KEY_URL-$WWW/trusted/key.pem}")" \
		-H "Content-Type: ${TYPE:-application/json}" \
		-H 'x-oss-bucket: examplebucket' -H 'User-Agent: aliyun-oss-callback' \
		--data-binary "$body" "$@" "$URL$target" >status
}

# json FILE EXPRESSION: of the last line of FILE, as python sees it in j.
json() {
	tail -n 1 "$1" | python3 -c "import json,sys; j=json.load(sys.stdin); print($2)"
}

is() {
	[ "$1" = "$2" ] || {
		printf 'got  %s\nwant %s\n' "$1" "$2"
		return 1
	}
}

# "! command" does not fail a test; this does when the command succeeds.
fails() { if "$@"; then return 1; fi; }

fetches() { grep -c "GET $1" "$BATS_FILE_TMPDIR/www.log" || true; }

@test "a genuine callback is answered in JSON with a Content-Length" {
	start
	post /oss/uploaded '{"id":"u-1","object":"a/b.jpg","size":5}'
	is "$(cat status)" 200
	is "$(cat body)" '{"Status":"OK","n":1,"id":"u-1"}'
	grep -qi '^content-length: 32' head
	grep -qi '^content-type: application/json' head
	is "$(json log 'j["verified"], j["id"], j["fields"]["object"], j["path"]')" \
		"True u-1 a/b.jpg /oss/uploaded"
	is "$(json log 'j["headers"]["x-oss-bucket"]')" examplebucket
	fails grep -q "$(sign oss.pem /oss/uploaded x | cut -c1-8)" log
}

@test "a form is read too, and the id field has the name one gives it" {
	start --id-field x:ackfs_id
	TYPE=application/x-www-form-urlencoded \
		post /cb 'object=a%2Fb&x:ackfs_id=u-9'
	is "$(json log 'j["id"], j["fields"]["object"]')" 'u-9 a/b'
}

@test "path is decoded for the signature, the query is not" {
	start
	SIGNED='/a b/c?x=%41+y&z=' post '/a%20b%2Fc?x=%41+y&z=' '{}'
	is "$(cat status)" 200
	is "$(json log 'j["path"]')" '/a%20b%2Fc?x=%41+y&z='
	SIGNED='/a b/c?x=A y&z=' post '/a%20b%2Fc?x=%41+y&z=' '{}'
	is "$(cat status)" 403
}

@test "the documentation's worked example passes with OSS's own key" {
	cat >key.pem <<-'PEM'
		-----BEGIN PUBLIC KEY-----
		MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKs/JBGzwUB2aVht4crBx3oIPBLNsjGs
		C0fTXv+nvlmklvkcolvpvXLTjaxUHR3W9LXxQ2EHXAJfCB+6H2YF1k8CAwEAAQ==
		-----END PUBLIC KEY-----
	PEM
	start --key-file key.pem
	for index in 2 3; do
		curl -sS -o /dev/null -w '%{http_code}\n' -d bucket=yonghu-test \
			-H 'Authorization: kKQeGTRccDKyHB3H9vF+xYMSrmhMZjzzl2/kdD1ktNVgbWEfYTQG0G2SU/RaHBovRCE8OkQDjC3uG33esH2txA==' \
			"$URL/index.php?id=1&index=$index"
	done >statuses
	is "$(paste -sd ' ' statuses)" "200 403"
}

@test "forged callbacks get 403 and are printed as such" {
	start
	KEY=forger.pem post /cb '{"id":"1"}'
	is "$(cat status)" 403
	is "$(json log 'j["verified"], j["reason"], j["status"]')" \
		'False signature does not match 403'
	SIGNED=/other post /cb '{"id":"1"}'
	is "$(cat status)" 403
	AUTH='' post /cb '{"id":"1"}'
	is "$(cat status)" 403
	is "$(json log 'j["reason"]')" 'not signed'
	AUTH='Basic dXNlcjpwdw==' post /cb '{"id":"1"}'
	is "$(cat status)" 403
	curl -sS "$URL/-/stats" >stats
	is "$(json stats 'j["received"], j["verified"], j["forged"]')" '4 0 4'
	post /cb '{"id":"1"}'
	is "$(cat status) $(json log 'j["duplicate"]')" '200 False'
}

@test "a key from an address that is not trusted is not even fetched" {
	start
	before=$(fetches /other/)
	KEY=forger.pem KEY_URL=$WWW/other/key.pem post /cb '{"id":"1"}'
	is "$(cat status)" 403
	is "$(json log 'j["reason"]')" 'x-oss-pub-key-url is not a trusted address'
	KEY_URL='' post /cb '{"id":"1"}'
	is "$(cat status)" 403
	is "$(fetches /other/)" "$before"
}

@test "a redirect away from the trusted address is not followed" {
	start
	before=$(fetches /other/)
	KEY=forger.pem KEY_URL=$WWW/trusted/moved.pem post /cb '{"id":"1"}'
	is "$(cat status)" 503
	is "$(fetches /other/)" "$before"
}

@test "without the key a callback is neither believed nor called forged" {
	start
	KEY_URL=$WWW/trusted/missing.pem post /cb '{"id":"1"}'
	is "$(cat status)" 503
	curl -sS "$URL/-/stats" >stats
	is "$(json stats 'j["forged"], j["undecided"]')" '0 1'
}

@test "the key is fetched once" {
	start
	before=$(fetches /trusted/key.pem)
	for i in 1 2 3 4; do post /cb "{\"id\":\"$i\"}"; done
	is "$(cat status)" 200
	is "$(($(fetches /trusted/key.pem) - before))" 1
}

@test "a repeated delivery gets the same answer and is counted apart" {
	start
	post /cb '{"id":"one"}' && cp body first
	post /cb '{"id":"two"}'
	is "$(cat body)" '{"Status":"OK","n":2,"id":"two"}'
	post /cb '{"id":"one","again":1}'
	cmp body first
	is "$(json log 'j["duplicate"]')" True
	curl -sS "$URL/-/stats" >stats
	is "$(json stats 'j["verified"], j["duplicates"]')" '3 1'
}

@test "a server that is down for a while processes the repetition" {
	start
	curl -sS "$URL/-/answer" -d '{"status":503,"count":2}' >/dev/null
	post /cb '{"id":"1"}' && is "$(cat status)" 503
	post /cb '{"id":"1"}' && is "$(cat status)" 503
	post /cb '{"id":"1"}' && is "$(cat status)" 200
	is "$(json log 'j["duplicate"]')" False
}

@test "admin paths are for those who ask for them" {
	start
	kill "$PID" && wait "$PID"
	rm port
	"$RECEIVER" --port 0 --port-file port --log log 2>stderr 3>&- &
	PID=$!
	wait_for test -s port
	URL=http://127.0.0.1:$(cat port)
	is "$(curl -s -o /dev/null -w '%{http_code}' "$URL/-/stats")" 405
	is "$(curl -s -o /dev/null -w '%{http_code}' -d '{}' "$URL/-/answer")" 403
}

@test "answers can be anything, for trying out" {
	head -c 3145728 /dev/urandom >big
	start --answer-file big --content-type application/octet-stream --status 201
	post /cb '{}'
	is "$(cat status)" 201
	cmp body big
	grep -qi '^content-type: application/octet-stream' head
}

@test "an answer in chunks has no Content-Length" {
	start --chunked
	post /cb '{"id":"1"}'
	is "$(cat body)" '{"Status":"OK","n":1,"id":"1"}'
	grep -qi '^transfer-encoding: chunked' head
	fails grep -qi '^content-length' head
}

@test "an answer can end with the connection" {
	start --no-content-length
	post /cb '{"id":"1"}'
	is "$(cat body)" '{"Status":"OK","n":1,"id":"1"}'
	fails grep -qiE '^(content-length|transfer-encoding)' head
}

@test "an answer can be empty, or a redirect" {
	start --answer '' --redirect http://example.com/
	post /cb '{}'
	is "$(cat status)$(cat body)" 302
	grep -qi '^content-length: 0' head
	grep -qi '^location: http://example.com/' head
	KEY=forger.pem post /cb '{}'
	is "$(cat status)" 403
	fails grep -qi '^location' head
}

@test "a delayed answer is printed at once and does not hold up others" {
	start
	curl -sS "$URL/-/answer" -d '{"delay_ms":120000,"count":1}' >/dev/null
	post /cb '{"id":"slow"}' &
	slow=$!
	wait_for grep -q '"id":"slow"' log
	mkdir other && cd other
	post /cb '{"id":"quick"}'
	is "$(cat status)" 200
	cd ..
	[ ! -s status ] # still waiting
	# SIGTERM lets go what waits, and ends with status 0.
	kill "$PID"
	wait "$slow"
	is "$(cat status)" 200
	rc=0 && wait "$PID" || rc=$?
	PID=
	is "$rc" 0
	grep -q 'received 2, verified 2, forged 0' stderr
}

@test "long bodies and other methods are refused" {
	start --max-body 1000
	post /cb "$(printf '{"a":"%990s"}' x)"
	is "$(cat status)" 200
	post /cb "$(printf '{"a":"%1000s"}' x)" -H 'Expect: 100-continue'
	is "$(cat status)" 413
	is "$(curl -s -o /dev/null -D head -w '%{http_code}' "$URL/cb")" 405
	grep -qi '^allow: POST' head
	is "$(curl -s -o /dev/null -w '%{http_code}' -X PUT -d x "$URL/cb")" 405
	# A chunked body has no length to refuse: the connection is dropped.
	head -c 2000 /dev/zero >long
	fails curl -s -o /dev/null -H 'Transfer-Encoding: chunked' \
		-H 'Expect:' --data-binary @long "$URL/cb"
	is "$(wc -l <log)" 1
}

@test "fifty callbacks at once are all answered" {
	start
	for i in $(seq 50); do
		[ "$i" = 1 ] || echo next
		echo "url = $URL/cb"
		echo "data-binary = \"{\\\"id\\\":\\\"u\\\"}\""
		echo "header = \"Content-Type: application/json\""
		echo "header = \"Authorization: $(sign oss.pem /cb '{"id":"u"}')\""
		echo "header = \"x-oss-pub-key-url: $(b64 "$WWW/trusted/key.pem")\""
		echo 'output = /dev/null'
		printf '%s\n' 'write-out = "%{http_code}\n"'
	done >curl.conf
	curl -sS --parallel --parallel-immediate -K curl.conf >statuses
	is "$(sort statuses | uniq -c | awk '{print $1, $2}')" '50 200'
	is "$(grep -c '"duplicate":false' log)" 1
	is "$(wc -l <log)" 50
}

@test "lines go to standard output unless a file is named, and SIGHUP reopens it" {
	start
	post /cb '{"id":"1"}'
	mv log log.1
	kill -HUP "$PID"
	wait_for test -e log
	post /cb '{"id":"2"}'
	is "$(json log 'j["id"]')" 2
	is "$(json log.1 'j["id"]')" 1
	kill "$PID" && wait "$PID"
	rm port
	"$RECEIVER" --port 0 --port-file port >stdout 2>stderr 3>&- &
	PID=$!
	wait_for test -s port
	URL=http://127.0.0.1:$(cat port)
	post /cb '{"id":"3"}'
	is "$(json stdout 'j["id"], j["status"]')" '3 403'
	grep -q "^ackfs-receiver: ready: $URL/$" stderr
}

@test "it serves HTTPS" {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.crt \
		-days 2 -subj /CN=localhost -addext 'subjectAltName=IP:127.0.0.1' 2>req.log
	start --tls-cert tls.crt --tls-key tls.key
	URL=https://127.0.0.1:$(cat port)
	post /cb '{"id":"1"}' --cacert tls.crt
	is "$(cat status)" 200
}

@test "IPv6 works where there is any" {
	python3 -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' ||
		skip "no IPv6 loopback here"
	start --listen ::1
	URL="http://[::1]:$(cat port)"
	post /cb '{"id":"1"}'
	is "$(cat status) $(json log 'j["client"]')" '200 ::1'
	curl -sS "$URL/-/stats" | grep -q '"verified":1'
}

@test "mistakes on the command line are told in a line, with status 2" {
	run "$RECEIVER" --port 70000
	is "$status" 2
	is "$output" 'ackfs-receiver: --port: "70000": want a port, 0 to 65535'
	for args in --nonsense operand "--status 99" "--delay-ms x" \
		"--trust-key-url http://127.0.0.1:9000" "--max-body 0" \
		"--key-file /dev/null" "--answer %{n" "--tls-cert /dev/null"; do
		# shellcheck disable=SC2086 # an option and its value
		run "$RECEIVER" $args
		is "$status" 2
		is "${#lines[@]}" 1
	done
	run "$RECEIVER" --help
	is "$status" 0
	run "$RECEIVER" --version
	is "$status" 0
}

@test "a port that is taken ends it with status 1 and one line" {
	start
	run "$RECEIVER" --port "$(cat port)"
	is "$status" 1
	is "$output" 'ackfs-receiver: cannot listen: Address already in use'
	run "$RECEIVER" --listen not-an-address
	is "$status" 1
}
