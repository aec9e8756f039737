#!/usr/bin/env bash
# Checks formatting, lints, and what is linked; warnings are errors.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# go_lint: the cluster's Go is formatted and passes vet.
go_lint() { (cd "$ROOT/tests/cluster" && test -z "$(gofmt -l .)" && go vet ./...); }

# deny: licences, bans and sources of all that is linked, and known vulnerabilities where the database can be reached.
deny() {
    local words
    if words=$("$BIN/cargo-deny" --locked fetch db 2>&1); then
        "$BIN/cargo-deny" --locked check --hide-inclusion-graph
    else
        say skip "advisories: their database cannot be fetched: $(grep -m1 -i error <<<"$words")"
        "$BIN/cargo-deny" --locked check --hide-inclusion-graph bans licenses sources
    fi
}

cd "$ROOT"
step "set-up" scripts/setup.sh --lint
step "format" cargo fmt --all --check
step "lints" cargo clippy --release --locked --workspace --all-targets -- -D warnings
step "Go" go_lint
step "what is linked" deny
