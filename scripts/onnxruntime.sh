#!/usr/bin/env bash
# Fetches the ONNX Runtime library into the cache, and builds, tests or lints the programs that load it (server and job):
# dynamically linked, beside the static ones. Skips what is there.
# Usage: onnxruntime.sh [library | build | test [ARGUMENT...] | lint]   (nothing: library)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

WANTED=$ROOT/scripts/onnxruntime.txt
LIBRARY=$CACHE/onnxruntime

# fetch_library: takes the library out of a wheel whose hash is pinned; no Python is needed to use it.
fetch_library() {
    if cmp -s "$WANTED" "$LIBRARY/requirements.txt"; then
        say skip "ONNX Runtime (fetched)"
        return
    fi
    local python=$CACHE/venv-magika/bin/python scratch
    [ -x "$python" ] || python=python3
    say fetch "ONNX Runtime"
    scratch=$(mktemp -d)
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --platform manylinux_2_28_x86_64 --implementation cp --python-version 3.12 \
        --dest "$scratch" --requirement "$WANTED" >"$CACHE/logs/onnxruntime.log" 2>&1 ||
        die "pip download: $(tail -n 20 "$CACHE/logs/onnxruntime.log")"
    "$python" -m zipfile --extract "$scratch"/*.whl "$scratch"
    rm -rf "$LIBRARY"
    mkdir "$LIBRARY"
    install -m 755 "$scratch"/onnxruntime/capi/libonnxruntime.so.* "$LIBRARY/"
    install -m 644 "$scratch"/onnxruntime/{LICENSE,ThirdPartyNotices.txt} "$LIBRARY/"
    cp "$WANTED" "$LIBRARY/requirements.txt"
    rm -r "$scratch"
}

# dynamic COMMAND...: cargo without the flag that makes programs static. What runs while building is shared with the
# static build, finished programs are not.
dynamic() {
    (cd "$ROOT" && CARGO_BUILD_BUILD_DIR=$CARGO_TARGET_DIR CARGO_TARGET_DIR=$CACHE/dynamic RUSTFLAGS='' \
        cargo "$1" --release --locked --package slipway-server --package slipway-optimizer "${@:2}")
}

# engine_tests: the server's tests and, of the job's, the one of its engines.
engine_tests() {
    local file
    printf '%s\n' --lib --bins --test engines
    for file in "$ROOT"/crates/server/tests/*.rs; do
        printf '%s\n' --test "$(basename "$file" .rs)"
    done
}

fetch_library
mapfile -t tests < <(engine_tests)
case ${1:-library} in
library) ;;
# The tests' features too, so that testing builds no dependency again.
build) dynamic build "${tests[@]}" ;;
test) dynamic test "${tests[@]}" "${@:2}" ;;
lint) dynamic clippy --all-targets -- -D warnings ;;
*) die "what is ${1}? see the head of $0" ;;
esac
