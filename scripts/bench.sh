#!/usr/bin/env bash
# Runs every benchmark, one after the other; each prints its own figures.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

step "set-up" "$ROOT/scripts/setup.sh"
for script in "$ROOT"/tests/bench/*.sh; do
    [ -e "$script" ] || die "no benchmark lies in tests/bench"
    step "$(basename "$script" .sh)" bash "$script"
done
