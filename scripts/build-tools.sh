#!/usr/bin/env bash
# Builds the cluster's programs from their pinned Go modules into the cache, one
# after the other; skips each whose sources, pins and compiler are unchanged.
# Usage: build-tools.sh [NAME...]   (no name: all)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

TOOLS=$ROOT/tests/cluster/tools
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false
KUBE=k8s.io/component-base/version

# Prometheus without service discovery other than Kubernetes': the SDKs of the
# clouds take longer to compile than all the rest.
PROMETHEUS_TAGS=remove_all_sd,enable_kubernetes_sd

# name | folder of the module | package | build tags | extra linker flags
LIST="
slipway-cluster|$ROOT/tests/cluster|.||
pause|$ROOT/tests/cluster|./cmd/pause||
kstatus|$TOOLS/kstatus|.||
kube|$TOOLS/kubernetes|.||-X $KUBE.gitVersion=v1.34.4 -X $KUBE.gitMajor=1 -X $KUBE.gitMinor=34
coredns|$TOOLS/coredns|.||
local-path-provisioner|$TOOLS/local-path|github.com/rancher/local-path-provisioner||
registry|$TOOLS/registry|.||
helm|$TOOLS/helm|helm.sh/helm/v4/cmd/helm||
prometheus-operator|$TOOLS/prometheus-operator|github.com/prometheus-operator/prometheus-operator/cmd/operator||
prometheus-config-reloader|$TOOLS/prometheus-operator|github.com/prometheus-operator/prometheus-operator/cmd/prometheus-config-reloader||
prometheus|$TOOLS/prometheus|github.com/prometheus/prometheus/cmd/prometheus|$PROMETHEUS_TAGS|
promtool|$TOOLS/prometheus|github.com/prometheus/prometheus/cmd/promtool|$PROMETHEUS_TAGS|
kwok|$TOOLS/kwok|sigs.k8s.io/kwok/cmd/kwok||
"

# key FOLDER FLAGS: what a binary depends on, as one hash. Sources of tools/ are
# not part of the module around it.
key() {
    {
        go version
        printf '%s\n' "$2" "$CGO_ENABLED"
        cd "$1" && find . -path ./tools -prune -o -type f \( -name '*.go' -o -name 'go.*' -o -path '*/manifests/*' \) -print0 |
            LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -d' ' -f1
}

build() {
    local name=$1 folder=$2 package=$3 tags=$4 flags=$5 want start=$SECONDS
    want=$(key "$folder" "$package $tags $flags")
    if [ -x "$BIN/$name" ] && [ "$(cat "$BIN/.$name.key" 2>/dev/null)" = "$want" ]; then
        say skip "$name (unchanged)"
        return
    fi
    say build "$name"
    (cd "$folder" && nice -n 10 go build -trimpath -tags "$tags" -ldflags "-s -w $flags" -o "$BIN/$name.new" "$package") \
        >"$CACHE/logs/build-$name.log" 2>&1 || die "building $name: $(tail -n 20 "$CACHE/logs/build-$name.log")"
    mv "$BIN/$name.new" "$BIN/$name"
    echo "$want" >"$BIN/.$name.key"
    say ok "$name ($((SECONDS - start)) s)"
}

# share TOOL FOLDER MODULE PATTERN...: copies data files out of a module that a
# program of tools/ uses; the patterns are expanded there.
share() {
    local folder=$CACHE/share/$2 dir
    # A module that was never downloaded has no folder to list.
    dir=$(cd "$TOOLS/$1" && go mod download "$3" && go list -m -f '{{.Dir}}' "$3")
    [ -d "$dir" ] || die "module $3 could not be downloaded"
    mkdir -p "$folder"
    # shellcheck disable=SC2068 # patterns without spaces
    (cd "$dir" && install -m 644 ${@:4} "$folder/")
}

selected() { [ ${#WANTED[@]} -eq 0 ] || [[ " ${WANTED[*]} " == *" $1 "* ]]; }

WANTED=("$@")
exec 9>"$CACHE/build.lock"
flock -n 9 || { say wait "for another build" && flock 9; }
if selected kwok; then
    STAGES=kustomize/stage
    share kwok kwok sigs.k8s.io/kwok "$STAGES"/node/fast/node-initialize.yaml "$STAGES"/pod/fast/pod-{ready,complete,delete}.yaml
fi
if selected prometheus-operator; then
    OPERATOR=github.com/prometheus-operator/prometheus-operator
    share prometheus-operator prometheus-operator-crd $OPERATOR 'example/prometheus-operator-crd/*.yaml'
fi

while IFS='|' read -r name folder package tags flags; do
    [ -n "$name" ] && selected "$name" && build "$name" "$folder" "$package" "$tags" "$flags"
done <<<"$LIST"

ln -sf kube "$BIN/kubectl"
