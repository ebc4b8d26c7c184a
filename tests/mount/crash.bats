#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The crash harness, a few rounds: `make crash` makes two hundred.

load lib/common

setup() { need_fuse; }
teardown() { :; }
setup_file() { :; }
teardown_file() { :; }

@test "nothing that was closed is lost when the daemon is killed: 20 rounds" {
	run python3 "$BATS_TEST_DIRNAME/../../scripts/crash" --rounds 20 --seed 1 --bin "$ACKFS_BIN"
	printf '%s\n' "$output" | tail -n 12
	[ "$status" -eq 0 ]
}
