# SPDX-License-Identifier: Apache-2.0
# Numbers and the table made of them.
#
#     note SERIES NUMBER        one run's
#     median SERIES             their middle
#     timed SERIES COMMAND...   milliseconds, noted
#     row ...                   a line of the table
#
# A series is a file of numbers, one a line, in $WORK/series.
# shellcheck shell=bash disable=SC2034

note() { echo "$2" >>"$WORK/series/$1"; }

has() { [ -s "$WORK/series/$1" ]; }

# contenders RUN: ackfs, and the peers while it is one of theirs
contenders() {
	echo ackfs
	[ "$1" -ge "$PEER_RUNS" ] || echo "$PEERS"
}

timed() { # SERIES COMMAND...
	local series=$1 start=$EPOCHREALTIME end rc=0
	shift
	"$@" || rc=$?
	end=$EPOCHREALTIME
	if [ $rc -eq 137 ]; then # timeout -s KILL: a stuck mount heeds nothing less
		touch "$WORK/series/$series.late"
		return
	fi
	[ $rc -eq 0 ] || die "failed: $*"
	note "$series" $(((${end/./} - ${start/./}) / 1000))
}

# stat_of WHICH SERIES: min, median or max
stat_of() {
	sort -g "$WORK/series/$2" | awk -v which="$1" '
		{ v[NR] = $1 }
		END {
			if (which == "min") print v[1]
			else if (which == "max") print v[NR]
			else print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
		}'
}

median() { stat_of median "$1"; }

# pair HOW A B NEW: a series of A and B, run by run: ratio (A/B) or slower
pair() {
	rm -f "$WORK/series/$4"
	paste "$WORK/series/$2" "$WORK/series/$3" | awk -v how="$1" '
		NF < 2 { next }
		how == "ratio" { printf "%.3f\n", ($2 > 0 ? $1 / $2 : 0) }
		how == "slower" { print ($1 > $2 ? $1 : $2) }' >"$WORK/series/$4"
}

# -- cells ------------------------------------------------------------------------

seconds() { awk -v ms="$1" 'BEGIN { printf (ms < 1000 ? "%.3f" : "%.2f"), ms / 1000 }'; }

# cell UNIT SERIES: "1.43 s (1.39-1.60)"; UNIT is s, MiB (of KiB), or a word
cell() {
	local low middle high
	if [ -e "$WORK/series/$2.late" ]; then
		printf 'over %s s' "$PATIENCE"
		return
	elif ! has "$2"; then
		printf -- '-'
		return
	fi
	low=$(stat_of min "$2") middle=$(median "$2") high=$(stat_of max "$2")
	case $1 in
	s) low=$(seconds "$low") middle=$(seconds "$middle") high=$(seconds "$high") ;;
	MiB)
		low=$(awk -v k="$low" 'BEGIN { printf "%.1f", k / 1024 }')
		middle=$(awk -v k="$middle" 'BEGIN { printf "%.1f", k / 1024 }')
		high=$(awk -v k="$high" 'BEGIN { printf "%.1f", k / 1024 }')
		;;
	esac
	printf '%s%s' "$middle" "${1:+ $1}"
	[ "$low" = "$high" ] || printf ' (%s-%s)' "$low" "$high"
}

# "cell, how many times ackfs's"
peer_cell() { # UNIT PEER-SERIES ACKFS-SERIES
	cell "$1" "$2"
	has "$2" || return 0
	awk -v a="$(median "$2")" -v b="$(median "$3")" 'BEGIN {
		if (b > 0) printf (a / b < 10 ? ", %.1fx" : ", %.0fx"), a / b }'
}

# holds NUMBER "<= 1.15"
holds() { awk -v n="$1" -v limit="${2#* }" -v op="${2%% *}" '
	BEGIN { exit !(op == "<=" ? n <= limit : op == "<" ? n < limit : n >= limit) }'; }

TABLE_HEAD='| workload | target | ackfs | curl | null FUSE | ackfs / yardstick | s3fs | rclone mount | |
|---|---|---|---|---|---|---|---|---|'

# row TITLE TARGET UNIT NAME [LIMIT]: from series NAME.ackfs, .curl, .nullfs,
# .s3fs, .rclone.  LIMIT, "<= 1.15", is of the ratio to the yardstick (the
# slower of curl and floor) where there is one, else of ackfs's own median.
row() {
	local title=$1 target=$2 unit=$3 n=$4 limit=${5:-} ratio='' verdict='' value
	if has "$n.curl" && has "$n.nullfs"; then
		pair slower "$n.curl" "$n.nullfs" "$n.yard"
	elif has "$n.curl"; then
		cp "$WORK/series/$n.curl" "$WORK/series/$n.yard"
	fi
	value=$(median "$n.ackfs")
	if has "$n.yard"; then
		pair ratio "$n.ackfs" "$n.yard" "$n.ratio"
		value=$(median "$n.ratio")
		ratio=$(cell '' "$n.ratio")
	fi
	if [ -n "$limit" ]; then
		if holds "$value" "$limit"; then verdict=ok; else verdict=short; fi
	fi
	emit "$title" "$target" "$(cell "$unit" "$n.ackfs")" "$(cell "$unit" "$n.curl")" \
		"$(cell "$unit" "$n.nullfs")" "${ratio:--}" \
		"$(peer_cell "$unit" "$n.s3fs" "$n.ackfs")" \
		"$(peer_cell "$unit" "$n.rclone" "$n.ackfs")" "$verdict"
}

emit() { # CELL...
	local line
	line=$(printf '| %s ' "$@")
	echo "$line|" | say
}

say() {
	if [ -n "$out" ]; then tee -a "$out"; else cat; fi
}
