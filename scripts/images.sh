#!/usr/bin/env bash
# Builds the project's static programs and packs each as an image archive in the
# cache: localhost/NAME:dev in images/NAME.tar. The command line lands in bin/.
# Usage: images.sh [--next]   (also an operator and a CRD of a next version, for the upgrade test)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

[ -x "$BIN/slipway-cluster" ] || "$ROOT/scripts/build-tools.sh" slipway-cluster
cd "$ROOT"
mkdir -p "$CACHE/images" "$CACHE/next"
images=()
if [ "${1:-}" = --next ]; then
    step "operator of a next version" cargo build --release --locked --workspace --bin slipway-operator --features slipway-operator/next
    install -m 755 "$PROGRAMS/slipway-operator" "$CACHE/next/slipway-operator"
    cargo run --release --locked --quiet --package slipway-api --features crd,next --example crd >"$CACHE/next/crd.yaml"
    images+=("slipway-operator-next=$CACHE/next/slipway-operator")
fi
step "static programs" cargo build --release --locked --workspace --bins
for name in slipway-operator slipway-server slipway-job; do
    images+=("$name=$PROGRAMS/$name")
done
install -m 755 "$PROGRAMS/slipway" "$BIN/slipway"
step "images" "$BIN/slipway-cluster" image --ca-certificates --out "$CACHE/images" "${images[@]}"
