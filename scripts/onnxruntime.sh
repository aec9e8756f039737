#!/usr/bin/env bash
# Fetches the ONNX Runtime library into the cache, where our programs find it; skips what is there.
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

fetch_library
