#!/usr/bin/env bash
# Checks formatting and lints; warnings are errors.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# go_lint: the cluster's Go is formatted and passes vet.
go_lint() { (cd "$ROOT/tests/cluster" && test -z "$(gofmt -l .)" && go vet ./...); }

cd "$ROOT"
step "format" cargo fmt --all --check
step "lints" cargo clippy --release --locked --workspace --all-targets -- -D warnings
step "Go" go_lint
