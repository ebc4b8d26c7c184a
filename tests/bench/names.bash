# SPDX-License-Identifier: Apache-2.0
# Names: listings, lookups, renames.
# shellcheck shell=bash disable=SC2154

# -- ls -l ---------------------------------------------------------------------------

list_long() { timeout -s KILL "$PATIENCE" ls -l "$1" >/dev/null; }

# Each page names the next: one curl for each, as no connection outlives it.
curl_lists() { # PREFIX
	local token='' page
	while :; do
		page=$(curl -sSf "$EMU/$BUCKET?list-type=2&max-keys=1000&delimiter=/&prefix=$1$token")
		[[ $page = *"<NextContinuationToken>"* ]] || break
		token=${page#*<NextContinuationToken>}
		token="&continuation-token=${token%%</NextContinuationToken>*}"
	done
}

ls_once() { # SERIES PROGRAM: a new mount each time
	local before
	ACKFS_SOURCE=$BUCKET:/ls "mount_$2"
	before=$(rss_now "$2")
	stats_reset
	timed "$1.$2" list_long "${MNT[$2]}/$3"
	if has "$1.$2"; then
		note "$1.count.$2" "$(stats)"
		note "$1.entry.$2" $((($(rss_now "$2") - before) * 1024 / ENTRIES))
	fi
	echo "$2: $(stats_text)" >&2
	unmount "$2"
}

ls_long() { # LATENCY SERIES
	local i p
	world_open --latency-ms "$1"
	seed ls/ "$ENTRIES" 100
	mount_nullfs -n "$ENTRIES" -s 100
	for ((i = 0; i < RUNS; i++)); do
		timed "$2.curl" curl_lists ls/
		timed "$2.nullfs" list_long "${MNT[nullfs]}"
		ls_once "$2" ackfs ''
	done
	# The peers ask for each object: once is enough.
	for p in $PEERS; do ls_once "$2" "$p" ls; done
	world_close
}

bench_ls_l() {
	ENTRIES=100000
	[ -z "$QUICK" ] || ENTRIES=10000
	ls_long 0 ls0
	row "ls -l of $ENTRIES objects, 0 ms" "" s ls0
	row "... requests" "one LIST for 1,000" requests ls0.count "<= $((ENTRIES / 1000))"
	row "... resident memory for each" "< 400 bytes" bytes ls0.entry "< 400"
	ls_long 50 ls50
	row "ls -l of $ENTRIES objects, 50 ms" "<= 1.3 x the bare LISTs" s ls50 "<= 1.3"
}

# -- ls of a million ------------------------------------------------------------------

# Who waits for a mount heeds no signal: a program that is late is ended itself.
give_up_on() { # PROGRAM, after PATIENCE
	sleep "$PATIENCE" &
	trap 'kill $!; exit' TERM
	wait $!
	note "million.rss.$1" "$(rss_peak "$1")"
	kill -KILL "${PID[$1]}"
}

million_once() { # PROGRAM FOLDER
	local out first all watch
	rss_reset "$1"
	give_up_on "$1" &
	watch=$!
	out=$("$BIN/tools/benchio" names "${MNT[$1]}/$2") || true
	read -r -d '' first _ all _ <<<"$out" || true
	if kill "$watch" 2>/dev/null; then
		note "million.rss.$1" "$(rss_peak "$1")"
		note "million.all.$1" "${all%.*}"
	else
		touch "$WORK/series/million.all.$1.late"
	fi
	wait "$watch" || true
	if [ -n "$first" ]; then
		note "million.first.$1" "${first%.*}"
	else
		touch "$WORK/series/million.first.$1.late"
	fi
}

bench_ls_million() {
	local count=1000000 p
	[ -z "$QUICK" ] || count=100000
	world_open --latency-ms 50
	seed million/ $count 100
	for p in ackfs $PEERS; do
		"mount_$p"
		million_once "$p" million
		unmount "$p"
	done
	world_close
	row "ls of $count objects, 50 ms: first name" "within two round trips" s \
		million.first "<= 150"
	row "... all names" "" s million.all
	row "... peak RSS" "< 400 MiB" MiB million.rss "< 409600"
}

# -- stat of a missing name --------------------------------------------------------------

stat_missing() { ! stat "$1" >/dev/null 2>&1 || die "$1 exists"; }

bench_stat_missing() {
	local p
	world_open --latency-ms 10
	seed some/ 10 100
	for p in ackfs $PEERS; do
		"mount_$p"
		stats_reset
		stat_missing "${MNT[$p]}/missing"
		note "stat.cold.$p" "$(stats)"
		ls -l "${MNT[$p]}/some" >/dev/null
		stats_reset
		stat_missing "${MNT[$p]}/some/missing"
		note "stat.warm.$p" "$(stats)"
	done
	world_close
	row "stat of a missing name, folder not listed" "at most 2 requests" requests \
		stat.cold "<= 2"
	row "... folder listed a moment ago" "0 requests" requests stat.warm "<= 0"
}

# -- renames --------------------------------------------------------------------------------

# quiet: nothing was asked for two seconds
requests_quiet() {
	local before after
	after=$(stats)
	while :; do
		before=$after
		sleep 2
		after=$(stats)
		[ "$after" != "$before" ] || return 0
	done
}

rename_once() { # PROGRAM
	local d=${MNT[$1]}
	mkdir "$d/$1"
	cp "$WORK/small/f0" "$d/$1/a"
	cp -r "$WORK/small100" "$d/$1/dir"
	ls -l "$d/$1" "$d/$1/dir" >/dev/null
	requests_quiet
	stats_reset
	mv "$d/$1/a" "$d/$1/b"
	requests_quiet
	note "mv.file.$1" "$(stats)"
	echo "$1: $(stats_text)" >&2
	stats_reset
	timed "mv.ms.$1" mv "$d/$1/dir" "$d/$1/dir2"
	requests_quiet
	note "mv.folder.$1" "$(stats)"
	echo "$1: $(stats_text)" >&2
}

bench_mv() {
	local i p
	mkdir -p "$WORK/small" "$WORK/small100"
	head -c 4096 "$BIG" >"$WORK/small/f0"
	for ((i = 0; i < 100; i++)); do cp "$WORK/small/f0" "$WORK/small100/f$i"; done
	world_open --latency-ms 10
	for p in ackfs $PEERS; do
		"mount_$p"
		rename_once "$p"
	done
	world_close
	row "mv of a stored file" "at most 3 requests" requests mv.file "<= 3"
	row "mv of a folder with 100 files" "at most 110 requests" requests mv.folder "<= 110"
	row "... time, 10 ms" "" s mv.ms
}
