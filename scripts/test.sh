#!/usr/bin/env bash
# Sets up and runs every test, the ones on a real Kubernetes included.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$ROOT"

# go_tests: the tests of the cluster itself.
go_tests() { (cd "$ROOT/tests/cluster" && go test ./...); }

step "set-up" scripts/setup.sh
step "images" scripts/images.sh --next
step "Rust tests" cargo test --release --locked --workspace --exclude e2e
step "the server's tests on both engines" scripts/onnxruntime.sh test
step "cluster tests" go_tests
# One after the other: each test waits for pods on the same node.
step "tests on a real node" cargo test --release --locked --package e2e -- --test-threads=1
say ok "all tests ($SECONDS s)"
