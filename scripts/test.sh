#!/usr/bin/env bash
# Sets up and runs every test, the ones on a real Kubernetes included.
# Usage: test.sh [GROUP]   (nothing: all groups, two at a time)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$ROOT"

# The longest first. Those on a node boot a cluster each, and wait for it more than they compute.
ALL="road rust trouble magika lifecycle cluster"

for file in tests/e2e/tests/*; do
    name=$(basename "$file" .rs)
    [[ " $ALL " == *" $name "* ]] || die "the tests of $file are in no group: add $name to ALL in $0"
done

# rust: of the e2e package only what needs no node.
rust() {
    cargo test --release --locked --workspace --exclude e2e --no-fail-fast
    cargo test --release --locked --package e2e --lib
}

# on_a_node NAME: one test after the other, since some change what belongs to the whole cluster.
on_a_node() { cargo test --release --locked --package e2e --test "$1" -- --test-threads=1; }

# group NAME: runs a group of tests.
group() {
    case $1 in
    rust) rust ;;
    cluster) (cd tests/cluster && go test ./...) ;;
    road | trouble | magika | lifecycle) on_a_node "$1" ;;
    *) die "no group of tests is called $1: there are $ALL" ;;
    esac
}

# logged NAME: the same with its output in a log, shown in one piece when the group has ended.
logged() {
    local log=$CACHE/logs/test-$1.log failed=
    say start "tests: $1"
    "$0" "$1" >"$log" 2>&1 || failed=1
    printf '%s\n' "$(cat "$log")"
    [ -z "$failed" ] || die "tests: $1 failed; its output stands above and in $log"
    say ok "tests: $1 ($SECONDS s)"
}

case ${1:-} in
"")
    step "set-up" scripts/setup.sh
    step "images" scripts/images.sh --next
    step "build" cargo test --release --locked --workspace --no-run
    # shellcheck disable=SC2086 # a list of words
    printf '%s\n' $ALL | xargs -P 2 -I NAME "$0" --logged NAME || die "some tests failed"
    say ok "all tests ($SECONDS s)"
    ;;
--logged) logged "$2" ;;
*) group "$1" ;;
esac
