#!/usr/bin/env bash
# The operator with 500 objects on a real API server.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../../scripts/lib.sh"
cd "$ROOT"
cargo build --release --locked --bin slipway-operator
python3 tests/bench/operator.py --binaries "$BIN" --operator "$PROGRAMS/slipway-operator" --crd crds/slipway.dev_modeldeployments.yaml
