#!/usr/bin/env bash
# Takes a real model through the whole road on this machine: fetch, quantize, judge, serve, predict.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/setup.sh" --rust-only
cd "$ROOT"
step "slipway" cargo build --release --locked --bin slipway
install -m 755 "$PROGRAMS/slipway" "$BIN/slipway"
"$BIN/slipway" run -f examples/digits/ "$@"
if ! command -v slipway >/dev/null; then
    printf '\nthe command is %s: export PATH=%s:$PATH\n' "$BIN/slipway" "$BIN"
fi
