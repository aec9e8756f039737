#!/usr/bin/env bash
# Runs every benchmark, one after the other; each prints its own figures beside its peer's.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

step "set-up" "$ROOT/scripts/setup.sh"
cd "$ROOT"
step "kernels beside a copy" cargo run --release --locked --quiet --package slipway-kernels --example throughput
for script in crates/optimizer/bench/quantize.sh crates/optimizer/bench/static.sh crates/optimizer/bench/hard.sh crates/optimizer/bench/quality.sh crates/server/bench/serve.sh crates/server/bench/engines.sh tests/bench/operator.sh; do
    step "$script" bash "$ROOT/$script"
done
