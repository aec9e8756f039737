#!/usr/bin/env bash
# Our quantizer against ONNX Runtime's own ones and crate quantize-rs, on one generated model; then ours alone in 96 MiB.
#
#   bench/quantize.sh [LAYERS [LARGE [ROUNDS]]]
#
# LAYERS layers of 4096 x 4096 floats are compared (16: 1.07 GB), LARGE (36: 2.4 GB) are quantized under the limit, and
# the best of ROUNDS (2) counts. Needs 8 GB of disk and 10 GB of memory for the peers. Prints one Markdown table; fails
# where a promise of quantize_table.py is not kept. Limits need root; without it they are left off, and it says so.
set -euo pipefail
layers=${1:-16} large=${2:-36} rounds=${3:-2}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../../../scripts/lib.sh"
venv=$CACHE/venv-bench
work=$(mktemp -d)
cgroup=
cleanup() {
    rm -rf "$work"
    [ -z "$cgroup" ] || rmdir "$cgroup"
}
trap cleanup EXIT INT TERM

# limit: makes a control group of its own that allows 96 MiB, of either version; says why not.
limit() {
    local bytes=$((96 << 20)) file root=/sys/fs/cgroup
    if [ -d $root/memory ]; then
        cgroup=$root/memory/slipway-bench-$$ file=memory.limit_in_bytes
    elif grep -qw memory $root/cgroup.subtree_control 2>/dev/null; then
        cgroup=$root/slipway-bench-$$ file=memory.max
    else
        echo "no memory controller in $root" >&2
        return
    fi
    if ! { mkdir "$cgroup" && echo "$bytes" >"$cgroup/$file"; }; then
        echo "no limit: $cgroup cannot be made" >&2
        rmdir "$cgroup" 2>/dev/null || true
        cgroup=
    fi
}

ensure_venv bench crates/optimizer/bench/requirements.txt >&2
ensure_quantize_rs >&2
(cd "$ROOT" && cargo build --release --locked --package slipway-optimizer --examples)
table=("$venv/bin/python" "$here/quantize_table.py")
ours=$PROGRAMS/examples/quantize_file

status=0
"$PROGRAMS/examples/big_model" "$work" "$layers"
"${table[@]}" inline "$work"
# All read from the page cache: what is compared is the work, not the disk.
cat "$work/model.onnx.data" "$work/inline.onnx" >/dev/null
"${table[@]}" "$ours" "$QUANTIZE_RS" "$work" "$rounds" || status=1
rm -f "$work"/inline.onnx
limit
"${table[@]}" limited "$ours" "$work" "$cgroup" || status=1
"$PROGRAMS/examples/big_model" "$work" "$large"
"${table[@]}" limited "$ours" "$work" "$cgroup" || status=1
exit $status
