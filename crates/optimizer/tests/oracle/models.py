"""Small models that are hard to quantize, each with inputs and with what has to become of it.

    models.py FOLDER

Writes NAME.onnx, NAME.npz (inputs, by name) and NAME.json:
    weights  tensors that have to be stored in fewer bits
    refused  a word of the error, where the model has to be refused
    rten     false where the built-in engine cannot run the model
    loose    the largest error, as a share of the largest output, where 0.05 is not fair
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

MODELS = {}


def model(function):
    MODELS[function.__name__] = function
    return function


class Graph:
    """A graph under construction; floats unless said otherwise."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes, self.tensors, self.inputs, self.outputs, self.infos = [], [], [], [], []
        self.feeds, self.functions, self.weights = {}, [], []

    def noise(self, *shape, scale=1.0):
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def input(self, name, shape, value=None, dtype=TensorProto.FLOAT, dynamic=True):
        dims = ["batch", *shape[1:]] if dynamic and shape else shape
        self.inputs.append(helper.make_tensor_value_info(name, dtype, dims))
        self.feeds[name] = self.noise(*shape) if value is None else value
        return name

    def output(self, name, shape=None, dtype=TensorProto.FLOAT):
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def weight(self, name, value, quantized=True):
        self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        if quantized:
            self.weights.append(name)
        return name

    def node(self, op, inputs, outputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"n_{outputs[0]}", **attributes))
        return outputs[0]

    def build(self, opset=17, ir=8, **facts):
        graph = helper.make_graph(self.nodes, "g", self.inputs, self.outputs, self.tensors, value_info=self.infos)
        imports = [helper.make_opsetid("", opset), *facts.pop("imports", [])]
        made = helper.make_model(graph, opset_imports=imports, ir_version=ir, functions=self.functions)
        return made, self.feeds, {"weights": self.weights, **facts}


def chain(graph, *weights):
    """x through one MatMul a weight."""
    value = "x"
    for index, weight in enumerate(weights):
        value = graph.node("MatMul", [value, weight], [f"h{index}"])
    return value


@model
def opset_7():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("w", g.noise(32, 24))
    g.tensors.append(numpy_helper.from_array(g.noise(24), "b"))
    g.output(g.node("Relu", [g.node("Gemm", ["x", "w", "b"], ["h"])], ["y"]))
    # Before IR version 4 every initializer is an input too.
    g.inputs += [helper.make_tensor_value_info(t.name, TensorProto.FLOAT, list(t.dims)) for t in g.tensors]
    return g.build(opset=7, ir=3)


@model
def opset_9_that_cannot_be_raised():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("w", g.noise(32, 24, scale=0.2))
    h = g.node("MatMul", ["x", "w"], ["h"])
    g.output(g.node("Clip", [h], ["y"], min=-3.0, max=3.0))
    return g.build(opset=9, ir=4)


# The built-in engine reads the axis of an old Softmax as a new one.
@model
def opset_11_with_all_that_13_changed():
    g = Graph()
    g.input("x", [2, 4, 6], dynamic=False)
    g.weight("w", g.noise(3, 48))
    h = g.node("LogSoftmax", [g.node("Softmax", ["x"], ["s"], axis=1)], ["ls"], axis=-1)
    h = g.node("Squeeze", [g.node("Unsqueeze", [h], ["u"], axes=[0])], ["q"], axes=[0])
    g.node("Split", [h], ["left", "right"], axis=2, split=[3, 3])
    h = g.node("Dropout", [g.node("Sub", ["left", "right"], ["d"])], ["kept"], ratio=0.25)
    h = g.node("ReduceSum", [h], ["r"], axes=[1], keepdims=1)
    g.output(g.node("MatMul", [h, "w"], ["y"]))
    return g.build(opset=11, ir=6, rten=False)


@model
def opset_newest():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("w", g.noise(32, 24, scale=0.2))
    g.output(g.node("Softmax", [chain(g, "w")], ["y"]))
    return g.build(opset=23, ir=11)


@model
def half_floats():
    g = Graph()
    g.input("x", [3, 32], g.noise(3, 32).astype(np.float16), TensorProto.FLOAT16)
    g.weight("w", g.noise(32, 24).astype(np.float16))
    g.weight("v", g.noise(24, 16).astype(np.float16))
    g.tensors.append(numpy_helper.from_array(g.noise(16).astype(np.float16), "b"))
    g.node("Gemm", [g.node("MatMul", ["x", "w"], ["h"]), "v", "b"], ["y"])
    g.output("y", dtype=TensorProto.FLOAT16)
    return g.build(rten=False, loose=0.08)


@model
def brain_floats_in_storage():
    g = Graph()
    g.input("x", [3, 32])
    values = g.noise(32, 24)
    stored = helper.make_tensor("w", TensorProto.BFLOAT16, [32, 24], values.flatten().tolist())
    g.tensors.append(stored)
    g.weights.append("w")
    g.node("Cast", ["w"], ["wf"], to=TensorProto.FLOAT)
    g.output(g.node("MatMul", ["x", "wf"], ["y"]))
    # The built-in engine refuses bfloat16 initializers in the input; the output has none.
    return g.build()


@model
def embedding_tied_to_the_output():
    g = Graph()
    ids = np.array([[1, 5, 63], [0, 2, -1]], np.int64)
    g.input("ids", [2, 3], ids, TensorProto.INT64)
    g.weight("table", g.noise(64, 16))
    g.weight("w", g.noise(16, 16, scale=0.25))
    h = g.node("MatMul", [g.node("Gather", ["table", "ids"], ["rows"]), "w"], ["h"])
    g.output(g.node("MatMul", [h, g.node("Transpose", ["table"], ["turned"], perm=[1, 0])], ["y"]))
    return g.build()


@model
def one_weight_for_two():
    g = Graph()
    g.input("x", [3, 16])
    g.weight("w", g.noise(16, 16, scale=0.25))
    h = chain(g, "w", "w")
    g.node("Gemm", [h, "w"], ["t"], transB=1)
    g.output("t")
    return g.build()


@model
def one_weight_for_a_sum_too():
    g = Graph()
    g.input("x", [16, 16], dynamic=False)
    g.weight("w", g.noise(16, 16, scale=0.25))
    g.weight("v", g.noise(16, 64, scale=0.25))
    h = chain(g, "w")
    g.output(g.node("MatMul", [g.node("Add", [h, "w"], ["s"]), "v"], ["y"]))
    return g.build()


@model
def constants_instead_of_initializers():
    g = Graph()
    g.input("x", [3, 32])
    g.node("Constant", [], ["w"], value=numpy_helper.from_array(g.noise(32, 24)))
    g.weights.append("w")
    g.output(chain(g, "w"))
    return g.build()


@model
def behind_other_nodes():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("a", g.noise(32, 32, scale=0.2))
    g.weight("b", g.noise(32, 32, scale=0.2).astype(np.float16))
    g.weight("c", g.noise(32, 32, scale=0.2))
    g.weight("d", g.noise(4, 8, 32, scale=0.2))
    g.tensors.append(numpy_helper.from_array(np.array([0, -1], np.int64), "flat"))
    g.tensors.append(numpy_helper.from_array(np.array([32, 32], np.int64), "square"))
    g.node("Identity", ["a"], ["ai"])
    g.node("Cast", ["b"], ["bf"], to=TensorProto.FLOAT)
    g.node("Transpose", ["c"], ["ct"], perm=[1, 0])
    g.node("Reshape", ["d", "square"], ["dr"])
    g.output(chain(g, "ai", "bf", "ct", "dr"))
    return g.build()


@model
def gemm_with_everything():
    g = Graph()
    g.input("x", [32, 3], dynamic=False)
    g.weight("w", g.noise(24, 32))
    g.tensors.append(numpy_helper.from_array(g.noise(3, 1), "c"))
    g.output(g.node("Gemm", ["x", "w", "c"], ["y"], alpha=0.5, beta=-2.0, transA=1, transB=1))
    return g.build()


def branch(g, name, scale):
    """A graph that multiplies the outer x with a weight of its own."""
    weight = numpy_helper.from_array(g.noise(32, 16, scale=scale), f"{name}_w")
    g.weights.append(f"{name}_w")
    node = helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_y"], name=f"n_{name}")
    out = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, [None, None])
    return helper.make_graph([node], name, [], [out], [weight])


@model
def inside_an_if():
    g = Graph()
    g.input("x", [3, 32])
    g.input("flag", [], np.array(True), TensorProto.BOOL)
    g.node("If", ["flag"], ["y"], then_branch=branch(g, "then", 1.0), else_branch=branch(g, "else", 2.0))
    g.output("y")
    return g.build()


@model
def inside_a_loop():
    g = Graph()
    g.input("x", [3, 16])
    g.weight("outer", g.noise(16, 16, scale=0.3))
    weight = numpy_helper.from_array(g.noise(16, 16, scale=0.3), "inner")
    g.weights.append("inner")
    nodes = [
        helper.make_node("MatMul", ["state", "inner"], ["m"]),
        helper.make_node("MatMul", ["m", "outer"], ["next"]),
        helper.make_node("Identity", ["go"], ["still"]),
    ]
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        nodes, "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("state", TensorProto.FLOAT, [None, None])],
        [value("still", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, [None, None])],
        [weight],
    )
    g.tensors.append(numpy_helper.from_array(np.array(3, np.int64), "times"))
    g.tensors.append(numpy_helper.from_array(np.array(True), "yes"))
    g.node("Loop", ["times", "yes", "x"], ["y"], body=body)
    g.output("y")
    return g.build(rten=False, loose=0.1)


@model
def three_dimensions():
    g = Graph()
    g.input("x", [4, 3, 16], dynamic=False)
    g.weight("w", g.noise(4, 16, 8) * np.array([1, 10, 100, 1000], np.float32).reshape(4, 1, 1))
    g.output(chain(g, "w"))
    return g.build()


@model
def depthwise_with_unequal_channels():
    g = Graph()
    g.input("x", [1, 16, 8, 8])
    scale = np.logspace(-3, 2, 16).astype(np.float32).reshape(16, 1, 1, 1)
    g.weight("w", g.noise(16, 1, 3, 3) * scale)
    h = g.node("Conv", ["x", "w"], ["h"], group=16, pads=[1, 1, 1, 1])
    g.tensors.append(numpy_helper.from_array(1 / scale.reshape(1, 16, 1, 1), "level"))
    g.output(g.node("Mul", [h, "level"], ["y"]))
    # The weights may take over the scaling, which rounds.
    return g.build(exact=1e-5)


@model
def one_outlier_among_small_weights():
    g = Graph()
    g.input("x", [3, 32])
    value = g.noise(32, 24, scale=0.01)
    value[7, 3] = 1000
    g.weight("w", value)
    h = chain(g, "w")
    g.output(h)
    level = np.full((1, 24), 100, np.float32)
    level[0, 3] = 1e-4
    g.tensors.append(numpy_helper.from_array(level, "level"))
    g.output(g.node("Mul", [h, "level"], ["y"]))
    return g.build()


@model
def tiny_weights_and_a_large_bias():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("w", g.noise(32, 24, scale=1e-7))
    g.tensors.append(numpy_helper.from_array(g.noise(24, scale=1e4), "b"))
    h = g.node("Gemm", ["x", "w", "b"], ["h"])
    g.output(h)
    # What the bias hides: it shows whether anything is left of the weights.
    g.tensors.append(numpy_helper.from_array(np.float32(1e7), "large"))
    g.output(g.node("Mul", [g.node("MatMul", ["x", "w"], ["product"]), "large"], ["shown"]))
    return g.build()


@model
def names_that_are_taken():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("w", g.noise(32, 24))
    for taken in ["w_quantized", "w_scale", "int8_zero_point"]:
        g.tensors.append(numpy_helper.from_array(g.noise(24), taken))
    h = chain(g, "w")
    for taken in ["w_quantized", "w_scale", "int8_zero_point"]:
        h = g.node("Add", [h, taken], [f"x_{taken}"])
    g.output(g.node("Identity", [h], ["x_scale"]))
    return g.build()


@model
def quantized_in_part():
    g = Graph()
    g.input("x", [3, 32])
    g.tensors.append(numpy_helper.from_array(g.random.integers(-127, 127, (32, 32)).astype(np.int8), "q"))
    g.tensors.append(numpy_helper.from_array(np.float32(0.01), "s"))
    g.tensors.append(numpy_helper.from_array(np.int8(0), "z"))
    g.node("DequantizeLinear", ["q", "s", "z"], ["d"])
    g.weight("w", g.noise(32, 24))
    g.output(chain(g, "d", "w"))
    return g.build(opset=21, ir=10)


@model
def functions():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("w", g.noise(32, 24))
    body = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(g.noise(24, 24))),
        helper.make_node("MatMul", ["a", "b"], ["m"]),
        helper.make_node("MatMul", ["m", "k"], ["c"]),
    ]
    g.functions.append(
        helper.make_function("mine", "Twice", ["a", "b"], ["c"], body, [helper.make_opsetid("", 17)])
    )
    g.nodes.append(helper.make_node("Twice", ["x", "w"], ["y"], name="call", domain="mine"))
    g.output("y")
    return g.build(imports=[helper.make_opsetid("mine", 1)], ir=9, inner=1)


@model
def a_domain_of_others():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("w", g.noise(32, 24))
    h = chain(g, "w")
    g.nodes.append(helper.make_node("QuickGelu", [h], ["y"], name="foreign", domain="com.microsoft"))
    g.output("y")
    return g.build(imports=[helper.make_opsetid("com.microsoft", 1)])


@model
def wrong_value_info():
    g = Graph()
    g.input("x", [3, 32])
    g.weight("w", g.noise(32, 24))
    h = chain(g, "w")
    g.infos.append(helper.make_tensor_value_info(h, TensorProto.FLOAT, [7, 99]))
    g.output(g.node("Relu", [h], ["y"]))
    return g.build(check_input=False)


@model
def a_weight_that_is_an_output():
    g = Graph()
    g.input("x", [3, 16])
    g.weight("w", g.noise(16, 16))
    g.weight("v", g.noise(16, 64))
    g.output(chain(g, "w", "v"))
    g.output("w", [16, 16])
    return g.build()


@model
def lstm():
    g = Graph()
    g.input("x", [5, 2, 16], dynamic=False)
    g.weight("w", g.noise(2, 64, 16, scale=0.3))
    g.weight("r", g.noise(2, 64, 16, scale=0.3))
    g.tensors.append(numpy_helper.from_array(g.noise(2, 128, scale=0.3), "b"))
    g.node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=16, direction="bidirectional")
    g.output("y")
    return g.build()


@model
def gru():
    g = Graph()
    g.input("x", [5, 2, 16], dynamic=False)
    g.weight("w", g.noise(1, 48, 16, scale=0.3))
    g.weight("r", g.noise(1, 48, 16, scale=0.3))
    g.node("GRU", ["x", "w", "r"], ["y"], hidden_size=16, linear_before_reset=1)
    g.output("y")
    return g.build()


@model
def convolutions():
    g = Graph()
    g.input("x", [2, 8, 12, 12])
    g.weight("a", g.noise(16, 8, 3, 3, scale=0.2))
    g.weight("b", g.noise(16, 4, 3, 3, scale=0.2))
    g.tensors.append(numpy_helper.from_array(g.noise(16), "bias"))
    g.node("Conv", ["x", "a", "bias"], ["h"], auto_pad="SAME_UPPER", strides=[2, 2])
    g.node("Relu", ["h"], ["r"])
    g.output(g.node("Conv", ["r", "b", "bias"], ["y"], group=4, pads=[1, 0, 1, 2], dilations=[1, 2]))
    return g.build()


@model
def convolutions_of_one_point():
    g = Graph()
    g.input("x", [3, 24, 6, 6])
    g.weight("a", g.noise(16, 24, 1, 1, scale=0.2))
    g.weight("b", g.noise(24, 16, 1, 1, scale=0.2))
    g.tensors.append(numpy_helper.from_array(g.noise(16), "bias"))
    g.node("Relu", [g.node("Conv", ["x", "a", "bias"], ["h"])], ["r"])
    g.output(g.node("Conv", ["r", "b"], ["y"], kernel_shape=[1, 1], strides=[2, 2]))
    return g.build()


@model
def convolution_of_one_dimension():
    g = Graph()
    g.input("x", [2, 8, 30])
    g.weight("w", g.noise(16, 8, 5, scale=0.2))
    g.tensors.append(numpy_helper.from_array(g.noise(16), "bias"))
    g.output(g.node("Conv", ["x", "w", "bias"], ["y"], pads=[2, 2], strides=[2]))
    return g.build()


@model
def operators_between_convolutions():
    g = Graph()
    g.input("x", [2, 8, 12, 12])
    for name in ["a", "b", "c", "d"]:
        g.weight(name, g.noise(8, 16 if name == "d" else 8, 3, 3, scale=0.2))
        g.tensors.append(numpy_helper.from_array(g.noise(8, scale=0.5), f"{name}_bias"))
    g.weight("w", g.noise(8, 16, scale=0.5))
    conv = lambda value, name: g.node("Conv", [value, name, f"{name}_bias"], [f"conv_{name}"], pads=[1, 1, 1, 1])
    h = g.node("Relu", [conv("x", "a")], ["r"])
    h = g.node("MaxPool", [h], ["pool"], kernel_shape=[2, 2], strides=[2, 2])
    b, c = conv(h, "b"), conv(h, "c")
    b = g.node("Mul", [b, g.node("Sigmoid", [b], ["gate"])], ["silu"])
    h = g.node("Concat", [g.node("Add", [b, c], ["sum"]), g.node("LeakyRelu", [c], ["leaky"])], ["both"], axis=1)
    h = g.node("AveragePool", [h], ["mean"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
    h = g.node("GlobalAveragePool", [conv(h, "d")], ["means"])
    h = g.node("Gemm", [g.node("Flatten", [h], ["flat"]), "w"], ["scores"])
    g.output(g.node("Softmax", [h], ["y"]))
    return g.build(rten_input=False, loose=0.1)


@model
def attention():
    g = Graph()
    g.input("x", [2, 6, 16])
    for name in ["q", "k", "v", "o"]:
        g.weight(name, g.noise(16, 16, scale=0.3))
    g.tensors.append(numpy_helper.from_array(np.float32(4), "root"))
    for name, value in [("level", np.ones(16, np.float32)), ("shift", g.noise(16))]:
        g.tensors.append(numpy_helper.from_array(value, name))
    q, k, v = (g.node("MatMul", ["x", name], [f"x_{name}"]) for name in "qkv")
    h = g.node("MatMul", [q, g.node("Transpose", [k], ["turned"], perm=[0, 2, 1])], ["likeness"])
    h = g.node("Softmax", [g.node("Div", [h, "root"], ["rooted"])], ["shares"])
    h = g.node("MatMul", [g.node("MatMul", [h, v], ["mixed"]), "o"], ["out"])
    h = g.node("Add", [h, "x"], ["sum"])
    g.output(g.node("LayerNormalization", [h, "level", "shift"], ["y"]))
    return g.build(loose=0.1)


@model
def transposed_convolution():
    g = Graph()
    g.input("x", [2, 8, 6, 6])
    g.weight("w", g.noise(8, 4, 3, 3, scale=0.2))
    g.output(g.node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]))
    return g.build()


@model
def a_constant_on_the_left():
    g = Graph()
    g.input("x", [16, 5], dynamic=False)
    g.weight("w", g.noise(24, 16))
    g.output(g.node("MatMul", ["w", "x"], ["y"]))
    return g.build()


@model
def tables_of_many_kinds():
    g = Graph()
    ids = np.array([3, -1, 0], np.int64)
    g.input("ids", [3], ids, TensorProto.INT64)
    g.weight("rows", g.noise(32, 8) * np.logspace(-2, 2, 32).astype(np.float32).reshape(32, 1))
    g.weight("columns", g.noise(8, 32))
    g.weight("boxes", g.noise(16, 4, 8))
    a = g.node("Gather", ["rows", "ids"], ["a"])
    b = g.node("Gather", ["columns", "ids"], ["b"], axis=1)
    c = g.node("Gather", ["boxes", "ids"], ["c"])
    g.output(a)
    g.output(b)
    g.output(c)
    return g.build()


@model
def a_table_that_is_the_head_too():
    g = Graph()
    g.input("ids", [2, 3], np.array([[3, -1, 0], [7, 7, 39]], np.int64), TensorProto.INT64)
    g.input("one", [], np.array(5, np.int64), TensorProto.INT64)
    g.weight("table", g.noise(40, 32) * np.logspace(-1, 1, 32).astype(np.float32))
    rows = g.node("Gather", ["table", "ids"], ["rows"])
    g.output(g.node("MatMul", [rows, g.node("Transpose", ["table"], ["head"], perm=[1, 0])], ["y"]))
    g.output(g.node("Gather", ["table", "one"], ["row"]))
    return g.build()


@model
def doubles_stay():
    g = Graph()
    g.input("x", [3, 32], g.noise(3, 32).astype(np.float64), TensorProto.DOUBLE)
    g.weight("w", g.noise(32, 24).astype(np.float64), quantized=False)
    g.node("MatMul", ["x", "w"], ["y"])
    g.output("y", dtype=TensorProto.DOUBLE)
    return g.build(refused="nothing changed")


@model
def not_a_number():
    g = Graph()
    g.input("x", [3, 32])
    value = g.noise(32, 24)
    value[5, 5] = np.nan
    g.weight("broken", value, quantized=False)
    g.output(chain(g, "broken"))
    return g.build(refused='"broken" has NaN')


def describe_outputs(made, feeds):
    """Gives every output as many open dimensions as it has."""
    values = onnxruntime.InferenceSession(made.SerializeToString()).run(None, feeds)
    for output, value in zip(made.graph.output, values):
        dims = [f"{output.name}_{axis}" for axis in range(value.ndim)]
        described = helper.make_tensor_value_info(output.name, output.type.tensor_type.elem_type, dims)
        output.CopyFrom(described)


def write(folder):
    for name, make in MODELS.items():
        made, feeds, facts = make()
        describe_outputs(made, feeds)
        if facts.get("check_input", True):
            onnx.checker.check_model(made, full_check=True)
        external = name == "convolutions"
        onnx.save(made, folder / f"{name}.onnx", save_as_external_data=external, location=f"{name}.bin", size_threshold=0)
        np.savez(folder / f"{name}.npz", **feeds)
        (folder / f"{name}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
