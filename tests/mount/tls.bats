#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# OSS by https, with certificates of a private authority, good and bad.

load lib/common

# NAME SUBJECT-ALTERNATIVE-NAME: NAME.pem and NAME.key, signed by NAME-ca.pem
make_certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=authority" \
		-keyout "$1-ca.key" -out "$1-ca.pem"
	openssl req -newkey rsa:2048 -nodes -subj "/CN=oss" -keyout "$1.key" -out "$1.csr"
	echo "subjectAltName=$2" >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA "$1-ca.pem" -CAkey "$1-ca.key" \
		-CAcreateserial -days 2 -extfile "$1.ext" -out "$1.pem"
} >/dev/null 2>&1

setup_file() {
	need_fuse
	cd "$BATS_FILE_TMPDIR"
	make_certificate good IP:127.0.0.1
	make_certificate other IP:127.0.0.1
	make_certificate name DNS:oss.example.com
}

teardown_file() { :; }

setup() {
	need_fuse
	cd "$BATS_FILE_TMPDIR"
}

# CERTIFICATE AUTHORITY: an emulator that serves https, nothing mounted
tls_world() {
	mkdir -p "$BATS_TEST_TMPDIR/world/mnt" "$BATS_TEST_TMPDIR/world/state"
	world_use "$BATS_TEST_TMPDIR/world"
	: >"$W/receiver.log"
	echo "no .callback. is configured" >"$W/allowed"
	emulator_start --tls-cert "$1.pem" --tls-key "$1.key"
	# shellcheck disable=SC2034 # conf_write reads it
	EMU=https://127.0.0.1:$(<"$W/emulator.port")
	conf_write
	sed -i '/^\[callback\]/,/^\[state\]/{/^\[state\]/!d}' "$W/ackfs.conf"
	conf_add oss "ca_file = $2.pem"
}

# A mount that must not come to be, and the one line that says why.
refused() { # LINE-REGEX
	local rc=0
	quick 30 "$BIN/ackfs" "$BUCKET" "$MNT" -o "config=$W/ackfs.conf" 2>"$W/err" || rc=$?
	[ $rc -ne 0 ] || fail "it mounts"
	grep -qE -- "$1" "$W/err" || fail "no \"$1\" in: $(cat "$W/err")"
	fails is_mounted
}

@test "a private authority: small and large files go there and come back" {
	tls_world good "$PWD/good-ca"
	mount_start
	echo secret >"$MNT/small"
	head -c 40000000 /dev/urandom >"$W/large"
	cp "$W/large" "$MNT/large"
	mount_stop
	mount_start # nothing of it is cached
	is "$(<"$MNT/small")" secret
	same "$MNT/large" "$W/large"
	mount_stop
}

@test "a certificate of an unknown authority: no mount, and the line says why" {
	tls_world other "$PWD/good-ca"
	refused "CertificateRefused.*issuer"
}

@test "a certificate of another host: no mount, and the line says why" {
	tls_world name "$PWD/name-ca"
	refused "CertificateRefused.*127\.0\.0\.1"
}

@test "http to a port that speaks https: no mount, and the line names the endpoint" {
	tls_world good "$PWD/good-ca"
	sed -i "s|^endpoint = https:|endpoint = http:|" "$W/ackfs.conf"
	refused "http://127.0.0.1:$(<"$W/emulator.port"): .*ConnectionLost"
}

@test "an authority's file that is not there is named" {
	tls_world good "$PWD/nowhere"
	refused 'nowhere.pem'
}
