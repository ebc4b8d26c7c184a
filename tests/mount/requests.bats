#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How many requests things cost, exactly.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

before_mount() {
	seed many/ 5000 10
	seed few/ 5 10
	seed hundred/d/ 100 10
	seed page/ 1000 10
}

# costs N COMMAND...: N requests, all that come within the command
costs() {
	local want=$1 mark
	mark=$(mark)
	shift
	"$@"
	is "$(count_requests -s "$mark")" "$want" "requests of: $*" || {
		requests_since "$mark" >&2
		return 1
	}
}

# what MARK: operations since, counted, "PutObject 1"
tally() { requests_since "$1" | cut -d' ' -f1 | sort | uniq -c | awk '{print $2, $1}'; }

write_all() { cat >"$1" <<<"$2"; }

@test "cp of a new file into a directory that was listed: 1" {
	random_file f 10000
	ls "$D"
	costs 1 cp f "$D/f"
	same "$D/f" f
}

@test "an overwrite with O_TRUNC of an object that this mount wrote: 1" {
	random_file f 10000
	cp f "$D/f"
	costs 1 cp f "$D/f"
	costs 1 write_all "$D/f" hello
}

@test "an overwrite of an object that another tool wrote: 2, then 1" {
	ls "$MNT/few"
	mark=$(mark)
	write_all "$MNT/few/00000000" hello
	is "$(tally "$mark")" $'HeadObject 1\nPutObject 1'
	costs 1 write_all "$MNT/few/00000000" hello again
}

@test "append to an object that this mount wrote: 1 GET and 1 PUT" {
	write_all "$D/f" hello
	mark=$(mark)
	echo more >>"$D/f"
	is "$(tally "$mark")" $'GetObject 1\nPutObject 1'
	is "$(cat "$D/f")" $'hello\nmore'
}

@test "ls of 5,000 objects: 5 LIST and the folder's own lookup" {
	mark=$(mark)
	is "$(ls "$MNT/many" | wc -l)" 5000
	n=$(count_requests -s "$mark")
	is "$(count_requests -s "$mark" ListObjectsV2)" "$n"
	[ "$n" = 5 ] || [ "$n" = 6 ]
}

@test "ls -l of 5,000 objects that were listed: none more" {
	ls "$MNT/many" >/dev/null
	mark=$(mark)
	is "$(ls -l "$MNT/many" | grep -c ' 10 ')" 5000
	is "$(tally "$mark")" ""
}

@test "ls -l of 5,000 objects, first of all: 5 or 6 LIST and no HEAD" {
	remount
	mark=$(mark)
	is "$(ls -l "$MNT/many" | grep -c ' 10 ')" 5000
	n=$(count_requests -s "$mark")
	is "$(count_requests -s "$mark" ListObjectsV2)" "$n"
	[ "$n" = 5 ] || [ "$n" = 6 ]
}

@test "find -size over 5,000 objects: no HEAD" {
	remount
	mark=$(mark)
	is "$(find "$MNT/many" -type f -size -2 | wc -l)" 5000
	n=$(count_requests -s "$mark")
	[ "$n" = 5 ] || [ "$n" = 6 ]
}

@test "ls of exactly one page: 1 LIST and the folder's own lookup" {
	mark=$(mark)
	is "$(ls "$MNT/page" | wc -l)" 1000
	[ "$(count_requests -s "$mark")" -le 2 ]
}

@test "a negative lookup in a listed directory: none" {
	ls "$D" "$MNT/few" >/dev/null
	mark=$(mark)
	for i in 1 2 3; do
		fails stat "$D/none-$i" 2>/dev/null
		fails stat "$MNT/few/none-$i" 2>/dev/null
		fails cat "$MNT/few/none-$i" 2>/dev/null
	done
	is "$(count_requests -s "$mark")" 0
}

@test "an error is never taken for absence" {
	oss_put "$(key_of "$D")-x/there"
	remount -o cache.metadata_ttl=0 -o upload.retry_deadline=1s
	log_allow '.'
	fault 'List*' '*' status ',"status":403,"code":"AccessDenied"'
	fault 'Head*' '*' status ',"status":403,"code":"AccessDenied"'
	fails stat "$D-x/there" 2>err
	fails grep -q 'No such file' err
	fails ls "$D-x" 2>err
	fails grep -q 'No such file' err
	faults_clear
	stat "$D-x/there"
	remount
}

@test "stat of a known file: none" {
	write_all "$D/f" hello
	costs 0 stat "$D/f"
	costs 0 ls -l "$D"
}

@test "rsync -a of one file: 1 PUT" {
	random_file f 10000
	mark=$(mark)
	rsync -a f "$D/"
	settled "$D/f"
	is "$(count_requests -s "$mark" PutObject)" 1
	is "$(count_requests -s "$mark")" 1
}

@test "cp -a of one file: 1" {
	random_file f 10000
	chmod 600 f
	costs 1 cp -a f "$D/f"
}

@test "mv of a small stored file: copy, delete" {
	write_all "$D/a" hello
	mark=$(mark)
	mv "$D/a" "$D/b"
	is "$(tally "$mark")" $'CopyObject 1\nDeleteObject 1'
	is "$(cat "$D/b")" hello
}

@test "mv of a folder with 100 objects: 103" {
	ls "$MNT/hundred/d" >/dev/null
	mark=$(mark)
	mv "$MNT/hundred/d" "$MNT/hundred/e"
	is "$(tally "$mark")" $'CopyObject 100\nDeleteMultipleObjects 1\nListObjectsV2 2'
	is "$(ls "$MNT/hundred/e" | wc -l)" 100
	fails stat "$MNT/hundred/d" 2>/dev/null
}

@test "rm: 1" {
	write_all "$D/a" hello
	costs 1 rm "$D/a"
}

@test "rm of an object of another tool in a listed folder: 1" {
	ls "$MNT/few" >/dev/null
	costs 1 rm "$MNT/few/00000004"
}

@test "rm -r of a folder with 100 files: 102" {
	mkdir "$D/d"
	for i in $(seq 100); do echo "$i" >"$D/d/$i"; done
	mark=$(mark)
	rm -r "$D/d"
	is "$(tally "$mark")" $'DeleteObject 101\nListObjectsV2 1'
}

@test "mkdir: 1, rmdir: 1 and the look whether it is empty" {
	costs 1 mkdir "$D/d"
	mark=$(mark)
	rmdir "$D/d"
	is "$(tally "$mark")" $'DeleteObject 1\nListObjectsV2 1'
}

@test "reading a file: 1 GET" {
	write_all "$D/a" hello
	remount
	ls -l "$D" >/dev/null
	mark=$(mark)
	cat "$D/a"
	is "$(count_requests -s "$mark" GetObject)" 1
	is "$(count_requests -s "$mark" PutObject)" 0
}

@test "reading it again: none, the kernel has the pages" {
	write_all "$D/a" hello
	cat "$D/a"
	mark=$(mark)
	cat "$D/a"
	is "$(count_requests -s "$mark" GetObject)" 0
}

@test "chmod, chown and utimens within a second: 1 CopyObject" {
	write_all "$D/a" hello
	mark=$(mark)
	chmod 600 "$D/a"
	touch -d @86400 "$D/a"
	chmod 640 "$D/a"
	wait_is 1 count_requests -s "$mark" CopyObject
	mount_stop
	is "$(count_requests -s "$mark" CopyObject)" 1
	mount_start
	is "$(stat -c '%a %Y' "$D/a")" "640 86400"
}

@test "df: none" {
	costs 0 df "$MNT"
}

@test "connections are kept: 50 files need far fewer" {
	mark=$(mark)
	for i in $(seq 50); do echo "$i" >"$D/$i"; done
	used=$(tail -c +$((mark + 1)) "$W/requests.jsonl" |
		jq -r 'select(.operation == "PutObject") | .connection' | sort -u | wc -l)
	[ "$used" -le 5 ]
}
