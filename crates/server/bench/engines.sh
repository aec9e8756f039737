#!/usr/bin/env bash
# Latency, CPU and memory of both engines behind the same server: the same program, models, requests and run, one thread
# each, engine after engine and back again (ABBA). Prints a table.
# Usage: engines.sh [REQUESTS]
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
# shellcheck source=scripts/lib.sh
source "$root/scripts/lib.sh"
requests=${1:-2000}
work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$work"' EXIT

"$root/scripts/onnxruntime.sh" >&2
(cd "$root" && cargo build --release --locked --package slipway-server --bins --example load) >&2
program=$PROGRAMS/slipway-server
magika=$(ls "$CACHE"/venv-magika/lib/python*/site-packages/magika/models/standard_v3_3/model.onnx)

# body NAME TYPE SHAPE COUNT DIVISOR: a request of COUNT numbers that differ.
body() {
    awk -v name="$1" -v type="$2" -v shape="$3" -v count="$4" -v divisor="$5" 'BEGIN {
        printf "{\"inputs\":[{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":%s,\"data\":[", name, type, shape
        for (i = 0; i < count; i++) printf "%s%s", (i ? "," : ""), (i * 7 % 17) / divisor
        printf "]}]}"
    }'
}
body pixels FP32 '[1,64]' 64 16 >"$work/digits.json"
body bytes INT32 '[1,2048]' 2048 1 >"$work/magika.json"

# measure MODEL FILE ENGINE: serves, loads, and prints a row.
measure() {
    local start ready resident figures
    start=$(date +%s%N)
    "$program" --log warn serve --model "$2" --name "$1" --address 127.0.0.1 --http-port 18090 --metrics-port 18091 \
        --backend "$3" --onnxruntime-library "$CACHE/onnxruntime" &
    server=$!
    until (exec 3<>/dev/tcp/127.0.0.1/18090 && printf 'GET /v2/health/ready HTTP/1.0\r\n\r\n' >&3 && grep -q '"ready":true' <&3) 2>/dev/null; do
        kill -0 "$server" || die "the server ended"
    done
    ready=$((($(date +%s%N) - start) / 1000000))
    figures=$("$PROGRAMS/examples/load" 127.0.0.1:18090 "$1" "$requests" 1 "$server" <"$work/$1.json")
    resident=$(awk '/^RssAnon/ { anon = $2 } /^VmRSS/ { all = $2 } END { printf "%.0f | %.0f", anon / 1024, all / 1024 }' "/proc/$server/status")
    printf '| %s | %s | %s | %s | %s |\n' "$1" "$3" "$ready" "$resident" \
        "$(sed 's/.*cpuMicrosPerRequest":\([0-9.]*\),"p50Micros":\([0-9]*\),"p95Micros":\([0-9]*\).*/\2 | \3 | \1/' <<<"$figures")"
    kill "$server"
    wait "$server" || true
    server=
}

echo "| model | engine | ready after ms | own MiB | with files MiB | p50 µs | p95 µs | CPU µs |"
echo "|---|---|---:|---:|---:|---:|---:|---:|"
for engine in rten onnxruntime onnxruntime rten; do
    measure digits "$root/examples/digits/model.onnx" "$engine"
    measure magika "$magika" "$engine"
done
