# SPDX-License-Identifier: Apache-2.0
# Changing large objects in place, and memory.
# shellcheck shell=bash disable=SC2154,SC2034

# -- append, overwrite ------------------------------------------------------------------

append_1k() { head -c 1024 "$BIG" >>"$1"; }

overwrite_4k() { # FILE
	dd if="$BIG" of="$1" bs=4096 count=1 seek=$((BIG_SIZE / 8192)) conv=notrunc \
		status=none
}

etag_of() { curl -sSf -I "$EMU/$BUCKET/$1" | sed -n 's/^[Ee][Tt]ag: *//p'; } # KEY

is_new() { [ "$(etag_of "$1")" != "$2" ]; } # KEY OLD-ETAG

# Bytes over the wire until the object has changed, in KiB.
change_once() { # SERIES PROGRAM KEY COMMAND
	local old
	[ -e "${MNT[$2]}/$3" ]
	old=$(etag_of "$3")
	stats_reset
	timed "$1.ms.$2" "$4" "${MNT[$2]}/$3"
	until_ok is_new "$3" "$old"
	note "$1.$2" $(($(stats bytes) / 1024))
	echo "$2: $(stats_text)" >&2
}

bench_in_place() {
	local p
	world_open
	seed append/ 3 "$BIG_SIZE"
	seed middle/ 3 "$BIG_SIZE"
	mount_ackfs
	for p in $PEERS; do
		case $p in
		rclone) mount_rclone --vfs-cache-mode writes --vfs-write-back 0s ;;
		*) "mount_$p" ;;
		esac
	done
	for p in ackfs $PEERS; do
		case $p in
		ackfs) i=0 ;; s3fs) i=1 ;; *) i=2 ;;
		esac
		change_once append "$p" append/0000000$i append_1k
		change_once middle "$p" middle/0000000$i overwrite_4k
	done
	world_close
	row "append 1 KiB to $BIG_NAME: over the wire" "< 1 MiB" MiB append "< 1024"
	row "... until close returned" "" s append.ms
	row "overwrite 4 KiB in its middle: over the wire" "< 40 MiB" MiB middle "< 40960"
	row "... until close returned" "" s middle.ms
}

# -- memory -------------------------------------------------------------------------------

# One process writes it: rclone takes the end of the first for the file's.
write_one() { # FILE
	local left=$WRITER_SIZE
	while [ "$left" -gt 0 ]; do
		head -c "$left" "$BIG"
		left=$((left - BIG_SIZE))
	done | dd of="$1" bs=1M iflag=fullblock status=none
}

write_all() { # PROGRAM
	local i pids=()
	for ((i = 0; i < 8; i++)); do
		write_one "${MNT[$1]}/w$i" &
		pids+=($!)
	done
	wait "${pids[@]}"
}

bench_writers() {
	local i p OSS_ROOT=$WORK # too much for memory
	for p in ackfs $PEERS; do
		world_open
		"mount_$p"
		rss_reset "$p"
		timed "writers.ms.$p" write_all "$p"
		note "writers.$p" "$(rss_peak "$p")"
		world_close
	done
	row "8 writers of $WRITER_NAME each: peak RSS" "< 96 MiB" MiB writers "< 98304"
	row "... until all are closed" "" s writers.ms
}

bench_idle() {
	local p
	world_open
	for p in ackfs $PEERS; do
		"mount_$p"
		ls "${MNT[$p]}" >/dev/null
		sleep 1
		note "idle.$p" "$(rss_now "$p")"
	done
	world_close
	row "idle RSS after mount" "< 16 MiB" MiB idle "< 16384"
}
