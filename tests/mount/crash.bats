#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The crash harness, a few rounds: `make crash` makes some hundreds.
# bats file_tags=asan

load lib/common

setup() { need_fuse; }
teardown() { :; }
setup_file() { :; }
teardown_file() { :; }

# Builds with sanitizers have failpoints; what is slower makes fewer rounds.
has_failpoints() { grep -q 'staging.close.committed' "$BIN/ackfs"; }

crash() {
	run "$BATS_TEST_DIRNAME/../../scripts/crash" --seed 1 --bin "$BIN" "$@"
	printf '%s\n' "$output" | tail -n 30
	[ "$status" -eq 0 ]
}

@test "nothing that was closed is lost when the daemon is killed" {
	if has_failpoints; then
		crash --failpoints --rounds 16
	else
		crash --rounds 20
	fi
}

@test "nothing is lost, cut or told to close() while a tenth of all requests fails" {
	if has_failpoints; then
		crash --faults --rounds 1 --files 80
	else
		crash --faults --rounds 2 --files 150
	fi
}
