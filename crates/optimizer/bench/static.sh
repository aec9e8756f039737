#!/usr/bin/env bash
# Our static quantizer against onnxruntime.quantization.quantize_static, percentile 99.99, on a real model: the OCR
# recogniser of rapidocr-onnxruntime 1.4.4, with 32 images of lines that are drawn here.
#
#   bench/static.sh [SAMPLES]       32 samples; ONNX Runtime needs 10 GB of memory for them
#
# Prints CPU seconds and peak memory of both, from one run, their ratios, and how near each result is to the floats.
set -euo pipefail
samples=${1:-32}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../../../scripts/lib.sh"
venv=$CACHE/venv-bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

ensure_venv bench crates/optimizer/bench/requirements.txt
models=$venv/models/rapidocr_onnxruntime/models
if [ ! -d "$models" ]; then
    echo "fetching the model" >&2
    "$venv/bin/pip" install --quiet --no-deps --target "$venv/models" 'rapidocr-onnxruntime==1.4.4'
fi
(cd "$ROOT" && cargo build --release --locked --package slipway-optimizer --examples)

"$venv/bin/python" "$here/static_peer.py" prepare "$models/ch_PP-OCRv4_rec_infer.onnx" "$work" "$samples"
"$venv/bin/python" "$here/static_peer.py" ours "$PROGRAMS/examples/static_file" \
    "$work/model.onnx" "$work/lines.npz" "$work/ours.onnx" 99.99 "$samples" | tee "$work/ours.json"
"$venv/bin/python" "$here/static_peer.py" onnxruntime \
    "$work/model.onnx" "$work/lines.npz" "$work/peer.onnx" | tee "$work/peer.json"
"$venv/bin/python" "$here/static_peer.py" compare "$work"
