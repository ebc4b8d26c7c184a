#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Many files, one callback in twenty failing at random, some always, and the
# application server down for a while: in the end each delivery has exactly one
# answered record, or is given up and listed; and the server was not stormed.
#
# ACKFS_FILES (300) says how many: `make callbacks` takes 10,000.

load lib/common

FILES=${ACKFS_FILES:-300}
POISON=$((FILES / 100)) # of them are refused every time
WRITERS=4
# shellcheck disable=SC2034 # wait_for reads it
DEADLINE=$((60 + FILES / 10))

before_mount() {
	conf_add 'callback "poison"' 'match = **/*.poison' 'retry_for = 1s'
}

# One of the writers; the last hundredth of the names are poison.
write_files() { # WRITER
	python3 - "$D" "$1" "$WRITERS" "$FILES" "$POISON" <<-'PY'
		import os, sys
		folder, (me, writers, files, poison) = sys.argv[1], map(int, sys.argv[2:])
		for i in range(me, files, writers):
		    name = f'{folder}/d{i % 10}/{i}' + ('.poison' if i >= files - poison else '.dat')
		    with open(name, 'w') as f:
		        f.write(f'{i}\n')
	PY
}

made() { find "$D" -name '*.*' -type f | wc -l; }
half_are_made() { [ "$(made)" -ge $((FILES / 2)) ]; }

callbacks() { jq -r --arg at "$1" 'select(.operation == "Callback" and .time >= $at) | .key' "$W/requests.jsonl"; }

now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }

# Of present outcomes.
totals() { "$BIN/ackctl" status --json "$MNT" | jq -r '.callbacks | "\(.ok) \(.retrying) \(.given_up)"'; }

@test "$FILES files: each delivery is answered once, or given up and listed" {
	log_allow 'callback: '
	for i in $(seq 0 9); do mkdir "$D/d$i"; done
	fault Callback '*.poison' status ',"status":400'
	fault Callback '*.dat' status ',"status":500,"probability":0.05,"seed":1'
	began=$SECONDS
	for i in $(seq 0 $((WRITERS - 1))); do write_files "$i" & done
	wait_for half_are_made
	down=$(now)
	stop receiver
	wait
	wrote=$((SECONDS - began))
	# Down for some time longer, with hundreds that wait.
	quiet=$(now)
	sleep 5
	up=$(now)
	# shellcheck disable=SC2034 # receiver_start reads it
	RCV_PORT=${RCV##*:}
	receiver_start
	wait_is "$((FILES - POISON)) 0 $POISON" totals
	took=$((SECONDS - began))

	"$BIN/ackctl" log --json "$MNT" >all.json
	"$BIN/ackctl" log --json --state given-up "$MNT" | jq -r .key | sort >given-up.txt
	"$BIN/ackctl" log --json --state failed "$MNT" | jq -r .key | sort -u >failed.txt
	# One delivery a file; answered once, or not at all and listed.
	jq -r '"\(.delivery_id) \(.key)"' all.json | sort -u >deliveries.txt
	is "$(wc -l <deliveries.txt)" "$FILES" deliveries
	is "$(cut -d' ' -f2 deliveries.txt | sort -u | wc -l)" "$FILES" keys
	jq -r 'select(.state == "ok") | "\(.delivery_id) \(.key)"' all.json | sort >answered.txt
	is "$(wc -l <answered.txt)" $((FILES - POISON)) "answered records"
	is "$(sort -u answered.txt | wc -l)" $((FILES - POISON)) "answered deliveries"
	comm -23 deliveries.txt answered.txt | cut -d' ' -f2 | sort >unanswered.txt
	same unanswered.txt given-up.txt
	is "$(comm -23 given-up.txt failed.txt | wc -l)" 0
	is "$(grep -c '\.poison$' given-up.txt)" "$POISON"
	# The application has it just so: it answered each delivery, and no other.
	jq -r 'select(.status == 200) | .fields.id' "$W/callbacks.jsonl" | sort -u >heard.txt
	same heard.txt <(cut -d' ' -f1 answered.txt | sort)
	again=$(jq -r 'select(.status == 200) | .fields.id' "$W/callbacks.jsonl" | sort | uniq -d | wc -l)
	is "$again" 0 "deliveries that were answered twice"
	# While it was down: one for each upload, and one probe at a time.
	probes=$(jq -r --arg a "$quiet" --arg b "$up" '
		select(.operation == "Callback" and .time >= $a and .time < $b) | .key' \
		"$W/requests.jsonl" | grep -vc '\.poison$' || true)
	[ "$probes" -le 8 ] || fail "$probes callbacks in 5 s while the server was down"
	extra=$(($(callbacks 0 | wc -l) - FILES))
	attempts=$(wc -l <all.json)
	[ "$("$BIN/ackctl" status "$MNT" >/dev/null || echo $?)" = 1 ]
	echo "# $FILES files written in $wrote s, all settled after $took s;" \
		"down from $down to $up; $attempts attempts, $extra repetitions;" \
		"$probes probes in the 5 s without uploads; $POISON given up" >&3
}
