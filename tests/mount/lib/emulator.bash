# SPDX-License-Identifier: Apache-2.0
# Start, question and stop ackfs-emulator in bats tests.
#
#   load lib/emulator
#   setup() { cd "$BATS_TEST_TMPDIR"; emulator_start --bucket test; }
#   teardown() { emulator_stop; }
#
# emulator_start sets EMULATOR_URL, EMULATOR_PORT, EMULATOR_PID and EMULATOR_LOG
# (the request log); its folder is ./emulator.d, its stderr ./emulator.err.
# The key is emulator-key, the secret emulator-secret.

EMULATOR=${ACKFS_BIN:-$BATS_TEST_DIRNAME/../../build/release}/ackfs-emulator
EMULATOR_DEADLINE=300 # tenths of a second

# emulator_wait COMMAND...: until it succeeds, or the deadline.
emulator_wait() {
	local i
	for ((i = 0; i < EMULATOR_DEADLINE; i++)); do
		if "$@"; then return 0; fi
		sleep 0.1
	done
	echo "waited in vain for: $*" >&2
	return 1
}

# emulator_start OPTION...: until it answers.
emulator_start() {
	EMULATOR_LOG=$PWD/emulator.log
	rm -f emulator.port
	"$EMULATOR" --dir "$PWD/emulator.d" --port-file "$PWD/emulator.port" \
		--log "$EMULATOR_LOG" "$@" >emulator.out 2>>emulator.err 3>&- &
	EMULATOR_PID=$!
	emulator_wait emulator_is_up_or_dead
	[ -s emulator.port ] || {
		cat emulator.err >&2
		return 1
	}
	EMULATOR_PORT=$(cat emulator.port)
	EMULATOR_URL=http://127.0.0.1:$EMULATOR_PORT
}

emulator_is_up_or_dead() {
	[ -s emulator.port ] || ! kill -0 "$EMULATOR_PID" 2>/dev/null
}

# The same buckets on the same port again, after emulator_stop.
emulator_restart() {
	emulator_start --port "$EMULATOR_PORT" "$@"
}

# Fails when it did not end well, or a sanitizer complained.
emulator_stop() {
	local status=0
	[ -n "${EMULATOR_PID-}" ] || return 0
	kill "$EMULATOR_PID" 2>/dev/null || true
	wait "$EMULATOR_PID" || status=$?
	EMULATOR_PID=
	cat emulator.err # shown when the test failed
	if grep -E 'Sanitizer|runtime error' emulator.err; then return 1; fi
	return "$status"
}

# emulator_fault JSON: a rule, or an array; see ackfs-emulator --help.
emulator_fault() {
	curl -sS --fail-with-body -X POST "$EMULATOR_URL/-/faults" -d "$1"
}

emulator_clear_faults() {
	curl -sS -f -X DELETE "$EMULATOR_URL/-/faults"
}

# emulator_log EXPRESSION: what python makes of the request log, a list of
# dicts called log:  emulator_log 'sum(r["operation"] == "PutObject" for r in log)'
emulator_log() {
	python3 - "$EMULATOR_LOG" "$1" <<-'PY'
		import json, os, sys
		path = sys.argv[1]
		lines = open(path).read().splitlines() if os.path.exists(path) else []
		log = [json.loads(line) for line in lines]
		print(eval(sys.argv[2], {'log': log, 'json': json}))
	PY
}

# emulator_count OPERATION [KEY]: how many of them were answered or dropped.
emulator_count() {
	emulator_log "sum(r['operation'] == '$1' and '${2-}' in ('', r.get('key')) for r in log)"
}
