"""Writes ONNX's own test cases of the quantization operators into a folder: a model, its inputs and its outputs each.

Inputs and outputs are named in_0, in_1, … and out_0, … in the order of the graph. Types that an .npz file of numpy's own
types cannot hold (4 and 2 bits, floats of 8 bits) are left out; what is left out is printed.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

OPERATORS = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "ConvInteger",
    "QLinearMatMul",
    "QLinearConv",
}
KINDS = {np.dtype(kind) for kind in ("u1", "i1", "u2", "i2", "i4", "i8", "f2", "f4", "f8")}


def main():
    folder = pathlib.Path(sys.argv[1])
    for case in collect_testcases(None):
        operators = {node.op_type for node in case.model.graph.node}
        if len(operators) != 1 or not operators <= OPERATORS:
            continue
        inputs, outputs = case.data_sets[0]
        arrays = [np.asarray(array) for array in [*inputs, *outputs]]
        if any(array.dtype not in KINDS for array in arrays):
            print(f"left out: {case.name}", file=sys.stderr)
            continue
        onnx.save(case.model, folder / f"{case.name}.onnx")
        np.savez(
            folder / f"{case.name}.npz",
            **{f"in_{index}": array for index, array in enumerate(arrays[: len(inputs)])},
            **{f"out_{index}": array for index, array in enumerate(arrays[len(inputs) :])},
        )


main()
