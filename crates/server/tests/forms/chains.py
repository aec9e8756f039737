"""Chains of nodes that engines replace by one: with the shapes that fit the replacement, and with those that do not."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

F, I64 = np.float32, np.int64


class Chain:
    """A graph under construction."""

    def __init__(self, opset=17):
        self.nodes, self.feeds, self.constants, self.count, self.opset = [], {}, [], 0, opset

    def input(self, value):
        name = f"x{len(self.feeds)}"
        self.feeds[name] = value
        return name

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def computed(self, value):
        """A constant that engines compute ahead."""
        return self.node("Identity", self.constant(value))

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [f"v{self.count + place}" for place in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"n{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def model(self, results, fixed):
        """The model, with the sizes of its inputs fixed or open: engines replace more where they know sizes."""
        def declared(name, value):
            sizes = value.shape if fixed else [f"{name}_{axis}" for axis in range(value.ndim)]
            return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), sizes)

        inputs = [declared(name, value) for name, value in self.feeds.items()]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results]
        graph = helper.make_graph(self.nodes, "chain", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(F)


def products(rng):
    for left, right, bias in [((3, 4), (4, 5), (5,)), ((3, 4), (4, 5), (1,)), ((3, 4), (4, 1), (6,)), ((3, 4), (4, 5), (1, 5)), ((3, 4), (4, 5), ()),
                              ((3, 4), (4,), (3,)), ((2, 3, 4), (4, 5), (5,)), ((2, 3, 4), (4, 5), (3, 1)), ((3, 4), (4, 5), (2, 3, 5)), ((4,), (4, 5), (5,)), ((3, 4), (4, 1), (1,))]:
        for constant in (True, False):
            for swapped in (True, False):
                chain = Chain()
                weight = normal(rng, *right)
                product = chain.node("MatMul", chain.input(normal(rng, *left)), chain.constant(weight) if constant else chain.input(weight))
                pair = (product, chain.constant(normal(rng, *bias)))
                yield "matmul-add", chain, [chain.node("Add", *(pair[::-1] if swapped else pair))]
        chain = Chain()
        product = chain.node("MatMul", chain.input(normal(rng, *left)), chain.constant(normal(rng, *right)))
        yield "matmul-add", chain, [chain.node("Add", product, chain.computed(normal(rng, *bias)))]
    for shape in [(), (1,), (1, 1), (1, 1, 1, 1), (5,)]:
        for op in ("Mul", "Div"):
            for where in ("left", "right", "out"):
                chain = Chain()
                factor = chain.constant(np.abs(normal(rng, *shape)) + F(0.5))
                a, b = chain.input(normal(rng, 3, 5)), chain.input(normal(rng, 5, 5))
                a = chain.node(op, a, factor) if where == "left" else a
                b = chain.node(op, b, factor) if where == "right" else b
                product = chain.node("MatMul", a, b)
                yield "matmul-scale", chain, [chain.node(op, product, factor) if where == "out" else product]
    for perm in ([0, 2, 1], [1, 0, 2]):
        chain = Chain()
        a, b = chain.input(normal(rng, 3, 3, 3)), chain.input(normal(rng, 3, 3, 3))
        yield "transpose-matmul", chain, [chain.node("MatMul", chain.node("Transpose", a, perm=perm), chain.node("Transpose", b, perm=perm))]
    for op, more in (("Concat", {"axis": 1}),):
        chain = Chain()
        a = chain.input(normal(rng, 2, 3, 4))
        moved = chain.node("Transpose", a, perm=[0, 2, 1])
        yield "transpose-concat", chain, [chain.node(op, moved, moved, **more)]


def identities(rng):
    for op in ("Add", "Sub", "Mul", "Div"):
        neutral = 0.0 if op in ("Add", "Sub") else 1.0
        for shape in [(), (1,), (1, 1), (1, 1, 1), (1, 1, 1, 1), (2, 1, 1), (3,)]:
            for rank in (0, 1, 2, 3):
                for swapped in (False, True):
                    if swapped and op in ("Sub", "Div"):
                        continue
                    chain = Chain()
                    x = chain.node("Relu", chain.input(normal(rng, *[3] * rank)))
                    pair = (x, chain.constant(np.full(shape, neutral, F)))
                    yield "identity", chain, [chain.node("Exp", chain.node(op, *(pair[::-1] if swapped else pair)))]
                chain = Chain()
                x = chain.node("Relu", chain.input(normal(rng, *[3] * rank)))
                yield "identity", chain, [chain.node("Exp", chain.node(op, x, chain.computed(np.full(shape, neutral, F))))]


def norms(rng):
    for width in (4,):
        for scale in [(4,), (1, 4), (1, 1, 4), (3, 4), (2, 3, 4), (1,), (), (3, 1), (1, 3, 1)]:
            for bias in [None, (4,), (1, 1, 4), (1,), (3, 1)]:
                for keep in (1, 0):
                    for axis in (-1, 2, 1):
                        if keep == 0 and axis != -1:
                            continue
                        for variance in ("Pow", "Mul"):
                            chain = Chain(opset=17)
                            size = (4, 4, 4) if keep == 0 else (2, 3, width)
                            x = chain.input(normal(rng, *size))
                            centered = chain.node("Sub", x, chain.node("ReduceMean", x, axes=[axis], keepdims=keep))
                            squared = chain.node("Pow", centered, chain.constant(F(2))) if variance == "Pow" else chain.node("Mul", centered, centered)
                            mean = chain.node("ReduceMean", squared, axes=[axis], keepdims=keep)
                            root = chain.node("Sqrt", chain.node("Add", mean, chain.constant(F(1e-5))))
                            scaled = chain.node("Mul", chain.node("Div", centered, root), chain.constant(normal(rng, *scale)))
                            yield "layer-norm", chain, [scaled if bias is None else chain.node("Add", scaled, chain.constant(normal(rng, *bias)))]
    for scale in [(4,), (1, 1, 4), (3, 4), ()]:
        for keep in (1, 0):
            chain = Chain(opset=17)
            x = chain.input(normal(rng, 4, 4, 4))
            centered = chain.node("Sub", x, chain.node("ReduceMean", x, axes=[-1], keepdims=keep))
            mean = chain.node("ReduceMean", chain.node("Mul", centered, centered), axes=[-1], keepdims=keep)
            root = chain.node("Sqrt", chain.node("Add", mean, chain.constant(F(1e-5))))
            yield "layer-norm", chain, [chain.node("Mul", chain.node("Div", centered, root), chain.computed(normal(rng, *scale)))]
    for scale in [(4,), (1, 4), (1, 1, 4), (3, 4), (2, 3, 4), (1,), ()]:
        for keep in (1, 0):
            chain = Chain(opset=17)
            x = chain.input(normal(rng, *((4, 4, 4) if keep == 0 else (2, 3, 4))))
            mean = chain.node("ReduceMean", chain.node("Pow", x, chain.constant(F(2))), axes=[-1], keepdims=keep)
            root = chain.node("Sqrt", chain.node("Add", mean, chain.constant(F(1e-5))))
            part = chain.node("Reciprocal", root) if len(scale) != 2 else chain.node("Div", chain.constant(F(1)), root)
            yield "rms-norm", chain, [chain.node("Mul", chain.node("Mul", x, part), chain.constant(normal(rng, *scale)))]


def activations(rng):
    for half in [(), (1,), (1, 1), (1, 1, 1, 1)]:
        for divide in (True, False):
            chain = Chain()
            x = chain.input(normal(rng, 2, 3))
            root = np.full(half, np.sqrt(2), F) if divide else np.full(half, 1 / np.sqrt(2), F)
            inner = chain.node("Erf", chain.node("Div" if divide else "Mul", x, chain.constant(root)))
            one = chain.node("Add", inner, chain.constant(np.full(half, 1, F)))
            yield "gelu", chain, [chain.node("Mul", chain.node("Mul", x, one), chain.constant(np.full(half, 0.5, F)))]
    for alpha in [(), (1,), (1, 1, 1), (3,)]:
        chain = Chain()
        x = chain.input(normal(rng, 2, 3))
        yield "swish", chain, [chain.node("Mul", x, chain.node("Sigmoid", chain.node("Mul", x, chain.constant(normal(rng, *alpha)))))]
    chain = Chain()
    x = chain.input(normal(rng, 2, 3))
    yield "silu", chain, [chain.node("Mul", x, chain.node("Sigmoid", x))]
    for one in [(), (1,), (1, 1, 1), (3,)]:
        chain = Chain()
        yield "reciprocal", chain, [chain.node("Div", chain.constant(np.ones(one, F)), chain.input(np.abs(normal(rng, 2, 3)) + F(0.5)))]
    for left, right in [((2, 2, 3, 3), (3, 3)), ((3,), (2, 3)), ((1, 3), (2, 1)), ((2, 1, 3, 3), (2, 1, 1, 3)), ((2, 3), (2, 3))]:
        for axis in ({}, {"axis": -1}, {"axis": 1}, {"axis": 0}):
            chain = Chain()
            yield "add-softmax", chain, [chain.node("Softmax", chain.node("Add", chain.input(normal(rng, *left)), chain.input(normal(rng, *right))), **axis)]
    for fill in [(), (1,), (1, 1, 1), (3,)]:
        chain = Chain()
        soft = chain.node("Softmax", chain.input(normal(rng, 2, 3)))
        yield "safe-softmax", chain, [chain.node("Where", chain.node("IsNaN", soft), chain.constant(np.zeros(fill, F)), soft)]


def convolutions(rng):
    for bias in [(1, 4, 1, 1), (4, 1, 1), (1, 4, 1), (4,), (1,), (), (1, 1, 1, 1), (2, 4, 1, 1), (1, 4, 4, 4)]:
        for has_bias in (True, False):
            chain = Chain()
            inputs = [chain.input(normal(rng, 2, 3, 4, 4)), chain.constant(normal(rng, 4, 3, 1, 1))] + ([chain.constant(normal(rng, 4))] if has_bias else [])
            conv = chain.node("Conv", *inputs, kernel_shape=[1, 1], pads=[0] * 4, strides=[1, 1], dilations=[1, 1])
            yield "conv-add", chain, [chain.node("Add", conv, chain.constant(normal(rng, *bias)))]
    for has_bias in (True, False):
        for op in ("Conv", "ConvTranspose"):
            chain = Chain()
            weight = normal(rng, 4, 3, 2, 2) if op == "Conv" else normal(rng, 3, 4, 2, 2)
            inputs = [chain.input(normal(rng, 2, 3, 5, 5)), chain.constant(weight)] + ([chain.constant(normal(rng, 4))] if has_bias else [])
            conv = chain.node(op, *inputs, kernel_shape=[2, 2], pads=[0] * 4, strides=[1, 1], dilations=[1, 1])
            parts = [chain.constant(value) for value in (normal(rng, 4), normal(rng, 4), normal(rng, 4), np.abs(normal(rng, 4)) + F(0.1))]
            yield "conv-norm", chain, [chain.node("BatchNormalization", conv, *parts)]


def integers(rng):
    for scale in [(), (1,), (5,), (1, 1), (1, 5), (3, 1), (2, 1, 1)]:
        for zeros in (True, False):
            for constant in (True, False):
                chain = Chain()
                values = chain.input(normal(rng, 3, 8))
                x, step, zero = chain.node("DynamicQuantizeLinear", values, outputs=3)
                weight = chain.constant(rng.integers(-60, 60, (8, 5)).astype(np.int8))
                inputs = [x, weight, zero] + ([chain.constant(np.int8(0))] if zeros else [])
                product = chain.node("Cast", chain.node("MatMulInteger", *inputs), to=TensorProto.FLOAT)
                factor = np.abs(normal(rng, *scale)) + F(0.1)
                factor = chain.constant(factor) if constant else chain.input(factor)
                yield "matmul-integer", chain, [chain.node("Mul", product, chain.node("Mul", step, factor))]
    for scale in [(), (1,), (4, 1, 1), (1, 4, 1, 1)]:
        chain = Chain()
        x, step, zero = chain.node("DynamicQuantizeLinear", chain.input(normal(rng, 2, 3, 4, 4)), outputs=3)
        weight = chain.constant(rng.integers(0, 60, (4, 3, 1, 1)).astype(np.uint8))
        conv = chain.node("ConvInteger", x, weight, zero, chain.constant(np.uint8(30)), kernel_shape=[1, 1])
        yield "conv-integer", chain, [chain.node("Mul", chain.node("Cast", conv, to=TensorProto.FLOAT), chain.node("Mul", step, chain.constant(np.abs(normal(rng, *scale)) + F(0.1))))]


def shapes(rng):
    for repeats in (1, 2, 3):
        for axis in (0, 1, 2):
            for place in (axis, axis + 1):
                chain = Chain()
                x = chain.input(normal(rng, 2, 3, 4))
                wide = chain.node("Unsqueeze", x, chain.constant(np.array([place], I64)))
                target = [2, 3, 4]
                target.insert(place, repeats)
                spread = chain.node("Expand", wide, chain.constant(np.array(target, I64)))
                merged = [2, 3, 4]
                merged[axis] *= repeats
                yield "repeat", chain, [chain.node("Reshape", spread, chain.constant(np.array(merged, I64)))]
    for start, end in [(0, 1), (-1, 2**31 - 1), (1, 3), (-2, -1)]:
        chain = Chain()
        x = chain.input(normal(rng, 2, 3, 4))
        part = chain.node("Slice", chain.node("Shape", x), chain.constant(np.array([start], I64)), chain.constant(np.array([end], I64)))
        yield "shape-slice", chain, [chain.node("Cast", part, to=TensorProto.FLOAT)]
    for kind in (TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32):
        chain = Chain()
        x = chain.input(normal(rng, 2, 3))
        yield "casts", chain, [chain.node("Cast", chain.node("Cast", chain.node("Cast", chain.node("Mul", x, chain.constant(F(9))), to=kind), to=TensorProto.INT32), to=TensorProto.FLOAT)]


def models(samples):
    """Every chain: its name, its model, and values for its inputs."""
    for sample in samples:
        rng = np.random.default_rng([3, sample])
        for kind in (products, identities, norms, activations, convolutions, integers, shapes):
            for name, chain, results in kind(rng):
                for fixed in (False, True):
                    yield name, chain.model(results, fixed), chain.feeds
