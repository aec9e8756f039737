"""What quantizers make of small models that are hard to quantize: those of the tests, every tool in its own process.

    hard.py SLIPWAY QUANTIZE_RS MODELS

MODELS is what tests/oracle/models.py wrote. Dynamic int8 with a scale a channel; judged are the checker, the interface, and the
answers in ONNX Runtime, with the tolerances of the tests. A model that has to be refused, such as one with NaN in it, is right
where the tool refuses it. Prints a Markdown table and names what is silently wrong.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/oracle"))
from check import far  # noqa: E402

onnxruntime.set_default_logger_severity(4)

KINDS = ["right", "refused", "nothing quantized", "another interface", "wrong answers", "not loadable", "crashed"]
FLOATS = [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16]
SILENT = KINDS[2:5]
# How a Rust program ends that does not know what to do.
PANIC = 101
PEER = """
import sys
from onnxruntime.quantization import QuantType, quantize_dynamic
quantize_dynamic(*sys.argv[1:3], per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
"""


def tools(slipway, peer):
    """What each tool is called with, before the model and the result."""
    return {
        "Slipway, for ONNX Runtime": lambda source, target: [slipway, "quantize", source, target, "--engine", "onnxruntime"],
        "Slipway, for both engines": lambda source, target: [slipway, "quantize", source, target],
        "ONNX Runtime": lambda source, target: [sys.executable, "-c", PEER, source, target],
        "quantize-rs": lambda source, target: [peer, "quantize", source, "--output", target, "--per-channel"],
    }


def answers(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options).run(None, feeds)


def interface(model):
    """Names, types and ranks of what goes in and out; dimensions may get a name or a size."""
    frozen = {tensor.name for tensor in model.graph.initializer}
    described = [
        [(value.name, value.type.tensor_type.elem_type, len(value.type.tensor_type.shape.dim)) for value in values]
        for values in (model.graph.input, model.graph.output)
    ]
    return [value for value in described[0] if value[0] not in frozen], described[1]


def floats(model):
    """How many numbers a model holds as floats, wherever they are."""
    nodes = [model.graph.node, *(function.node for function in model.functions)]
    tensors = [*model.graph.initializer, *(tensor for list in nodes for tensor in constants(list))]
    return sum(math.prod(tensor.dims) for tensor in tensors if tensor.data_type in FLOATS)


def constants(nodes):
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from attribute.g.initializer
                yield from constants(attribute.g.node)


def verdict(command, source, target, facts):
    """One of `KINDS`."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode < 0 or done.returncode == PANIC:
        return "crashed"
    must_refuse = facts.get("refused") is not None
    if done.returncode or not target.exists():
        return "right" if must_refuse else "refused"
    if must_refuse:
        return "wrong answers" if "NaN" in facts["refused"] else "nothing quantized"
    feeds = dict(np.load(source.with_suffix(".npz")))
    try:
        onnx.checker.check_model(str(target))
        found = answers(target, feeds)
    except Exception:
        return "not loadable"
    before, after = onnx.load(source), onnx.load(target)
    if interface(before) != interface(after):
        return "another interface"
    loose = facts.get("loose", 0.05)
    if any(far(want, value, loose) for want, value in zip(answers(source, feeds), found)):
        return "wrong answers"
    return "right" if not facts["weights"] or floats(after) < floats(before) else "nothing quantized"


def main(slipway, peer, models):
    sources = sorted(Path(models).glob("*.onnx"))
    print(f"| {len(sources)} models | " + " | ".join(KINDS) + " |\n" + "|---" * (len(KINDS) + 1) + "|")
    named = []
    for tool, command in tools(slipway, peer).items():
        counts = dict.fromkeys(KINDS, 0)
        for source in sources:
            facts = json.loads(source.with_suffix(".json").read_text())
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder) / "out.onnx"
                kind = verdict(command(str(source), str(target)), source, target, facts)
            counts[kind] += 1
            if kind != "right":
                named.append(f"{tool}: {source.stem}: {kind}")
        print(f"| {tool} | " + " | ".join(str(count) for count in counts.values()) + " |", flush=True)
    print("\n" + "\n".join(named))
    ours = [line for line in named if line.startswith("Slipway")]
    sys.exit(1 if any(kind in line for line in ours for kind in [*SILENT, "not loadable", "crashed"]) else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
