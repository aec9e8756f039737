#!/usr/bin/env bash
# What our quantizer and its peers make of the small hard models of the tests: see hard.py. Fails where one of ours is silently wrong.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../../../scripts/lib.sh"
venv=$CACHE/venv-bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

ensure_venv bench crates/optimizer/bench/requirements.txt
ensure_quantize_rs
(cd "$ROOT" && cargo build --release --locked --package slipway-cli)
"$venv/bin/python" "$here/../tests/oracle/models.py" "$work"
"$venv/bin/python" "$here/hard.py" "$PROGRAMS/slipway" "$QUANTIZE_RS" "$work"
