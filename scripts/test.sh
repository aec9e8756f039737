#!/usr/bin/env bash
# Sets up and runs every test, the ones on a real Kubernetes included.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$ROOT"

# go_tests: the tests of the cluster itself.
go_tests() { (cd "$ROOT/tests/cluster" && go vet ./... && go test ./...); }

step "set-up" scripts/setup.sh
step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
step "images" scripts/images.sh
step "Rust tests" cargo test --workspace --release --locked
step "cluster tests" go_tests
say ok "all tests ($SECONDS s)"
