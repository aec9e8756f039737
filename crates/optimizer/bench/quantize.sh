#!/usr/bin/env bash
# Our dynamic quantizer against onnxruntime.quantization.quantize_dynamic, on one generated model.
#
#   bench/quantize.sh [LAYERS]      16 layers of 4096 x 4096 floats = 1.07 GB (needs 3 GB of disk, 4 GB of memory)
#
# Prints CPU seconds and peak memory of both, from one run, and their ratios.
set -euo pipefail
layers=${1:-16}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../../../scripts/lib.sh"
venv=$CACHE/venv-bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

ensure_venv bench crates/optimizer/bench/requirements.txt
(cd "$ROOT" && cargo build --release --locked --package slipway-optimizer --examples)

echo "writing $layers layers" >&2
"$PROGRAMS/examples/big_model" "$work" "$layers"
# Both read from the page cache: what is compared is the work, not the disk.
cat "$work/model.onnx.data" >/dev/null
for granularity in per-channel per-tensor; do
    echo "== $granularity"
    "$venv/bin/python" "$here/quantize_peer.py" ours "$PROGRAMS/examples/quantize_file" \
        "$work/model.onnx" "$work/ours.onnx" dynamic "$granularity" | tee "$work/ours.json"
    "$venv/bin/python" "$here/quantize_peer.py" onnxruntime \
        "$work/model.onnx" "$work/peer.onnx" "$granularity" | tee "$work/peer.json"
    "$venv/bin/python" - "$work/ours.json" "$work/peer.json" <<'PY'
import json, sys
ours, peer = (json.load(open(path)) for path in sys.argv[1:])
print(f"CPU {peer['cpu_s'] / ours['cpu_s']:.1f}x less, peak memory {peer['peak_mib'] / ours['peak_mib']:.1f}x less")
PY
    rm -f "$work"/ours.onnx* "$work"/peer.onnx*
done
