"""Holds quantized models against their originals, with everything but the tool that made them.

    check.py MODELS OUTPUTS

For every OUTPUTS/NAME.METHOD.onnx: the ONNX checker with full shape inference, the same inputs and
outputs as MODELS/NAME.onnx, and the answers of ONNX Runtime and of the reference evaluator within
the tolerance of MODELS/NAME.json. The answers of the reference evaluator, else of ONNX Runtime, are left in OUTPUTS/NAME.METHOD.npz,
in order, so that another engine can be held against them. Prints one line a model that fails, and exits 1 if any does.
"""

import numpy as np
import onnx
import onnxruntime
from judge import judge
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

# Steps of four bits are sixteen times as wide as those of eight, and errors of a layer grow with them.
COARSE = {"four": 5, "four-ort": 5}

# What the reference evaluator of onnx 1.23 cannot run, float or quantized; of an old Softmax it reads the axis as a new one.
NO_REFERENCE = {
    "a_domain_of_others",
    "brain_floats_in_storage",
    "inside_a_loop",
    "gru",
    "lstm",
    "opset_11_with_all_that_13_changed",
}


class MatMulNBits(OpRun):
    """ONNX Runtime's operator as its documentation has it, by way of the whole matrix."""

    op_domain = "com.microsoft"

    def _run(self, a, b, scales, zero_points=None, K=None, N=None, bits=None, block_size=None):
        low, high = b & 15, b >> 4
        integers = np.stack([low, high], -1).reshape(N, -1, block_size).astype(np.float32)
        zeros = 8
        if zero_points is not None:
            packed = zero_points.reshape(N, -1)
            nibbles = np.stack([packed & 15, packed >> 4], -1).reshape(N, -1)
            zeros = nibbles[:, : integers.shape[1], None].astype(np.float32)
        weight = (integers - zeros) * scales.reshape(N, -1, 1)
        return (a @ weight.reshape(N, -1)[:, :K].T.astype(a.dtype),)


def along(value, axis, rank):
    """A list of one number a channel, spread over a tensor of some dimensions."""
    value = np.asarray(value)
    return value.reshape([-1 if at == axis % rank else 1 for at in range(rank)]) if value.ndim == 1 else value


class QuantizeLinear(OpRun):
    """ONNX's operator as opset 13 documents it; the evaluator begins with 19."""

    op_domain = ""

    def _run(self, x, scale, zero_point, axis=1, block_size=None, output_dtype=None, precision=None, saturate=None):
        zero, kind = along(zero_point, axis, x.ndim).astype(np.float32), zero_point.dtype
        steps = np.rint(x / along(scale, axis, x.ndim)) + zero
        return (np.clip(steps, np.iinfo(kind).min, np.iinfo(kind).max).astype(kind),)


class DequantizeLinear(OpRun):
    """The way back."""

    op_domain = ""

    def _run(self, x, scale, zero_point=None, axis=1, block_size=None, output_dtype=None):
        zero = 0 if zero_point is None else along(zero_point, axis, x.ndim).astype(np.float32)
        return ((x.astype(np.float32) - zero) * along(scale, axis, x.ndim),)


OPERATORS = [MatMulNBits, QuantizeLinear, DequantizeLinear]


def interface(model):
    frozen = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in frozen]
    return [value.SerializeToString() for value in inputs], [value.SerializeToString() for value in model.graph.output]


def far(wanted, found, loose):
    """Why two answers differ, or nothing."""
    wanted, found = np.asarray(wanted, np.float64), np.asarray(found, np.float64)
    if wanted.shape != found.shape:
        return f"shape {found.shape}, not {wanted.shape}"
    if not np.isfinite(found).all():
        return "not finite"
    worst, largest = np.abs(wanted - found).max(), np.abs(wanted).max()
    if largest == 0:
        return "the float model answers zeros: that proves nothing"
    return f"off by {worst / largest:.4f}" if worst > loose * largest else None


def problems(source, output, feeds, facts):
    name = source.stem
    onnx.checker.check_model(str(output), full_check=True)
    if interface(onnx.load(source, load_external_data=False)) != interface(onnx.load(output, load_external_data=False)):
        yield "inputs or outputs changed"
    loose = facts.get("loose", 0.05) * COARSE.get(output.name.split(".")[1], 1)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    run = lambda path: onnxruntime.InferenceSession(path, options).run(None, feeds)
    wanted, found = run(source), run(output)
    for value, want in zip(found, wanted):
        if why := far(want, value, loose):
            yield f"ONNX Runtime: {why}"
    if name not in NO_REFERENCE:
        found = ReferenceEvaluator(str(output), new_ops=OPERATORS).run(None, feeds)
        for value, want in zip(found, wanted):
            if why := far(want, value, loose):
                yield f"reference: {why}"
    np.savez(output.with_suffix(".npz"), *[np.asarray(value, np.float64) for value in found])


if __name__ == "__main__":
    judge(problems, lambda models, output: models / f"{output.name.split('.')[0]}.onnx")
