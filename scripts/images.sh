#!/usr/bin/env bash
# Builds the project's programs and packs each as an image archive in the cache:
# localhost/NAME:dev in images/NAME.tar. The command line lands in bin/.
# slipway-server-onnxruntime and slipway-job-onnxruntime, which objects get by default, hold dynamic programs, with ONNX
# Runtime and the C and C++ libraries of this machine that it needs; the others hold static programs alone.
# Usage: images.sh [--next]   (also an operator and a CRD of a next version, for the upgrade test)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# with_onnxruntime NAME: a program and its libraries as an argument of the image maker. The libraries lie where the loader
# looks without a cache of its own: beside the C library.
with_onnxruntime() {
    local program=$PROGRAMS/$1 library found loader folder file
    library=$(echo "$CACHE"/onnxruntime/libonnxruntime.so.*)
    found=$(ldd "$program" "$library") || die "ldd: $found"
    ! grep -F 'not found' <<<"$found" || die "install the libraries named above (Debian: libstdc++6 libgcc-s1)"
    loader=$(sed -n 's|^[[:space:]]*\(/[^ ]*/ld-[^ ]*\) .*|\1|p' <<<"$found" | head -n 1)
    folder=$(dirname "$(sed -n 's|.*libc\.so\.6 => \([^ ]*\) .*|\1|p' <<<"$found" | head -n 1)")
    printf '%s-onnxruntime=%s' "$1" "$program"
    printf ',%s:/%s' "$library" "$(basename "$library")"
    printf ',%s:/usr/share/doc/onnxruntime/%s' "$CACHE/onnxruntime/LICENSE" LICENSE \
        "$CACHE/onnxruntime/ThirdPartyNotices.txt" ThirdPartyNotices.txt
    printf ',%s:%s' "$(realpath "$loader")" "$loader"
    sed -n 's|.* => \(/[^ ]*\) .*|\1|p' <<<"$found" | grep -vFx "$loader" | sort -u | while read -r file; do
        printf ',%s:%s' "$(realpath "$file")" "$folder/$(basename "$file")"
    done
}

# static COMMAND...: cargo for programs that need no library at run time.
static() { CARGO_BUILD_BUILD_DIR=$CARGO_TARGET_DIR CARGO_TARGET_DIR=$CACHE/static RUSTFLAGS="-C target-feature=+crt-static" cargo "$@"; }

[ -x "$BIN/slipway-cluster" ] || "$ROOT/scripts/build-tools.sh" slipway-cluster
cd "$ROOT"
mkdir -p "$CACHE/images" "$CACHE/next"
images=()
if [ "${1:-}" = --next ]; then
    step "operator of a next version" static build --release --locked --workspace --bin slipway-operator --features slipway-operator/next
    install -m 755 "$STATIC_PROGRAMS/slipway-operator" "$CACHE/next/slipway-operator"
    cargo run --release --locked --quiet --package slipway-api --features crd,next --example crd >"$CACHE/next/crd.yaml"
    images+=("slipway-operator-next=$CACHE/next/slipway-operator")
fi
step "static programs" static build --release --locked --bin slipway-operator --bin slipway-server --bin slipway-job
for name in slipway-operator slipway-server slipway-job; do
    images+=("$name=$STATIC_PROGRAMS/$name")
done
step "programs that load ONNX Runtime" cargo build --release --locked --workspace --bins
"$ROOT/scripts/onnxruntime.sh"
for name in slipway-server slipway-job; do
    images+=("$(with_onnxruntime "$name")")
done
install -m 755 "$PROGRAMS/slipway" "$BIN/slipway"
step "images" "$BIN/slipway-cluster" image --ca-certificates --out "$CACHE/images" "${images[@]}"
