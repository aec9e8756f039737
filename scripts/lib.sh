# Shared by the scripts beside it: where things lie, and how progress is shown.
# shellcheck disable=SC2034 # the scripts that source this use what it sets
# shellcheck shell=bash
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${SLIPWAY_CACHE:-$HOME/.cache/slipway}
BIN=$CACHE/bin
# Programs are linked dynamically, so that they can load ONNX Runtime; those of the small images are linked statically, as
# scripts/images.sh does. Both name the target: what runs while building is then shared, and no flag reaches it.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/build}
export CARGO_BUILD_TARGET=x86_64-unknown-linux-gnu
# ONNX Runtime 1.29 and newer report to their makers otherwise; the peers of benchmarks and the examples use them.
export ORT_DISABLE_TELEMETRY=1
# The quantizer of another project, for benchmarks.
QUANTIZE_RS=$CACHE/quantize-rs-0.10.0/bin/quantize-rs
PROGRAMS=$CARGO_TARGET_DIR/$CARGO_BUILD_TARGET/release
STATIC_PROGRAMS=$CACHE/static/$CARGO_BUILD_TARGET/release
# Where setup.sh puts Go when the machine's own is too old.
PATH=$CACHE/go/bin:$PATH
mkdir -p "$BIN" "$CACHE/logs"

# say STATE TEXT...: one line of progress, with seconds since the start.
say() { printf '[%4ds] %-5s %s\n' "$SECONDS" "$1" "${*:2}"; }

# die TEXT...: says what to do about it and ends.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# step NAME COMMAND...: runs a step with its output shown, and says how long it took.
step() {
    local name=$1 start=$SECONDS
    shift
    say start "$name"
    "$@" || die "$name failed"
    say ok "$name ($((SECONDS - start)) s)"
}

# apt_install PACKAGE...: installs those that are missing.
apt_install() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$name")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say skip "Debian packages (all installed)"
        return
    fi
    command -v apt-get >/dev/null || die "install these with your package manager: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || die "run as root, or first: sudo apt-get install --no-install-recommends ${missing[*]}"
    say apt "${missing[*]}"
    {
        apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    } >"$CACHE/logs/apt.log" 2>&1 || die "apt-get: $(tail -n 20 "$CACHE/logs/apt.log")"
}

# ensure_venv NAME REQUIREMENTS: packages from PyPI, in a virtual environment of their own.
ensure_venv() {
    local venv=$CACHE/venv-$1 wanted=$ROOT/$2
    if cmp -s "$wanted" "$venv/requirements.txt"; then
        say skip "$1 (installed)"
        return
    fi
    command -v python3 >/dev/null && python3 -c 'import ensurepip' 2>/dev/null || apt_install python3 python3-venv
    say pip "$1"
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --requirement "$wanted"; } \
        >"$CACHE/logs/pip.log" 2>&1 || die "pip: $(tail -n 20 "$CACHE/logs/pip.log")"
    cp "$wanted" "$venv/requirements.txt"
}

# ensure_quantize_rs: builds $QUANTIZE_RS.
ensure_quantize_rs() {
    [ ! -x "$QUANTIZE_RS" ] || return 0
    say cargo "quantize-rs"
    cargo install --quiet --locked quantize-rs --version 0.10.0 --no-default-features --features mmap \
        --root "$CACHE/quantize-rs-0.10.0"
}
