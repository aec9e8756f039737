"""Prints what our quantizer and its peers cost, from one run, as one Markdown table.

    quantize_table.py inline FOLDER                               FOLDER/inline.onnx, the same with weights inside
    quantize_table.py quantize_file quantize-rs FOLDER ROUNDS     the model is FOLDER/model.onnx, with external data
    quantize_table.py limited quantize_file FOLDER CGROUP         ours alone, in a control group that limits memory

A child starts with the peak memory of its parent, so nothing large is loaded here. Tools take turns and the best round of each counts, so that a noisy neighbour hits all.
"""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from quantize_peer import run

# What we are asked to do, what the peers are, and how many times less processor time we promise than the first and
# the second of them.
METHODS = {
    "int8, a scale a channel": (["dynamic", "per-channel"], "per-channel", ["--per-channel"], (30, 10)),
    "int8, a scale a tensor": (["dynamic", "per-tensor"], "per-tensor", [], (15, 10)),
    "4 bits, blocks of 32": (["four"], "blocks", None, (8, None)),
}
# Anonymous memory that we may take at any size of model.
MOST_MIB = 64
HEAD = "| | CPU s | wall s | peak MiB | anonymous MiB | CPU of ours |\n|---|---|---|---|---|---|"


def slipway(program, model, output, method):
    """Our command; it is told the input's digest, which hashing apart from it has measured."""
    digest = f"sha256:{hashlib.sha256(Path(model).read_bytes()).hexdigest()}"
    return [program, digest, model, output, *method]


def commands(program, peer, folder, output, method):
    """The command of each tool, ours first."""
    ours, onnxruntime, rust, _ = METHODS[method]
    model = str(folder / "model.onnx")
    python = str(Path(__file__).with_name("quantize_peer.py"))
    found = {
        "Slipway": slipway(program, model, output, ours),
        "ONNX Runtime": [sys.executable, python, model, output, onnxruntime],
    }
    if rust is not None:
        found["quantize-rs"] = [peer, "quantize", str(folder / "inline.onnx"), "--output", output, *rust]
    return found


def checked(name, command, cgroup=None):
    """What one run cost; ends everything where it failed."""
    result = run(name, command, cgroup)
    if result["exit"] != 0:
        sys.exit(f"{name} ended with {result['exit']}: {' '.join(command)}")
    return result


def best(program, peer, folder, method, rounds):
    """The cheapest round of each tool."""
    results = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as output:
            for name, command in commands(program, peer, folder, f"{output}/out.onnx", method).items():
                result = checked(name, command)
                if name not in results or result["cpu_s"] < results[name]["cpu_s"]:
                    results[name] = result
                shutil.rmtree(output)
                Path(output).mkdir()
    return results


def row(label, result, ratio=""):
    cells = [label, *(f"{result[key]:,}" for key in ("cpu_s", "wall_s", "peak_mib", "anonymous_mib")), ratio]
    print("| " + " | ".join(cells) + " |", flush=True)


def compare(program, peer, folder, rounds):
    """The table; ends with an error where a promise is not kept."""
    broken = []
    print(HEAD, flush=True)
    for method, (*_, promises) in METHODS.items():
        results = best(program, peer, folder, method, rounds)
        ours, *peers = results
        row(f"{method}: {ours}", results[ours])
        for name, promise in zip(peers, promises):
            ratio = results[name]["cpu_s"] / results[ours]["cpu_s"]
            row(f"{method}: {name}", results[name], f"{ratio:.1f} ×")
            if ratio < promise:
                broken.append(f"{method}: {ratio:.1f} × less processor time than {name}, not {promise} ×")
    row("SHA-256 of the floats, by sha256sum", checked("sha256sum", ["sha256sum", str(folder / "model.onnx.data")]))
    sys.exit("\n".join(broken) or None)


def limited(program, folder, cgroup):
    """Rows of ours alone under a limit; ends with an error where it takes more than promised."""
    size = (folder / "model.onnx.data").stat().st_size / 1e9
    most = 0
    for method, (ours, *_) in METHODS.items():
        with tempfile.TemporaryDirectory(dir=folder) as output:
            command = slipway(program, str(folder / "model.onnx"), f"{output}/out.onnx", ours)
            result = checked("Slipway", command, cgroup or None)
        row(f"{method}, {size:.1f} GB" + (", 96 MiB at most: Slipway" if cgroup else ": Slipway"), result)
        most = max(most, result["anonymous_mib"])
    sys.exit(f"{most} MiB of anonymous memory, not {MOST_MIB}" if most > MOST_MIB else None)


def inline(folder):
    """Puts the weights inside the model, since one peer reads no external data."""
    import onnx

    onnx.save(onnx.load(folder / "model.onnx"), folder / "inline.onnx")


def main(arguments):
    match arguments:
        case ["inline", folder]:
            inline(Path(folder))
        case ["limited", program, folder, cgroup]:
            limited(program, Path(folder), cgroup)
        case [program, peer, folder, rounds]:
            compare(program, peer, Path(folder), int(rounds))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
