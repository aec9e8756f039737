#!/usr/bin/env bash
# Takes examples/digits through a real Kubernetes on this machine, as a user would through theirs: boots it, loads the
# images, installs the chart, applies the example, waits until it is Ready, and asks it for a prediction.
# The cluster stays: make cluster-down removes it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

# cluster COMMAND...: the tool that boots clusters.
cluster() { "$BIN/slipway-cluster" "$@"; }

# shown COMMAND...: prints a command and runs it.
shown() {
    printf '\n$ %s\n' "$*"
    "$@"
}

cd "$ROOT"
scripts/setup.sh
step "images" scripts/images.sh
cluster down --name dev >/dev/null 2>&1 || true
kubeconfig=$(cluster up --detach --name dev --level full | sed -n 's/^ *export KUBECONFIG=//p')
[ -n "$kubeconfig" ] || die "the cluster did not say where its kubeconfig is"
export KUBECONFIG=$kubeconfig PATH=$BIN:$PATH
cluster load --name dev "$CACHE"/images/*.tar
shown helm upgrade --install slipway charts/slipway --namespace slipway-system --create-namespace --wait \
    --set images.operator=localhost/slipway-operator:dev --set images.server=localhost/slipway-server:dev \
    --set images.serverOnnxruntime=localhost/slipway-server-onnxruntime:dev --set images.job=localhost/slipway-job:dev \
    --set images.jobOnnxruntime=localhost/slipway-job-onnxruntime:dev \
    --set images.registry=localhost/registry:v3.1.2 --set serviceMonitors.labels.release=prometheus
shown kubectl apply -f examples/digits/
shown kubectl wait --for=condition=Ready modeldeployments.slipway.dev/digits --timeout=5m
shown kubectl get modeldeployments.slipway.dev
# It carries connections until its standard input closes, which is when this script ends.
coproc forward { cluster forward --name dev digits.default.svc.cluster.local:80; }
read -r address <&"${forward[0]}"
shown curl -sS "http://$address/v2/models/digits/infer" -d @examples/digits/requests/eight.json
printf '\n\nexport KUBECONFIG=%s PATH=%s:$PATH     # kubectl, helm and slipway for this cluster\n' "$KUBECONFIG" "$BIN"
