"""Models with too much in them, beside the hard ones of models.py, and what has to be left of each.

    simplify_models.py FOLDER

Writes what models.py writes, and for the models of this file NAME.json with:
    nodes  operators that are left, with their counts, those of subgraphs included
    rten   false where the built-in engine cannot run the model
    exact  the largest error, as a share of the largest output, where an engine rounds by itself
"""

import sys
from pathlib import Path

import models
import numpy as np
from models import Graph, branch, model
from onnx import TensorProto, helper, numpy_helper

INT = TensorProto.INT64


class Draft(Graph):
    """A graph whose constants are written down where they are needed."""

    def constant(self, value, dtype=np.int64):
        name = f"c{len(self.nodes)}"
        return self.node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value, dtype), name))

    def initializer(self, name, value):
        self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name


@model
def shape_chain():
    g = Draft()
    g.input("x", [2, 3, 4])
    shape = g.node("Shape", ["x"], ["shape"])
    rows = g.node("Gather", [shape, g.constant(1)], ["rows"])
    columns = g.node("Gather", [shape, g.constant([2])], ["columns"])
    both = g.node("Mul", [g.node("Unsqueeze", [rows, g.constant([0])], ["row"]), columns], ["both"])
    target = g.node("Concat", [g.constant([-1]), g.node("Cast", [both], ["cast"], to=INT)], ["target"], axis=0)
    g.output(g.node("Reshape", ["x", target], ["y"]))
    return g.build(nodes={"Reshape": 1})


@model
def sizes_inside_the_graph():
    g = Draft()
    g.input("x", [2, 4, 8, 6])
    g.initializer("w", g.noise(5, 4, 3, 3))
    g.node("Conv", ["x", "w"], ["h"], pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3], dilations=[1, 1])
    shape = g.node("Shape", [g.node("Relu", ["h"], ["r"])], ["s"])
    tail = g.node("Slice", [shape, g.constant([1]), g.constant([4])], ["tail"])
    g.output(g.node("ConstantOfShape", [tail], ["ones"], value=numpy_helper.from_array(np.array([1.5], np.float32))))
    batch = g.node("Slice", [shape, g.constant([0]), g.constant([1])], ["first"])
    g.output(g.node("Reshape", ["r", g.node("Concat", [batch, g.constant([-1])], ["t"], axis=0)], ["y"]))
    # The size of the batch is open, so its part of the shape stays.
    return g.build(
        nodes={"Conv": 1, "Relu": 1, "Shape": 1, "Slice": 1, "Concat": 1, "Reshape": 1, "ConstantOfShape": 1},
        rten=False,
    )


def lstm_weights(g, prefix):
    """Gates in another order, as exporters write them for one branch after the other."""
    nodes = []

    def node(op, inputs, name, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"{prefix}{name}"], **attributes))
        return f"{prefix}{name}"

    def number(value, name):
        return node("Constant", [], name, value=numpy_helper.from_array(np.asarray(value, np.int64)))

    zero = number([0], "zero")
    for weight in ["w", "r"]:
        parts = []
        for index, (start, end) in enumerate([(0, 16), (48, 64), (16, 48)]):
            ends = [number([start], f"{weight}s{index}"), number([end], f"{weight}e{index}")]
            parts.append(node("Slice", [weight, *ends, zero], f"{weight}p{index}"))
        joined = node("Concat", parts, f"{weight}c", axis=0)
        node("Unsqueeze", [joined, zero], f"{weight}u")
    node("LSTM", ["x", f"{prefix}wu", f"{prefix}ru"], "lstm", hidden_size=16)
    out = helper.make_tensor_value_info(f"{prefix}out", TensorProto.FLOAT, None)
    scale = numpy_helper.from_array(np.float32(2 if prefix else 3), f"{prefix}scale")
    nodes.append(helper.make_node("Mul", [f"{prefix}lstm", f"{prefix}scale"], [f"{prefix}out"]))
    return helper.make_graph(nodes, f"{prefix}body", [], [out], [scale])


@model
def lstm_weights_in_both_branches():
    g = Draft()
    g.input("x", [5, 2, 16], dynamic=False)
    g.input("flag", [], np.array(False), TensorProto.BOOL)
    g.initializer("w", g.noise(64, 16, scale=0.3))
    g.initializer("r", g.noise(64, 16, scale=0.3))
    g.node("If", ["flag"], ["y"], then_branch=lstm_weights(g, "a"), else_branch=lstm_weights(g, "b"))
    g.output("y")
    return g.build(nodes={"If": 1, "LSTM": 2, "Mul": 2}, exact=1e-6)


@model
def branches_with_the_same_names():
    g = Draft()
    g.input("x", [3, 16])
    g.input("flag", [], np.array(True), TensorProto.BOOL)
    bodies = []
    for value in [1.0, 2.0]:
        nodes = [
            helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.float32(value))),
            helper.make_node("Add", ["x", "k"], ["sum"]),
            helper.make_node("Identity", ["sum"], ["out"]),
        ]
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
        bodies.append(helper.make_graph(nodes, "body", [], [out]))
    g.node("If", ["flag"], ["y"], then_branch=bodies[0], else_branch=bodies[1])
    g.output("y")
    return g.build(nodes={"If": 1, "Add": 2})


@model
def conditions_that_are_known():
    g = Draft()
    g.input("x", [3, 32])
    size = g.node("Size", [g.node("Shape", ["x"], ["shape"])], ["size"])
    is_matrix = g.node("Equal", [size, g.constant(2)], ["is_matrix"])
    inner = branch(g, "then", 1.0)
    inner.node.insert(0, helper.make_node("Identity", ["is_matrix"], ["again"]))
    outer = helper.make_graph(
        [helper.make_node("If", ["again"], ["deep"], then_branch=branch(g, "in", 0.5), else_branch=branch(g, "out", 1.0))],
        "outer", [], [helper.make_tensor_value_info("deep", TensorProto.FLOAT, None)],
    )
    outer.node.insert(0, helper.make_node("Not", [g.node("Not", [is_matrix], ["not"])], ["again"]))
    g.node("If", [is_matrix], ["y"], then_branch=outer, else_branch=branch(g, "else", 2.0))
    g.output("y")
    g.weights.clear()
    return g.build(nodes={"MatMul": 1})


@model
def nothing_but_names():
    g = Draft()
    g.input("x", [3, 16])
    a = g.node("Identity", ["x"], ["a"])
    r = g.node("Relu", [g.node("Identity", [a], ["b"])], ["r"])
    g.output(g.node("Identity", [g.node("Identity", [r], ["c"])], ["first"]))
    g.output(g.node("Identity", [r], ["second"]))
    g.output(g.node("Identity", ["x"], ["same"]))
    return g.build(nodes={"Relu": 1, "Identity": 2})


@model
def nodes_that_change_nothing():
    g = Draft()
    g.input("x", [3, 4, 16])
    g.node("Dropout", ["x"], ["a"])
    g.node("Cast", ["a"], ["b"], to=TensorProto.FLOAT)
    g.node("Transpose", ["b"], ["c"], perm=[0, 1, 2])
    g.node("Concat", ["c"], ["d"], axis=1)
    g.node("Pad", ["d", g.constant([0] * 6)], ["e"])
    g.node("Reshape", ["e", g.constant([0, -1, 16])], ["f"])
    g.node("Slice", ["f", g.constant([0]), g.constant([2**63 - 1]), g.constant([1])], ["g"])
    g.node("Expand", ["g", g.constant([1, 16])], ["h"])
    g.node("Tile", ["h", g.constant([1, 1, 1])], ["i"])
    g.node("Mul", ["i", g.constant(1, np.float32)], ["j"])
    g.node("Mul", ["j", g.constant([[[[1]]]], np.float32)], ["k"])
    g.node("Reshape", ["k", g.constant([-1, 8, 8])], ["l"])
    g.node("Add", ["l", g.constant(0, np.float32)], ["y"])
    g.output("y")
    # One more dimension, another shape, and the sign of a zero do change something.
    return g.build(nodes={"Mul": 1, "Reshape": 1, "Add": 1}, rten=False)


@model
def zeros_of_either_sign():
    g = Draft()
    g.input("x", [3, 2], np.ones((3, 2), np.float32))
    g.initializer("plus", np.zeros(2, np.float32))
    g.initializer("minus", -np.zeros(2, np.float32))
    g.initializer("again", np.zeros(2, np.float32))
    g.initializer("other", np.zeros((1, 2), np.float32))
    for name in ["plus", "minus", "again", "other"]:
        h = g.node("Div", [g.constant(1, np.float32), name], [f"h_{name}"])
        g.output(g.node("Min", [h, "x"], [f"y_{name}"]))
    return g.build(nodes={"Min": 4})


@model
def computed_twice():
    g = Draft()
    g.input("x", [3, 16])
    g.initializer("a", g.noise(16, 16))
    g.initializer("b", numpy_helper.to_array(g.tensors[-1]))
    for weight in ["a", "b"]:
        g.node("MatMul", ["x", weight], [f"h_{weight}"])
        g.node("Softmax", [f"h_{weight}"], [f"s_{weight}"], axis=-1)
    g.node("Softmax", ["h_b"], ["s_other"], axis=0)
    g.output(g.node("Sum", ["s_a", "s_b", "s_other"], ["y"]))
    return g.build(nodes={"MatMul": 1, "Softmax": 2, "Sum": 1})


@model
def a_weight_and_its_transpose():
    g = Draft()
    g.input("x", [3, 32])
    g.initializer("w", g.noise(32, 32, scale=0.2))
    h = g.node("MatMul", [g.node("Identity", ["x"], ["i"]), "w"], ["h"])
    g.output(g.node("MatMul", [h, g.node("Transpose", ["w"], ["turned"], perm=[1, 0])], ["y"]))
    return g.build(nodes={"MatMul": 2, "Transpose": 1})


@model
def a_weight_that_is_only_transposed():
    g = Draft()
    g.input("x", [3, 32])
    g.initializer("w", g.noise(4, 8, 32, scale=0.2))
    turned = g.node("Transpose", ["w"], ["turned"], perm=[2, 1, 0])
    g.output(g.node("MatMul", ["x", g.node("Reshape", [turned, g.constant([32, 32])], ["matrix"])], ["y"]))
    return g.build(nodes={"MatMul": 1})


@model
def large_from_little():
    g = Draft()
    g.input("x", [3, 1])
    g.node("ConstantOfShape", [g.constant([1000])], ["ones"], value=numpy_helper.from_array(np.array([2], np.float32)))
    g.node("Expand", ["c0", g.constant([1000])], ["wide"])
    g.node("Cast", ["wide"], ["floats"], to=TensorProto.FLOAT)
    g.output(g.node("Add", [g.node("Mul", ["x", "ones"], ["m"]), "floats"], ["y"]))
    return g.build(nodes={"ConstantOfShape": 1, "Expand": 1, "Cast": 1, "Mul": 1, "Add": 1})


@model
def a_default_that_a_caller_replaces():
    g = Draft()
    g.input("x", [3, 4])
    g.initializer("w", np.ones(4, np.float32))
    g.input("w", [4], np.arange(4, dtype=np.float32), dynamic=False)
    g.node("Neg", ["w"], ["n"])
    g.output(g.node("Add", [g.node("Identity", ["x"], ["i"]), "n"], ["y"]))
    return g.build(nodes={"Neg": 1, "Add": 1}, rten=False)


@model
def initializers_that_had_to_be_inputs():
    g = Draft()
    g.input("x", [3, 4])
    g.initializer("w", g.noise(4))
    g.inputs.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4]))
    g.output(g.node("Add", ["x", g.node("Neg", ["w"], ["n"])], ["y"]))
    return g.build(opset=8, ir=3, nodes={"Add": 1})


@model
def a_loop_with_constants_inside():
    g = Draft()
    g.input("x", [3, 16])
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.float32(0.5))),
        helper.make_node("Neg", ["k"], ["minus"]),
        helper.make_node("Identity", ["state"], ["same"]),
        helper.make_node("Add", ["same", "minus"], ["next"]),
        helper.make_node("Identity", ["go"], ["still"]),
    ]
    body = helper.make_graph(
        nodes, "body",
        [value("i", INT, []), value("go", TensorProto.BOOL, []), value("state", TensorProto.FLOAT, None)],
        [value("still", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, None)],
    )
    g.node("Loop", [g.constant(3), g.constant(True, bool), "x"], ["y"], body=body)
    g.output("y")
    return g.build(nodes={"Loop": 1, "Add": 1, "Identity": 1}, rten=False)


@model
def dead_ends():
    g = Draft()
    g.input("x", [3, 32])
    g.initializer("unused", g.noise(32, 16))
    g.node("MatMul", ["x", "unused"], ["nowhere"])
    g.input("flag", [], np.array(True), TensorProto.BOOL)
    g.node("If", ["flag"], ["never"], then_branch=branch(g, "then", 1.0), else_branch=branch(g, "else", 1.0))
    g.node("Split", ["x", g.constant([16, 16])], ["left", "right"], axis=1)
    g.output(g.node("Relu", ["left"], ["y"]))
    return g.build(nodes={"Split": 1, "Relu": 1})


def normalization(g, name, channels):
    """A normalization of channels, with statistics of its own."""
    values = [g.noise(channels), g.noise(channels), g.noise(channels), np.abs(g.noise(channels)) + np.float32(0.1)]
    inputs = [g.initializer(f"{name}_{index}", value) for index, value in enumerate(values)]
    return lambda value, **attributes: g.node("BatchNormalization", [value, *inputs], [name], **attributes)


@model
def normalized_convolution():
    g = Draft()
    g.input("x", [2, 4, 8, 8])
    g.initializer("w", g.noise(6, 2, 3, 3))
    plain = {"strides": [1, 1], "dilations": [1, 1], "pads": [1, 1, 1, 1]}
    h = normalization(g, "bn", 6)(g.node("Conv", ["x", "w"], ["h"], group=2, **plain), epsilon=1e-3)
    g.initializer("v", g.noise(5, 6, 1, 1))
    g.initializer("b", g.noise(5))
    h = g.node("Conv", [g.node("Relu", [h], ["r"]), "v", "b"], ["k"], strides=[1, 1], dilations=[1, 1], pads=[0] * 4)
    h = g.node("Div", [g.node("Mul", [h, g.initializer("m", g.noise(1, 5, 1, 1))], ["km"]), g.constant(4, np.float32)], ["kd"])
    h = g.node("Sub", [g.node("Add", [g.initializer("a", g.noise(5, 1, 1)), h], ["ka"]), g.constant([2], np.float32)], ["ks"])
    g.output(normalization(g, "last", 5)(h))
    return g.build(nodes={"Conv": 2, "Relu": 1}, exact=1e-5)


@model
def normalized_products():
    g = Draft()
    g.input("x", [3, 16])
    g.initializer("w", g.noise(16, 8))
    g.initializer("v", g.noise(6, 8))
    g.initializer("c", g.noise(6))
    h = normalization(g, "first", 8)(g.node("Gemm", ["x", "w"], ["h"]))
    g.output(normalization(g, "second", 6)(g.node("Gemm", [h, "v", "c"], ["k"], transB=1)))
    return g.build(nodes={"Gemm": 2}, exact=1e-5)


@model
def normalized_transposed_convolution():
    g = Draft()
    g.input("x", [2, 4, 5, 5])
    g.initializer("w", g.noise(4, 6, 3, 3))
    g.output(normalization(g, "bn", 6)(g.node("ConvTranspose", ["x", "w"], ["h"], strides=[2, 2])))
    return g.build(nodes={"ConvTranspose": 1}, exact=1e-5, rten=False)


@model
def normalizations_that_stay():
    g = Draft()
    g.input("x", [2, 4, 8, 8])
    g.initializer("w", g.noise(4, 4, 1, 1, scale=0.3))
    plain = {"strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0]}
    # A weight of two convolutions, an output that another takes, an output of the model, and a value for each column.
    one = g.node("Conv", [g.node("Identity", ["x"], ["i"]), "w"], ["one"], **plain)
    two = g.node("Conv", [normalization(g, "bn", 4)(one), "w"], ["two"], **plain)
    g.initializer("v", g.noise(4, 4, 1, 1, scale=0.3))
    three = g.node("Conv", [two, "v"], ["three"], **plain)
    g.node("Mul", [three, g.constant(3, np.float32)], ["four"])
    g.output(g.node("Add", ["three", "four"], ["five"]))
    g.initializer("u", g.noise(4, 4, 1, 1, scale=0.3))
    g.output(g.node("Conv", [three, "u"], ["six"], **plain))
    g.output(g.node("Add", ["six", g.constant(3, np.float32)], ["seven"]))
    g.initializer("t", g.noise(4, 4, 1, 1, scale=0.3))
    g.output(g.node("Mul", [g.node("Conv", [three, "t"], ["eight"], **plain), g.initializer("k", g.noise(8))], ["nine"]))
    return g.build(nodes={"Conv": 5, "BatchNormalization": 1, "Mul": 2, "Add": 2})


def every_operator(opset):
    """Every operator that is computed ahead; each result is an output, by way of a cast that loses nothing."""
    g = Draft()
    g.input("x", [3, 4])
    g.output(g.node("Relu", ["x"], ["r"]))
    f32, i32, i64 = np.float32, np.int32, np.int64
    made = []

    def case(op, values, outputs=1, **attributes):
        inputs = [g.constant(value, value.dtype) for value in map(np.asarray, values)]
        names = [f"{op}{len(g.nodes)}_{index}" for index in range(outputs)]
        g.node(op, inputs, names, **attributes)
        made.extend(names)

    grid = g.noise(3, 1, 4)
    for dtype in [f32, i64, i32, np.float64]:
        left, right = (grid * 9).astype(dtype), (g.noise(2, 4) * 9).astype(dtype)
        for op in ["Add", "Sub", "Mul", *(["Min", "Max"] if opset >= 12 or dtype == f32 else [])]:
            case(op, [left, right])
        case("Div", [np.abs(left), np.abs(right) + dtype(1)])
        for op in ["Neg", "Abs"]:
            case(op, [left])
        for op in ["Equal", "Less", "Greater"]:
            case(op, [left, np.where(right > 0, right, left[0]).astype(dtype)])
        for op in ["ReduceMin", "ReduceMax"]:
            case(op, [left])
    for op in ["Sqrt", "Reciprocal"]:
        case(op, [np.abs(grid)])
    for op in ["Floor", "Ceil"]:
        case(op, [grid * 3])
    case("Pow", [np.arange(5, dtype=f32), f32(2)])
    if opset >= 12:
        case("Pow", [np.arange(5), i64(3)])
    truth = grid > 0
    for op in ["And", "Or", "Xor"]:
        case(op, [truth, truth[0]])
    case("Not", [truth])
    case("Where", [truth, grid, f32(3)])
    for to in [TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL]:
        case("Cast", [grid * 5], to=to)
    case("Cast", [np.array([2**40 + 1, -(2**25 + 1)])], to=TensorProto.FLOAT)
    case("Cast", [np.array([3, 255])], to=TensorProto.UINT8)
    case("Cast", [truth], to=TensorProto.FLOAT)
    case("Cast", [grid.astype(np.float16)], to=TensorProto.FLOAT)
    cube = np.arange(24).reshape(2, 3, 4)
    case("Transpose", [cube], perm=[2, 0, 1])
    case("Transpose", [cube])
    case("Reshape", [cube, np.array([0, -1])])
    case("Flatten", [cube], axis=2)
    case("Identity", [cube])
    case("Concat", [cube, cube[:, :1]], axis=1)
    case("Concat", [cube, cube], axis=-1)
    case("Slice", [cube, np.array([-1, 3]), np.array([-9, 0]), np.array([1, 2]), np.array([-2, -1])])
    case("Slice", [cube, np.array([1]), np.array([2**62])])
    case("Gather", [cube, np.array([[0, -1]])], axis=1)
    case("Gather", [cube, np.array(1, i32)])
    case("Shape", [cube])
    case("Size", [cube])
    case("Expand", [cube[:, :1], np.array([2, 1, 3, 1])])
    case("Tile", [cube, np.array([1, 2, 2])])
    case("ConstantOfShape", [np.array([2, 2])], value=numpy_helper.from_array(np.array([7])))
    case("ConstantOfShape", [np.array([3])])
    case("Range", [i64(7), i64(-4), i64(-3)])
    case("Range", [i32(1), i32(5), i32(2)])
    if opset < 18:
        case("ReduceProd", [(cube[:, :2, :2] % 3 + 1).astype(i32)], axes=[0, 2])
    if opset < 13:
        case("Squeeze", [cube[:1]], axes=[0])
        case("Unsqueeze", [cube], axes=[0, 4])
        case("Split", [cube], 2, axis=1, split=[1, 2])
        case("ReduceSum", [cube], axes=[1], keepdims=0)
    else:
        case("Squeeze", [cube[:1], np.array([0])])
        case("Unsqueeze", [cube, np.array([-1, 0])])
        case("Split", [cube, np.array([1, 2])], 2, axis=1)
        case("ReduceSum", [cube, np.array([-1])], keepdims=0)
        case("LessOrEqual", [grid, grid])
    if opset >= 15:
        case("Shape", [cube], start=1, end=-1)
    for name in made:
        g.output(g.node("Cast", [name], [f"y_{name}"], to=TensorProto.DOUBLE), dtype=TensorProto.DOUBLE)
    return g.build(opset=opset, rten=False, nodes={"Cast": len(made), "Relu": 1})


for version in [11, 13, 15, 18]:
    models.MODELS[f"every_operator_of_opset_{version}"] = lambda version=version: every_operator(version)

if __name__ == "__main__":
    models.write(Path(sys.argv[1]))
