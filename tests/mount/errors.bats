#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What goes wrong on OSS's side: the errno a program sees, and the line in the
# log, for each.  No error is ever taken for absence or for success.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

settings() {
	conf_add upload 'retry_deadline = 1s'
	conf_add cache 'metadata_ttl = 0'
}

before_mount() {
	settings
	for i in $(seq 40); do echo "e/$i"; done | while read -r key; do
		oss_put "$key" <(printf '%s' content)
	done
}

setup() {
	test_setup
	log_allow .
	F=$MNT/e/$BATS_TEST_NUMBER
}

# errno_of CALL PATH: the name of the error, or 0
errno_of() {
	python3 - "$@" <<-'PY'
		import errno, os, sys
		call, path = sys.argv[1:]
		try:
		    if call == "write":
		        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
		        os.write(fd, b"hello\n")
		        os.close(fd)
		    elif call == "read":
		        with open(path, "rb") as f:
		            f.read()
		    elif call == "list":
		        os.listdir(path)
		    else:
		        getattr(os, call)(path)
		    print(0)
		except OSError as e:
		    print(errno.errorcode[e.errno])
	PY
}

# refused OPERATION STATUS CODE CALL ERRNO [PATH]
refused() {
	fault "$1" '*' status ',"status":'"$2"',"code":"'"$3"'"'
	is "$(errno_of "$4" "${6:-$F}")" "$5" "$1 $2 $3: $4"
	log_has "$3" || fail "$3 is not in the log"
	faults_clear
}

@test "PutObject: AccessDenied is EACCES" {
	refused PutObject 403 AccessDenied write EACCES "$D/f"
}

@test "PutObject: NoSuchBucket is ENODEV, never ENOENT" {
	refused PutObject 404 NoSuchBucket write ENODEV "$D/f"
}

@test "PutObject: FileImmutable is EPERM" {
	refused PutObject 409 FileImmutable write EPERM "$D/f"
}

@test "PutObject: EntityTooLarge is EFBIG" {
	refused PutObject 400 EntityTooLarge write EFBIG "$D/f"
}

@test "PutObject: InternalError that stays is EIO after the deadline" {
	refused PutObject 500 InternalError write EIO "$D/f"
}

@test "PutObject: InternalError that passes is not seen" {
	fault PutObject "$(key_of "$D/f")" status ',"status":500,"count":1'
	is "$(errno_of write "$D/f")" 0
	wait_is 2 count_uploads "$D/f"
	is "$(callbacks_of "$D/f" .id | wc -l)" 1
}

@test "PutObject: a failed close keeps the bytes, and they arrive later" {
	fault PutObject "$(key_of "$D/f")" status ',"status":503,"code":"ServiceUnavailable"'
	is "$(errno_of write "$D/f")" EIO
	is "$(cat "$D/f")" hello
	is "$(attr upload.state "$D/f")" retrying
	attr upload.error "$D/f" | grep -q ServiceUnavailable
	faults_clear
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	is "$(cat got)" hello
	wait_is 1 count_callbacks "$D/f"
}

@test "PutObject: reset connections are tried again" {
	for kind in reset_before reset_during reset_after; do
		fault PutObject "$(key_of "$D/$kind")" $kind ',"count":1,"bytes":2'
		is "$(errno_of write "$D/$kind")" 0 $kind
		faults_clear
		oss_get "$(key_of "$D/$kind")" got
		is "$(cat got)" hello
	done
}

@test "PutObject: a repetition has the same delivery id" {
	fault PutObject "$(key_of "$D/f")" reset_after ',"count":1'
	is "$(errno_of write "$D/f")" 0
	is "$(count_callbacks "$D/f")" 2
	is "$(callbacks_of "$D/f" .id | sort -u | wc -l)" 1
	is "$(callbacks_of "$D/f" .duplicate)" $'false\ntrue'
}

@test "PutObject: a wrong CRC in the answer is not success" {
	fault PutObject "$(key_of "$D/f")" wrong_crc
	is "$(errno_of write "$D/f")" EIO
	log_has "[Cc][Rr][Cc]"
	faults_clear
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	is "$(cat got)" hello
}

@test "PutObject: HTML instead of XML is EIO" {
	fault PutObject '*' html ',"status":500'
	is "$(errno_of write "$D/f")" EIO
	log_has 'http=500|500'
	faults_clear
}

@test "PutObject: HTML with 403 is EACCES" {
	fault PutObject '*' html ',"status":403'
	is "$(errno_of write "$D/f")" EACCES
}

@test "GetObject: InvalidObjectState (archived) is EACCES, and says so" {
	refused GetObject 403 InvalidObjectState read EACCES
}

@test "GetObject: an archived object for real" {
	OSS_HEADERS='x-oss-storage-class: Archive' oss_put "$(key_of "$D")-a/f" <(echo x)
	is "$(errno_of stat "$D-a/f")" 0
	is "$(errno_of read "$D-a/f")" EACCES
	log_has InvalidObjectState
}

@test "GetObject: AccessDenied is EACCES" {
	refused GetObject 403 AccessDenied read EACCES
}

@test "GetObject: NoSuchKey, for an object that has just gone, is not EIO" {
	stat "$F"
	oss_delete "$(key_of "$F")"
	[[ $(errno_of read "$F") =~ ^(ENOENT|ESTALE)$ ]]
}

@test "GetObject: a cut body is tried again" {
	fault GetObject "$(key_of "$F")" truncate ',"bytes":3,"count":1'
	is "$(cat "$F")" content
}

@test "GetObject: a body that is cut every time is EIO, not a short file" {
	fault GetObject "$(key_of "$F")" truncate ',"bytes":0'
	is "$(errno_of read "$F")" EIO
}

@test "GetObject: a flipped byte is found by its CRC" {
	fault GetObject "$(key_of "$F")" corrupt
	is "$(errno_of read "$F")" EIO
	log_has "[Cc][Rr][Cc]"
}

@test "GetObject: 500 with HTML is EIO" {
	fault GetObject '*' html ',"status":500'
	is "$(errno_of read "$F")" EIO
}

@test "List: garbage instead of XML is EIO, not an empty folder" {
	fault 'List*' '*' garbage
	is "$(errno_of list "$MNT/e")" EIO
	is "$(errno_of stat "$MNT/e/none")" EIO
}

@test "List: a cut body is EIO, not a short folder" {
	fault 'List*' '*' truncate ',"bytes":700'
	is "$(errno_of list "$MNT/e")" EIO
}

@test "List: AccessDenied is EACCES for ls and for a lookup" {
	refused 'List*' 403 AccessDenied list EACCES "$MNT/e"
	fault 'List*' '*' status ',"status":403,"code":"AccessDenied"'
	fault 'Head*' '*' status ',"status":403,"code":"AccessDenied"'
	is "$(errno_of stat "$MNT/e/other")" EACCES
}

@test "List: NoSuchBucket is ENODEV" {
	refused 'List*' 404 NoSuchBucket list ENODEV "$MNT/e"
}

@test "Delete: AccessDenied is EACCES, and the file is still there" {
	refused 'Delete*' 403 AccessDenied unlink EACCES
	is "$(cat "$F")" content
}

@test "Copy: a rename that OSS refuses leaves the old name" {
	fault CopyObject '*' status ',"status":403,"code":"AccessDenied"'
	fault UploadPartCopy '*' status ',"status":403,"code":"AccessDenied"'
	fault InitiateMultipartUpload '*' status ',"status":403,"code":"AccessDenied"'
	fails mv "$F" "$D/g" 2>err
	grep -q 'Permission denied' err
	faults_clear
	is "$(cat "$F")" content
	fails stat "$D/g" 2>/dev/null
}

@test "mkdir: AccessDenied is EACCES" {
	fault PutObject '*' status ',"status":403,"code":"AccessDenied"'
	is "$(errno_of mkdir "$D/d")" EACCES
	faults_clear
	[ ! -e "$D/d" ]
}

@test "a black hole: errors come within the deadline" {
	fault '*' '*' stall
	SECONDS=0
	is "$(quick 50 bash -c 'ls "$1" 2>&1 >/dev/null | grep -c .' sh "$MNT/e")" 1
	[ "$(errno_of write "$D/f")" != 0 ]
	[ $SECONDS -lt 45 ]
	faults_clear
}

# Folders that were seen need no request: what fails is the upload itself.
names_are_cached() {
	remount -o cache.metadata_ttl=5m
	ls "$D" "$MNT/e" >/dev/null
}

@test "a server that is gone, and comes back" {
	names_are_cached
	stop emulator
	[[ $(errno_of write "$D/f") =~ ^(EIO|ETIMEDOUT)$ ]]
	[[ $(errno_of read "$F") =~ ^(EIO|ETIMEDOUT)$ ]]
	[[ $(errno_of list "$MNT/t1") =~ ^(EIO|ETIMEDOUT)$ ]]
	EMU_PORT=${EMU##*:} emulator_start
	is "$(cat "$F")" content
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	is "$(cat got)" hello
	remount
}

@test "a key that OSS does not know any more: EACCES; a new one is taken at SIGHUP" {
	names_are_cached
	curl -sSf -o /dev/null "$EMU/-/credentials" \
		-d '{"access_key_id":"second","access_key_secret":"secret-2"}'
	curl -sSf -o /dev/null -X DELETE "$EMU/-/credentials?access_key_id=$ACCESS_KEY"
	is "$(errno_of write "$D/f")" EACCES
	log_has InvalidAccessKeyId
	sed -i 's/^access_key_id = .*/access_key_id = second/; s/^access_key_secret = .*/access_key_secret = secret-2/' \
		"$W/ackfs.conf"
	send HUP ackfs
	settled "$D/f"
	is "$(errno_of write "$D/g")" 0
	curl -sSf -o /dev/null "$EMU/-/credentials" \
		-d '{"access_key_id":"'"$ACCESS_KEY"'","access_key_secret":"'"$SECRET_KEY"'"}'
	conf_write
	settings
	remount
}

@test "a wrong secret: SignatureDoesNotMatch, EACCES" {
	names_are_cached
	curl -sSf -o /dev/null "$EMU/-/credentials" \
		-d '{"access_key_id":"'"$ACCESS_KEY"'","access_key_secret":"changed"}'
	is "$(errno_of write "$D/f")" EACCES
	log_has SignatureDoesNotMatch
	curl -sSf -o /dev/null "$EMU/-/credentials" \
		-d '{"access_key_id":"'"$ACCESS_KEY"'","access_key_secret":"'"$SECRET_KEY"'"}'
	remount
}

sts_key() { # NAME EXPIRES: known to the emulator
	curl -sSf -o /dev/null "$EMU/-/credentials" -d '{"access_key_id":"STS.'"$1"'",
		"access_key_secret":"s'"$1"'","security_token":"t'"$1"'","expires":'"$2"'}'
}

sts_file() { # NAME
	printf '{"AccessKeyId":"STS.%s","AccessKeySecret":"s%s","SecurityToken":"t%s"}\n' \
		"$1" "$1" "$1" >"$W/sts.json"
}

@test "an STS token that expires: the file's new one is read, nobody notices" {
	later=$(($(date +%s) + 3600))
	sts_key 1 $later
	sts_file 1
	chmod 600 "$W/sts.json"
	sed -i "/^access_key_/d" "$W/ackfs.conf"
	conf_add credentials "file = $W/sts.json"
	names_are_cached
	is "$(errno_of write "$D/f")" 0
	sts_key 1 1
	is "$(errno_of write "$D/g")" EACCES
	log_has SecurityTokenExpired
	sts_key 2 $later
	sts_file 2
	is "$(errno_of write "$D/h")" 0
	settled "$D/g"
	conf_write
	settings
	remount
}

@test "a clock that is wrong is corrected by the server's" {
	curl -sSf -o /dev/null "$EMU/-/clock" -d '{"skew_ms":7200000}'
	is "$(errno_of write "$D/f")" 0
	curl -sSf -o /dev/null "$EMU/-/clock" -d '{"skew_ms":0}'
	is "$(errno_of write "$D/g")" 0
}

@test "nothing secret is in the log" {
	fails grep -F "$SECRET_KEY" "$W/ackfs.log"
	fails grep -iE 'Signature=[0-9a-f]{16}|Authorization' "$W/ackfs.log"
}
