#!/usr/bin/env bash
# Builds the project's static programs and packs each as an image archive in the
# cache: localhost/NAME:dev in images/NAME.tar. The command line lands in bin/.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

[ -x "$BIN/slipway-cluster" ] || "$ROOT/scripts/build-tools.sh" slipway-cluster
cd "$ROOT"
step "static programs" cargo build --release --locked --workspace --bins
images=()
for name in slipway-operator slipway-server slipway-job; do
    images+=("$name=$PROGRAMS/$name")
done
install -m 755 "$PROGRAMS/slipway" "$BIN/slipway"
mkdir -p "$CACHE/images"
step "images" "$BIN/slipway-cluster" image --ca-certificates --out "$CACHE/images" "${images[@]}"
