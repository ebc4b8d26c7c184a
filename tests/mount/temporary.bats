#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Names that programs rename when done, and files that are still empty: held,
# then one upload under the final name.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

before_mount() {
	conf_add upload 'temporary_hold = 60s' 'empty_hold = 1s'
}

setup() {
	test_setup
	random_file big 200000
}

# Every name that reached OSS under this test's folder, and every callback.
put_names() {
	requests_since 0 | sed -n "s,^\(PutObject\|CompleteMultipartUpload\|CopyObject\) $(key_of "$D")/\(.*[^/]\)$,\2,p" | sort
}

called_names() {
	jq -r --arg d "$(key_of "$D")/" '.fields.object | select(startswith($d)) | .[($d | length):]' \
		"$W/callbacks.jsonl" | sort
}

only() { # NAME...: one upload and one callback each, nothing else
	local want
	want=$(printf '%s\n' "$@" | sort)
	wait_is "$want" called_names
	is "$(put_names)" "$want" "names that were put"
}

@test "x.part, mv x: one upload, of x" {
	cp big "$D/x.part"
	is "$(attr callback.state "$D/x.part")" held
	is "$(attr upload.state "$D/x.part")" held
	same "$D/x.part" big
	is "$(put_names)" ""
	mv "$D/x.part" "$D/x"
	uploaded 1 "$D/x" big
	only x
}

@test "every built-in kind" {
	for temp in f.part f.filepart f.tmp f.crdownload .in.f. .f.AbCdEf \
		.pureftpd-upload.12ab.34 '.goutputstream-ABC' 'f~' .f.swp; do
		echo "$temp" >"$D/$temp"
		is "$(attr upload.state "$D/$temp")" held "$temp"
		mv "$D/$temp" "$D/final-${temp//[.~]/_}"
	done
	for temp in f.part f.filepart f.tmp f.crdownload .in.f. .f.AbCdEf \
		.pureftpd-upload.12ab.34 '.goutputstream-ABC' 'f~' .f.swp; do
		uploaded 1 "$D/final-${temp//[.~]/_}" <<<"$temp"
	done
	is "$(put_names | wc -l)" 10
}

@test "rsync --partial-dir and --delay-updates" {
	rsync -a --partial-dir=.rsync-partial big "$D/a"
	uploaded 1 "$D/a" big
	rsync -a --delay-updates big "$D/b"
	uploaded 1 "$D/b" big
	only a b
}

@test "over an existing file: the name's old content until then" {
	echo old >"$D/x"
	uploaded 1 "$D/x" <<<old
	cp big "$D/x.part"
	is "$(cat "$D/x")" old
	mv "$D/x.part" "$D/x"
	uploaded 2 "$D/x" big
}

@test "from one temporary name to another, then to the final one" {
	cp big "$D/x.tmp"
	mv "$D/x.tmp" "$D/x.part"
	is "$(attr upload.state "$D/x.part")" held
	mv "$D/x.part" "$D/x"
	uploaded 1 "$D/x" big
	only x
}

@test "with its folder" {
	mkdir "$D/.rsync-partial"
	cp big "$D/.rsync-partial/x"
	is "$(attr upload.state "$D/.rsync-partial/x")" held
	mv "$D/.rsync-partial/x" "$D/x"
	uploaded 1 "$D/x" big
	only x
}

@test "removed before it was renamed: nothing" {
	cp big "$D/x.part"
	rm "$D/x.part"
	is "$(ls -A "$D")" ""
	is "$(put_names)$(called_names)" ""
}

@test "written in several sessions before it is renamed: one upload" {
	head -c 100000 big >"$D/x.part"
	tail -c +100001 big >>"$D/x.part"
	mv "$D/x.part" "$D/x"
	uploaded 1 "$D/x" big
	only x
}

@test "chmod and touch while held go with the upload" {
	cp big "$D/x.part"
	chmod 640 "$D/x.part"
	touch -d '2011-12-13 14:15:16 UTC' "$D/x.part"
	mark=$(mark)
	mv "$D/x.part" "$D/x"
	uploaded 1 "$D/x" big
	is "$(count_requests -s "$mark" CopyObject)" 0
	is "$(stat -c '%a %Y' "$D/x")" "640 1323785716"
	is "$(oss_header "$(key_of "$D/x")" x-oss-meta-mode)" 33184
}

@test "mv while the writer still has it open: one upload at its close" {
	exec 5>"$D/x.part"
	echo one >&5
	mv "$D/x.part" "$D/x"
	echo two >&5
	exec 5>&-
	uploaded 1 "$D/x" <<<$'one\ntwo'
	only x
}

@test "never renamed: uploaded in the end, without a callback" {
	remount -o upload.temporary_hold=1s
	cp big "$D/x.part"
	settled "$D/x.part"
	oss_get "$(key_of "$D/x.part")" got
	same got big
	is "$(attr callback.state "$D/x.part")" none
	is "$(called_names)" ""
	is "$(put_names)" x.part
	remount
}

@test "held when the mount ends: the bytes are on OSS or in the next mount" {
	cp big "$D/x.part"
	remount
	same "$D/x.part" big
	is "$(called_names)" ""
	mv "$D/x.part" "$D/x"
	same "$D/x" big
	settled "$D/x"
	oss_get "$(key_of "$D/x")" got
	same got big
}

@test "held when the daemon is killed: still held, and renamed at leisure" {
	cp big "$D/x.part"
	mount_crash
	mount_start
	same "$D/x.part" big
	is "$(attr upload.state "$D/x.part")" held
	mv "$D/x.part" "$D/x"
	uploaded 1 "$D/x" big
	only x
}

@test "fsync of a held file does not upload it" {
	dd if=big of="$D/x.part" conv=fsync status=none
	is "$(put_names)" ""
	mv "$D/x.part" "$D/x"
	uploaded 1 "$D/x" big
}

@test "temporary = none: every name is final" {
	remount -o callback.temporary=none
	cp big "$D/x.part"
	uploaded 1 "$D/x.part" big
	remount
}

@test "temporary = globs of one's own" {
	remount -o 'callback.temporary=*.busy'
	cp big "$D/x.part"
	uploaded 1 "$D/x.part" big
	cp big "$D/y.busy"
	is "$(attr upload.state "$D/y.busy")" held
	mv "$D/y.busy" "$D/y"
	uploaded 1 "$D/y" big
	only x.part y
	remount
}

@test "sed -i, with what the manual advises: the edited name is told of" {
	echo a >"$D/x"
	remount -o 'callback.temporary=builtin sed??????'
	sed -i s/a/b/ "$D/x"
	uploaded 2 "$D/x" <<<b
	remount -o callback.on_rename=always
	echo a >"$D/y"
	sed -i s/a/c/ "$D/y"
	wait_is 2 count_callbacks "$D/y"
	is "$(cat "$D/y")" c
	remount
}

# -- empty files -----------------------------------------------------------------------

@test "an empty file is uploaded when empty_hold is over, with a callback" {
	: >"$D/f.done"
	is "$(attr callback.state "$D/f.done")" held
	: >want
	uploaded 1 "$D/f.done" want
}

@test "an empty file that is written within empty_hold: one upload, of the content" {
	remount -o upload.empty_hold=30s
	: >"$D/f"
	echo x >"$D/f"
	uploaded 1 "$D/f" <<<x
	touch "$D/g"
	echo x >>"$D/g"
	uploaded 1 "$D/g" <<<x
	remount
}

@test "an empty file that is renamed: one upload under the new name" {
	touch "$D/a"
	mv "$D/a" "$D/b"
	: >want
	uploaded 1 "$D/b" want
	only b
}

@test "an empty file that is removed: nothing" {
	touch "$D/a"
	rm "$D/a"
	is "$(put_names)" ""
}

@test "touch and chmod of a new file: one upload with the mode" {
	touch "$D/f"
	chmod 600 "$D/f"
	: >want
	uploaded 1 "$D/f" want
	is "$(oss_header "$(key_of "$D/f")" x-oss-meta-mode)" 33152
}

@test "unmount does not wait for holds" {
	remount -o upload.empty_hold=1h -o upload.temporary_hold=1h
	touch "$D/f"
	cp big "$D/x.part"
	SECONDS=0
	mount_stop
	[ $SECONDS -lt 30 ]
	oss_has "$(key_of "$D/f")"
	mount_start
	same "$D/x.part" big
}

# -- removed while open ------------------------------------------------------------------

# Writes, then removes its file while it is open, and reads it.
unlinked_while_open() { # PATH CONTENT [CLOSE-FIRST]
	python3 - "$@" <<-'PY'
		import os, sys
		path, content = sys.argv[1], sys.argv[2].encode()
		fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
		os.write(fd, content)
		reader = os.open(path, os.O_RDONLY)
		if len(sys.argv) > 3:
		    os.close(fd)
		os.unlink(path)
		assert os.pread(reader, 100, 0) == content
		if len(sys.argv) <= 3:
		    os.write(fd, b" more")
		    os.close(fd)
		    assert os.pread(reader, 100, 0) == content + b" more"
		os.close(reader)
	PY
}

@test "removed while open, held or not: readable till the close, and never uploaded" {
	unlinked_while_open "$D/a" content
	unlinked_while_open "$D/b" ""
	unlinked_while_open "$D/.c.swp" content
	unlinked_while_open "$D/.d.swp" content closed
	unlinked_while_open "$D/.e.swp" "" closed
	remount
	is "$(put_names)$(called_names)" ""
	is "$(ls -A "$D")" ""
	is "$(find "$W/state/world/staging" -type f)" ""
}
