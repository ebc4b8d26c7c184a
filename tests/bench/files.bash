# SPDX-License-Identifier: Apache-2.0
# Large files in and out, many small ones in.
# shellcheck shell=bash disable=SC2154

# A virtual machine may have given its free memory back to its host, and pays for
# each page that it touches first: microseconds, before the run and not in it.
timed_large() { # SERIES COMMAND...
	if [ "$OSS_ROOT" = /dev/shm ]; then
		head -c $((3 * BIG_SIZE)) /dev/zero >"$OSS/pages"
		rm "$OSS/pages"
	fi
	timed "$@"
}

# -- cp of a large file in ----------------------------------------------------------

copy_in() { cp "$BIG" "${MNT[$1]}/in-$1"; } # PROGRAM

curl_in() { curl -sSf -o /dev/null -T "$BIG" "$EMU/$BUCKET/in-curl"; }

cp_in_once() { # SERIES RUN
	local p
	timed_large "$1.curl" curl_in
	remove in-curl
	timed_large "$1.nullfs" copy_in nullfs
	for p in $(contenders "$2"); do
		rss_reset "$p"
		timed_large "$1.$p" copy_in "$p"
		note "$1.rss.$p" "$(rss_peak "$p")"
		rm "${MNT[$p]}/in-$p"
		sync -f "$WORK"
	done
}

cp_in() { # LATENCY SERIES TITLE TARGET LIMIT [EMULATOR-OPTION...]
	local series=$2 title=$3 target=$4 limit=$5 i p
	world_open --latency-ms "$1" "${@:6}"
	mount_nullfs
	for p in ackfs $PEERS; do "mount_$p"; done
	for ((i = 0; i < RUNS; i++)); do cp_in_once "$series" "$i"; done
	world_close
	row "$title" "$target" s "$series" "$limit"
}

bench_cp_in() {
	local what="cp of $BIG_NAME in"
	cp_in 0 in0 "$what, 0 ms" "<= 1.15 x the slower" "<= 1.15"
	row "... peak RSS meanwhile" "" MiB in0.rss
	cp_in 10 in10 "$what, 10 ms" "" ""
	cp_in 50 in50 "$what, 50 ms" "" ""
	cp_in 0 incap "$what, 50 MB/s a connection" "4 times faster: <= 0.25" "<= 0.25" \
		--bandwidth 50000000
}

# -- cat of a large object out, cold: another object each time ----------------------

cat_out() { cat "$1" >/dev/null; }

curl_out() { curl -sSf -o /dev/null "$EMU/$BUCKET/$1"; } # KEY

cat_out_once() { # SERIES KEY RUN
	local p
	timed_large "$1.curl" curl_out "$2"
	timed_large "$1.nullfs" cat_out "${MNT[nullfs]}/f$3"
	for p in $(contenders "$3"); do
		[ -e "${MNT[$p]}/$2" ]
		rss_reset "$p"
		timed_large "$1.$p" cat_out "${MNT[$p]}/$2"
		note "$1.rss.$p" "$(rss_peak "$p")"
	done
}

cat_out_all() { # LATENCY SERIES TITLE TARGET LIMIT [EMULATOR-OPTION...]
	local series=$2 title=$3 target=$4 limit=$5 i p
	world_open --latency-ms "$1" "${@:6}"
	seed out/ "$RUNS" "$BIG_SIZE"
	mount_nullfs -s "$BIG_SIZE" -n "$RUNS"
	for p in ackfs $PEERS; do "mount_$p"; done
	for ((i = 0; i < RUNS; i++)); do
		cat_out_once "$series" "out/$(printf %08d $i)" "$i"
	done
	world_close
	row "$title" "$target" s "$series" "$limit"
}

bench_cat_out() {
	local what="cat of $BIG_NAME out, cold"
	cat_out_all 0 out0 "$what, 0 ms" "<= 1.15 x the slower" "<= 1.15"
	row "... peak RSS meanwhile" "" MiB out0.rss
	cat_out_all 10 out10 "$what, 10 ms" "" ""
	cat_out_all 50 out50 "$what, 50 ms" "" ""
	cat_out_all 0 outcap "$what, 50 MB/s a connection" "4 times faster: <= 0.25" \
		"<= 0.25" --bandwidth 50000000
}

# -- random readers ------------------------------------------------------------------

READERS=16

# A curl for each reader: its ranges one after the other on one connection.
curl_ranges() { # SEED
	local t pids=()
	for ((t = 0; t < READERS; t++)); do
		curl -sSf -o /dev/null -K "$WORK/ranges.$t" &
		pids+=($!)
	done
	wait "${pids[@]}"
}

write_ranges() { # KEY SEED
	rm -f "$WORK"/ranges.*
	"$BIN/tools/benchio" offsets $READERS "$READS" "$BIG_SIZE" "$2" |
		awk -v url="$EMU/$BUCKET/$1" -v base="$WORK/ranges." '{
			f = base $1
			if (seen[$1]++) print "next" >f
			printf "url = \"%s\"\nrange = \"%d-%d\"\noutput = \"/dev/null\"\nsilent\n", \
				url, $2, $2 + 4095 >f
		}'
}

random_once() { # KEY SEED
	local p
	write_ranges "$1" "$2"
	timed random.curl curl_ranges
	for p in $(contenders "$2"); do
		[ -e "${MNT[$p]}/$1" ]
		stats_reset
		timed "random.$p" "$BIN/tools/benchio" randread $READERS "$READS" \
			"$BIG_SIZE" "$2" "${MNT[$p]}/$1"
		note "random.amp.$p" $(($(stats bytes) / (READERS * READS * 4096)))
	done
}

bench_random() {
	local i p
	world_open --latency-ms 10
	seed random/ "$RUNS" "$BIG_SIZE"
	for p in ackfs $PEERS; do "mount_$p"; done
	for ((i = 0; i < RUNS; i++)); do
		random_once "random/$(printf %08d $i)" "$i"
	done
	world_close
	row "16 random readers of 4 KiB, $READS reads each, 10 ms" "<= 1.3 x curl" s \
		random "<= 1.3"
	row "... bytes over the wire for each byte read" "<= 32" x random.amp "<= 32"
}

# -- many small files ------------------------------------------------------------------

SMALL=1000

curl_small() { # FOLDER OPTION...
	awk -v n="$SMALL" -v dir="$WORK/small" -v url="$EMU/$BUCKET/$1" 'BEGIN {
		for (i = 0; i < n; i++) {
			if (i) print "next"
			printf "upload-file = \"%s/f%d\"\nurl = \"%s/f%d\"\nsilent\nfail\noutput = \"/dev/null\"\n", \
				dir, i, url, i
		}
	}' >"$WORK/small.curl"
	shift
	curl -sS --no-progress-meter "$@" -K "$WORK/small.curl"
}

are_stored() { [ "$(stats PutObject)" -ge "$1" ]; } # COUNT

copy_small() { # PROGRAM FOLDER
	cp -r "$WORK/small" "${MNT[$1]}/warm/$2"
}

# Until the last object is stored, whatever close() says.
copy_small_stored() { # PROGRAM FOLDER
	copy_small "$1" "$2"
	until_ok are_stored $SMALL
}

small_files_make() {
	local i
	mkdir -p "$WORK/small"
	for ((i = 0; i < SMALL; i++)); do
		head -c 4096 "$BIG" >"$WORK/small/f$i"
	done
}

small_world() { # [ACKFS-OPTION...]
	local p
	world_open --latency-ms 10
	mount_ackfs "$@"
	for p in $PEERS; do
		if [ "$p $#" = "rclone 0" ] || [ "$p" = s3fs ]; then
			"mount_$p"
		else
			mount_rclone --vfs-cache-mode writes --vfs-write-back 0s --transfers 16
		fi
	done
	mkdir "${MNT[ackfs]}/warm"
	for p in ackfs $PEERS; do ls "${MNT[$p]}/warm" >/dev/null; done
}

# The new folder itself is one of the other requests.
note_small_counts() { # PROGRAM
	until_ok are_stored $SMALL
	note "small.count.$1" "$(stats)"
	echo "$1: $(stats_text)" >&2
}

bench_small_files() {
	local i p
	small_files_make
	small_world
	for ((i = 0; i < RUNS; i++)); do
		timed small.curl curl_small "curl$i"
		for p in $(contenders "$i"); do
			stats_reset
			timed "small.$p" copy_small "$p" "$p$i"
			note_small_counts "$p"
		done
	done
	world_close
	row "cp -r of 1,000 files of 4 KiB, 10 ms" "<= 1.1 x curl, one connection" s small \
		"<= 1.1"
	row "... requests" "1,000 PUTs + at most 5" requests small.count "<= 1005"
	small_world -o upload.close_returns=staged -o upload.parallel_uploads=16
	for ((i = 0; i < RUNS; i++)); do
		timed staged.curl curl_small "curl$i" -Z --parallel-max 16
		for p in $(contenders "$i"); do
			stats_reset
			timed "staged.$p" copy_small_stored "$p" "$p$i"
		done
	done
	world_close
	row "... close_returns = staged, until all are stored" \
		"<= 1.3 x curl --parallel-max 16" s staged "<= 1.3"
}
