#!/usr/bin/env bash
# CPU per request of slipway-server against MLServer: the same model, the same body, the same load, one run.
# Usage: serve.sh [REQUESTS] [CONNECTIONS]. Needs python3 with venv; installs mlserver and onnxruntime from PyPI into
# a folder that it removes again, or reuses the one in SLIPWAY_BENCH_VENV.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
requests=${1:-20000} connections=${2:-4}
work=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

cd "$root"
cargo build --release -p slipway-server --bin slipway-server --example load
target=${CARGO_TARGET_DIR:-$root/target}${CARGO_BUILD_TARGET:+/$CARGO_BUILD_TARGET}/release
venv=${SLIPWAY_BENCH_VENV:-$work/venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import mlserver, onnxruntime' 2>/dev/null ||
  "$venv/bin/pip" install --quiet --disable-pip-version-check mlserver onnxruntime

wait_ready() { # URL
  for _ in $(seq 150); do
    if "$venv/bin/python" -c "import sys, urllib.request as u; u.urlopen(sys.argv[1])" "$1" 2>/dev/null; then return; fi
    sleep 0.2
  done
  echo "no answer at $1" >&2
  exit 1
}
load() { # NAME PORT PID
  echo "$1 $("$target/examples/load" "127.0.0.1:$2" digits "$requests" "$connections" "$3" < "$work/body.json")"
}

"$venv/bin/python" - "$root/examples/digits/model.onnx" > "$work/body.json" <<'PY'
import json, sys
import onnxruntime
entry = onnxruntime.InferenceSession(sys.argv[1]).get_inputs()[0]
shape = [1, *entry.shape[1:]]
count = 1
for size in shape:
    count *= size
data = [(i * 7 % 17) / 16 for i in range(count)]
print(json.dumps({"inputs": [{"name": entry.name, "datatype": "FP32", "shape": shape, "data": data}]}), end="")
PY

"$target/slipway-server" --log warn serve --model examples/digits/model.onnx --name digits \
  --address 127.0.0.1 --http-port 18080 --metrics-port 18081 &
pids+=($!)
wait_ready http://127.0.0.1:18080/v2/health/ready
load slipway 18080 "${pids[0]}"

mkdir "$work/mlserver"
cp "$here/mlserver_runtime.py" "$work/mlserver/runtime.py"
cat > "$work/mlserver/settings.json" <<JSON
{ "host": "127.0.0.1", "http_port": 18082, "grpc_port": 18083, "metrics_port": 18084, "parallel_workers": 0,
  "debug": false, "logging_settings": null }
JSON
cat > "$work/mlserver/model-settings.json" <<JSON
{ "name": "digits", "implementation": "runtime.Onnx", "parameters": { "uri": "$root/examples/digits/model.onnx" } }
JSON
(cd "$work/mlserver" && exec env PYTHONPATH=. "$venv/bin/mlserver" start . > "$work/mlserver.log" 2>&1) &
pids+=($!)
wait_ready http://127.0.0.1:18082/v2/health/ready
load mlserver 18082 "${pids[1]}"
