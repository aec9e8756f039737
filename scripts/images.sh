#!/usr/bin/env bash
# Builds the project's static programs and packs each as an image archive in the
# cache: localhost/NAME:dev in images/NAME.tar.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

TARGET=x86_64-unknown-linux-gnu
PROGRAMS="slipway-operator slipway-server slipway-job"

[ -x "$BIN/slipway-cluster" ] || "$ROOT/scripts/build-tools.sh" slipway-cluster
options=() images=()
for name in $PROGRAMS; do
    options+=(--bin "$name")
    images+=("$name=$CARGO_TARGET_DIR/$TARGET/release/$name")
done
cd "$ROOT"
# The explicit target keeps the flag away from build scripts and procedural macros.
step "static programs" env RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --target "$TARGET" "${options[@]}"
mkdir -p "$CACHE/images"
step "images" "$BIN/slipway-cluster" image --ca-certificates --out "$CACHE/images" "${images[@]}"
