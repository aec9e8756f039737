"""Holds simplified models against their originals, with everything but the tool that made them.

    check_simplified.py MODELS OUTPUTS

For every OUTPUTS/NAME.onnx: the ONNX checker with full shape inference, the same inputs and outputs as MODELS/NAME.onnx,
the operators that MODELS/NAME.json says are left, and the same answers (to the bit, unless it says how loose) of ONNX
Runtime with and without its optimizer, and of the reference evaluator to its last bits. Prints one line a model that fails, and exits 1 if any does.
"""

import collections
import math

import numpy as np
import onnx
import onnxruntime
from judge import judge
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

# What the reference evaluator of onnx 1.23 cannot run.
NO_REFERENCE = {"a_domain_of_others", "brain_floats_in_storage", "inside_a_loop", "gru", "lstm", "half_floats",
                "lstm_weights_in_both_branches", "functions", "a_loop_with_constants_inside"}

# Share of the largest answer: on some processors NumPy's products add in another order where a view is transposed.
REFERENCE_ROUNDS = 1e-6


class Gelu(OpRun):
    """What the domain had before ONNX."""

    op_domain = "com.microsoft"

    def _run(self, x, **_attributes):
        return ((x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))).astype(x.dtype),)


class FastGelu(Gelu):
    def _run(self, x, **_attributes):
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return ((x * 0.5 * (1 + np.tanh(inner))).astype(x.dtype),)


def interface(model):
    frozen = {tensor.name for tensor in model.graph.initializer} if model.ir_version < 4 else set()
    inputs = [value for value in model.graph.input if value.name not in frozen]
    return [value.SerializeToString() for value in inputs], [value.SerializeToString() for value in model.graph.output]


def operators(graph):
    counts = collections.Counter(node.op_type for node in graph.node)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                counts += operators(attribute.g)
    return counts


def differs(wanted, found, loose):
    """Why two answers differ, or nothing."""
    wanted, found = np.asarray(wanted), np.asarray(found)
    if (wanted.shape, wanted.dtype) != (found.shape, found.dtype):
        return f"{found.dtype}{found.shape}, not {wanted.dtype}{wanted.shape}"
    if wanted.tobytes() == found.tobytes():
        return None
    worst = np.abs(wanted.astype(np.float64) - found.astype(np.float64)).max()
    return None if worst <= loose * np.abs(wanted).max() else f"off by {worst}"


def runners(name):
    levels = onnxruntime.GraphOptimizationLevel
    for level in [levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL]:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = level
        yield level.name, lambda path, feeds: onnxruntime.InferenceSession(path, options).run(None, feeds)
    if name not in NO_REFERENCE:
        yield "reference", lambda path, feeds: ReferenceEvaluator(str(path), new_ops=[Gelu, FastGelu]).run(None, feeds)


def problems(source, output, feeds, facts):
    onnx.checker.check_model(str(output), full_check=True)
    before, after = (onnx.load(path, load_external_data=False) for path in [source, output])
    if interface(before) != interface(after):
        yield "inputs or outputs changed"
    if "nodes" in facts and operators(after.graph) != facts["nodes"]:
        yield f"left are {dict(operators(after.graph))}, wanted {facts['nodes']}"
    exact = facts.get("exact", 0)
    for name, run in runners(source.stem):
        loose = max(exact, REFERENCE_ROUNDS if name == "reference" else 0)
        for value, want in zip(run(output, feeds), run(source, feeds)):
            if why := differs(want, value, loose):
                yield f"{name}: {why}"


judge(problems, lambda models, output: models / output.name)
