#!/usr/bin/env bash
# Installs and builds what this repository's commands need, and skips what is
# there. Everything built lies in ${SLIPWAY_CACHE:-~/.cache/slipway}.
# Usage: setup.sh [--rust-only | --lint]
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

PACKAGES="containerd runc containernetworking-plugins nftables iptables conntrack iproute2 kmod socat util-linux busybox-static ca-certificates"
# The oldest Go that fetches a newer one by itself, and the one we start from.
GO_OLDEST=21
GO_VERSION=1.26.8
DENY_VERSION=0.20.2

# ensure_rust: rustup fetches the pinned toolchain by itself; Rust links with cc.
ensure_rust() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup (https://rustup.rs)"
    say skip "Rust: $(cd "$ROOT" && cargo --version)"
    command -v cc >/dev/null || apt_install gcc libc6-dev
}

# go_minor: the minor version of the Go on PATH, 0 if there is none.
go_minor() {
    local version
    version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || version=go1.0
    version=${version#go1.}
    echo "${version%%.*}"
}

# ensure_go: Debian 12's Go is too old to fetch a newer one by itself, but it can
# download one as the Go module that newer versions use for it.
ensure_go() {
    if [ "$(go_minor)" -ge "$GO_OLDEST" ]; then
        say skip "Go: $(go version)"
        return
    fi
    apt_install golang-go
    say go "fetching Go $GO_VERSION"
    local scratch module
    scratch=$(mktemp -d)
    printf 'module scratch\n' >"$scratch/go.mod"
    module=$(cd "$scratch" && go mod download -json "golang.org/toolchain@v0.0.1-go$GO_VERSION.linux-amd64" |
        sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    rm -r "$scratch"
    [ -n "$module" ] || die "Go $GO_VERSION could not be fetched: install Go 1.$GO_OLDEST or newer"
    rm -rf "$CACHE/go"
    cp -r "$module" "$CACHE/go"
    # Modules carry no modes.
    chmod -R u+w,a+rX "$CACHE/go"
    chmod +x "$CACHE"/go/bin/* "$CACHE"/go/pkg/tool/*/*
}

# ensure_deny: what checks licences, for the linter alone; it is a program of this machine, not a static one of ours.
ensure_deny() {
    if [ "$("$BIN/cargo-deny" --version 2>/dev/null)" = "cargo-deny $DENY_VERSION" ]; then
        say skip "cargo-deny $DENY_VERSION (built)"
        return
    fi
    say build "cargo-deny $DENY_VERSION"
    env -u CARGO_BUILD_TARGET CARGO_TARGET_DIR="$CACHE/deny-build" \
        cargo install --locked --version "=$DENY_VERSION" --root "$CACHE" cargo-deny \
        >"$CACHE/logs/cargo-deny.log" 2>&1 || die "cargo-deny: $(tail -n 20 "$CACHE/logs/cargo-deny.log")"
    rm -rf "$CACHE/deny-build"
}

ensure_rust
[ "${1:-}" = --rust-only ] && exit 0
if [ "${1:-}" = --lint ]; then
    ensure_go
    ensure_deny
    exit 0
fi
# shellcheck disable=SC2086 # a list of words
apt_install $PACKAGES
ensure_go
# A real model for the tests on a node, and what the quantizer is held against.
ensure_venv magika examples/magika/requirements.txt
ensure_venv oracle crates/optimizer/tests/oracle/requirements.txt
"$ROOT/scripts/onnxruntime.sh"
"$ROOT/scripts/build-tools.sh"
say ok "set-up"
