"""Quantizers as child processes: CPU seconds, wall seconds, peak memory.

    quantize_peer.py INPUT OUTPUT per-channel|per-tensor|blocks     ONNX Runtime's own quantizer, in this process

All are children of the same process and read the same weights, so the numbers compare. The peer gets what it needs
to do the same work: int8 weights in 7 bits, or 4 bits in symmetric blocks of 32.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def peer(source, output, method):
    """Runs ONNX Runtime's own quantizer; this is what the child does."""
    if method == "blocks":
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        quantizer = MatMulNBitsQuantizer(onnx.load(source), block_size=32, is_symmetric=True)
        quantizer.process()
        quantizer.model.save_model_to_file(output, True)
        return
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        output,
        per_channel=method == "per-channel",
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


def run(name, command, cgroup=None):
    """Runs a command to its end, in a control group if one is given, and says what it cost."""
    join = (lambda: (Path(cgroup) / "cgroup.procs").write_text(str(os.getpid()))) if cgroup else None
    start = time.monotonic()
    anonymous = 0
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=join)
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        anonymous = max(anonymous, anonymous_peak(child.pid))
        time.sleep(0.005)
    return {
        "tool": name,
        "exit": os.waitstatus_to_exitcode(status),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "user_s": round(usage.ru_utime, 3),
        "wall_s": round(time.monotonic() - start, 3),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
        "anonymous_mib": round(anonymous / 1024, 1),
    }


def measure(name, command):
    """Runs a command to its end and prints what it cost."""
    result = run(name, command)
    print(json.dumps(result), flush=True)
    sys.exit(result["exit"])


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    peer(*sys.argv[1:])
