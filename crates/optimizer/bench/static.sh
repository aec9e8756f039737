#!/bin/sh
# Our static quantizer against onnxruntime.quantization.quantize_static, percentile 99.99, on a real model: the OCR
# recogniser of rapidocr-onnxruntime 1.4.4, with 32 images of lines that are drawn here.
#
#   bench/static.sh [SAMPLES]       32 samples; ONNX Runtime needs 10 GB of memory for them
#
# Prints CPU seconds and peak memory of both, from one run, their ratios, and how near each result is to the floats.
set -eu
samples=${1:-32}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
venv=${SLIPWAY_CACHE:-$HOME/.cache/slipway}/venv-bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

if ! "$venv/bin/python" -c 'import onnxruntime, onnx' 2>/dev/null; then
    echo "installing onnxruntime into $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet 'onnxruntime==1.32.*' onnx numpy
fi
models=$venv/models/rapidocr_onnxruntime/models
if [ ! -d "$models" ]; then
    echo "fetching the model" >&2
    "$venv/bin/pip" install --quiet --no-deps --target "$venv/models" 'rapidocr-onnxruntime==1.4.4'
fi
if [ -z "${SLIPWAY_BIN:-}" ]; then
    (cd "$root" && cargo build --release -p slipway-optimizer --examples)
    SLIPWAY_BIN=${CARGO_TARGET_DIR:-$root/target}/${CARGO_BUILD_TARGET:-.}/release/examples
fi

"$venv/bin/python" "$here/static_peer.py" prepare "$models/ch_PP-OCRv4_rec_infer.onnx" "$work" "$samples"
"$venv/bin/python" "$here/static_peer.py" ours "$SLIPWAY_BIN/static_file" \
    "$work/model.onnx" "$work/lines.npz" "$work/ours.onnx" 99.99 "$samples" | tee "$work/ours.json"
"$venv/bin/python" "$here/static_peer.py" onnxruntime \
    "$work/model.onnx" "$work/lines.npz" "$work/peer.onnx" | tee "$work/peer.json"
"$venv/bin/python" "$here/static_peer.py" compare "$work"
