"""Measures a quantizer as a child process: CPU seconds, wall seconds, peak memory.

    quantize_peer.py ours BINARY INPUT OUTPUT [per-tensor|per-channel]
    quantize_peer.py onnxruntime INPUT OUTPUT [per-tensor|per-channel]

Prints one line of JSON. Both are children of the same process and read the same file, so the
numbers compare. The peer gets what it needs to do the same work: int8 weights in 7 bits.
"""

import json
import os
import subprocess
import sys
import time


def peer(source, output, granularity):
    """Runs ONNX Runtime's own quantizer; this is what the child does."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        output,
        per_channel=granularity == "per-channel",
        reduce_range=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gemm"],
        use_external_data_format=True,
        extra_options={"EnableSubgraph": False},
    )


def anonymous_peak(pid):
    """The most anonymous memory the kernel has seen so far, in KiB; 0 once the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("RssAnon:")), 0)
    except OSError:
        return 0


def measure(name, command):
    """Runs a command to its end and prints what it cost."""
    start = time.monotonic()
    anonymous = 0
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        anonymous = max(anonymous, anonymous_peak(child.pid))
        time.sleep(0.01)
    result = {
        "tool": name,
        "exit": os.waitstatus_to_exitcode(status),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "user_s": round(usage.ru_utime, 3),
        "wall_s": round(time.monotonic() - start, 3),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
        "anonymous_mib": round(anonymous / 1024, 1),
    }
    print(json.dumps(result), flush=True)
    sys.exit(result["exit"])


def main(arguments):
    match arguments:
        case ["child", source, output, granularity]:
            peer(source, output, granularity)
        case ["onnxruntime", source, output, *rest]:
            granularity = rest[0] if rest else "per-channel"
            measure("onnxruntime", [sys.executable, __file__, "child", source, output, granularity])
        case ["ours", *command]:
            measure("slipway", command)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
