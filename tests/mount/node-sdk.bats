#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The official Node SDK, ali-oss, against ackfs-emulator.

load lib/emulator

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
SDK=$ROOT/build/node-sdk

setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() { emulator_stop; }

have_sdk() {
	[ -d "$SDK/node_modules/ali-oss" ] && return 0
	mkdir -p "$SDK"
	timeout 120 npm install --no-audit --no-fund --no-save --prefix "$SDK" \
		ali-oss@6.23.0 >"$SDK/npm.log" 2>&1
}

@test "ali-oss: operations, multipart and callbacks, V1 and V4" {
	command -v npm >/dev/null || skip "npm is not installed"
	node -e 'process.exit(+process.versions.node.split(".")[0] >= 18 ? 0 : 1)' ||
		skip "node is older than 18"
	have_sdk || skip "npm cannot fetch ali-oss: $(tail -n 1 "$SDK/npm.log")"
	emulator_start --bucket test-bucket
	EMULATOR_URL=$EMULATOR_URL NODE_SDK=$SDK \
		node --test "$ROOT/tests/node/ali-oss.test.mjs"
}
