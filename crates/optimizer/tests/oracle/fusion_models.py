"""Chains of nodes that are one operator, as exporters write them, and chains that only look like one.

    fusion_models.py FOLDER

Writes what simplify_models.py writes for its own models.
"""

import sys
from pathlib import Path

import models
import numpy as np
from onnx import TensorProto, helper
from simplify_models import Draft

models.MODELS.clear()
SLOPE = np.sqrt(2 / np.pi)
F16 = TensorProto.FLOAT16


class Chain(Draft):
    """A graph whose constants are single floats, and whose values are named in turn."""

    dtype = np.float32

    def number(self, value):
        return self.constant(value, self.dtype)

    def do(self, op, *inputs, **attributes):
        return self.node(op, list(inputs), [f"v{len(self.nodes)}"], **attributes)

    def shifted(self, by):
        """A value of its own, so that chains have no parts in common."""
        return self.do("Add", "x", self.number(by))

    def whole(self, values):
        self.output(self.do("Sum", *values), dtype=helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype)))


def divided(g, x):
    return g.do("Erf", g.do("Div", x, g.number(np.sqrt(2))))


def scaled(g, x):
    return g.do("Erf", g.do("Mul", g.number(1 / np.sqrt(2)), x))


EXACT = {
    "value_first": lambda g, x: g.do(
        "Mul", g.do("Mul", x, g.do("Add", divided(g, x), g.number(1))), g.number(0.5)
    ),
    "half_first": lambda g, x: g.do(
        "Mul", g.do("Mul", g.number(0.5), x), g.do("Add", g.number(1), scaled(g, x))
    ),
    "half_inside": lambda g, x: g.do(
        "Mul", g.do("Mul", g.do("Add", g.number([1]), divided(g, x)), g.number([[0.5]])), x
    ),
    "halved": lambda g, x: g.do("Div", g.do("Mul", g.do("Add", scaled(g, x), g.number(1)), x), g.number(2)),
    "in_two_steps": lambda g, x: g.do(
        "Mul", x, g.do("Div", g.do("Add", g.do("Erf", g.do("Div", g.do("Mul", x, g.number(0.5)), g.number(np.sqrt(0.5)))),
                                   g.number(1)), g.number(2)),
    ),
}


def bell(g, inner):
    return g.do("Add", g.number(1), g.do("Tanh", inner))


def cubed(g, x, third):
    return g.do("Mul", g.number(SLOPE), g.do("Add", x, g.do("Mul", third, g.number(0.044715))))


APPROXIMATE = {
    "power": lambda g, x: g.do(
        "Mul", g.do("Mul", g.number(0.5), x), bell(g, cubed(g, x, g.do("Pow", x, g.number(3))))
    ),
    "products": lambda g, x: g.do(
        "Mul", g.do("Mul", x, g.number(0.5)), bell(g, cubed(g, x, g.do("Mul", g.do("Mul", x, x), x)))
    ),
    "nested": lambda g, x: g.do(
        "Mul", x, g.do("Mul", g.number(0.5), bell(g, g.do("Mul", g.number(SLOPE), g.do(
            "Add", x, g.do("Mul", x, g.do("Mul", x, g.do("Mul", g.number(0.044715), x)))
        )))),
    ),
    "factored": lambda g, x: g.do(
        "Mul", g.do("Mul", x, bell(g, g.do("Mul", g.do("Mul", x, g.number(SLOPE)), g.do(
            "Add", g.do("Mul", g.do("Pow", x, g.number(2)), g.number(0.044715)), g.number(1)
        )))), g.number(0.5),
    ),
    "multiplied_out": lambda g, x: g.do(
        "Mul", g.do("Mul", x, g.number(0.5)), bell(g, g.do(
            "Add", g.do("Mul", x, g.number(SLOPE)), g.do("Mul", g.do("Pow", x, g.number(3)), g.number(SLOPE * 0.044715))
        )),
    ),
}


# The built-in engine computes no power of a float by an integer.
WHOLE_POWERS = {
    "whole_power": lambda g, x: g.do(
        "Mul", g.do("Mul", g.number(0.5), x), bell(g, cubed(g, x, g.do("Pow", x, g.constant(3))))
    ),
    "norm": lambda g, x: affine(g, normalized(g, x, power=g.constant(2))),
}


def normalized(g, x, axis=-1, variance_axis=None, power=None, twice=False, epsilon=1e-5, opset=17):
    """A value without its mean, as a share of its standard deviation."""

    def mean(value, axis):
        if opset >= 18:
            return g.do("ReduceMean", value, g.constant([axis]))
        return g.do("ReduceMean", value, axes=[axis])

    middle = mean(x, axis)
    center = g.do("Sub", x, middle)
    other = g.do("Sub", x, middle) if twice else center
    square = g.do("Pow", other, g.number(2) if power is None else power)
    variance = mean(square, axis if variance_axis is None else variance_axis)
    return g.do("Div", center, g.do("Sqrt", g.do("Add", variance, g.number(epsilon))))


def all_of(g):
    """What is left where nothing changes but constants."""
    kinds = [node.op_type for node in g.nodes if node.op_type != "Constant"]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def vector(g, *shape):
    return g.initializer(f"w{len(g.tensors)}", (g.noise(*shape) + 1).astype(g.dtype))


def affine(g, value, size=16):
    return g.do("Add", g.do("Mul", value, vector(g, size)), vector(g, size))


NORMS = {
    "plain": lambda g, x, **all: affine(g, normalized(g, x, **all)),
    "counted_axis": lambda g, x, **all: affine(g, normalized(g, x, axis=2, epsilon=1e-3, **all)),
    "centered_twice": lambda g, x, **all: affine(g, normalized(g, x, twice=True, **all)),
    "constants_first": lambda g, x, **all: g.do(
        "Add", vector(g, 16), g.do("Mul", vector(g, 16), normalized(g, x, epsilon=[1e-5], **all))
    ),
    "not_shifted": lambda g, x, **all: g.do("Mul", normalized(g, x, **all), vector(g, 16)),
}


def register(name, function):
    models.MODELS[name] = function


def forms(chains, opset, nodes, **more):
    def build():
        g = Chain()
        g.input("x", [2, 5, 16])
        g.whole([chain(g, g.shifted(index / 4)) for index, chain in enumerate(chains.values())])
        return g.build(opset=opset, nodes={"Add": len(chains), "Sum": 1, **nodes}, exact=1e-5, **more)

    return build


for version in [13, 20]:
    register(f"gelus_of_opset_{version}", forms(EXACT, version, {"Gelu": len(EXACT)}))
    name = "Gelu" if version >= 20 else "FastGelu"
    register(f"approximate_gelus_of_opset_{version}", forms(APPROXIMATE, version, {name: len(APPROXIMATE)}))
register("whole_powers", forms(WHOLE_POWERS, 17, {"FastGelu": 1, "LayerNormalization": 1}, rten=False))
for version in [12, 14, 17, 18]:
    chains = {
        name: lambda g, x, chain=chain, version=version: chain(g, x, opset=version) for name, chain in NORMS.items()
    }
    register(f"norms_of_opset_{version}", forms(chains, version, {"LayerNormalization": len(NORMS)}))


def chain_model(function):
    def build():
        g = Chain()
        g.input("x", [2, 5, 16])
        return function(g)

    register(function.__name__, build)
    return function


@chain_model
def chains_in_a_branch(g):
    g.input("flag", [], np.array(True), TensorProto.BOOL)
    bodies = []
    for chain in [EXACT["value_first"], NORMS["plain"]]:
        start = len(g.nodes)
        result = chain(g, "x")
        nodes, g.nodes[start:] = g.nodes[start:], []
        g.nodes += [helper.make_node("Identity", ["x"], [f"hole{len(g.nodes)}_{index}"]) for index in range(len(nodes))]
        bodies.append(helper.make_graph(nodes, "body", [], [helper.make_tensor_value_info(result, 1, None)]))
    g.node("If", ["flag"], ["y"], then_branch=bodies[0], else_branch=bodies[1])
    g.output("y")
    return g.build(nodes={"If": 1, "Gelu": 1, "LayerNormalization": 1}, exact=1e-5)


@chain_model
def a_whole_layer(g):
    """A normalization, a product, a Gelu, and another normalization of that, in the opset of older exporters."""
    h = NORMS["plain"](g, "x")
    h = g.do("Add", g.do("MatMul", h, vector(g, 16, 16)), vector(g, 16))
    h = g.do("Softmax", EXACT["half_first"](g, h), axis=2)
    g.output(NORMS["plain"](g, h))
    left = {"LayerNormalization": 2, "MatMul": 1, "Add": 1, "Gelu": 1, "Softmax": 1}
    return g.build(opset=11, nodes=left, exact=1e-5)


@chain_model
def gelus_that_stay(g):
    seen = g.shifted(0.1)
    half = g.do("Mul", seen, g.number(0.5))
    sum_of = g.do("Add", divided(g, seen), g.number(1))
    g.output(sum_of)
    used = g.shifted(0.2)
    curve = scaled(g, used)
    x = [g.shifted(0.3 + index / 10) for index in range(9)]
    g.whole([
        g.do("Mul", half, sum_of),
        g.do("Mul", g.do("Mul", used, g.number(0.5)), g.do("Add", curve, g.number(1))), curve,
        # Other numbers: the slope, the sum, the half, and the cube.
        g.do("Mul", g.do("Mul", x[0], g.number(0.5)),
             g.do("Add", g.do("Erf", g.do("Div", x[0], g.number(1.4143))), g.number(1))),
        g.do("Mul", g.do("Mul", x[1], g.number(0.5)), g.do("Add", scaled(g, x[1]), g.number(1.001))),
        g.do("Mul", g.do("Mul", x[2], g.number(0.501)), g.do("Add", scaled(g, x[2]), g.number(1))),
        g.do("Mul", g.do("Mul", x[3], g.number(0.5)), bell(g, g.do("Mul", g.number(SLOPE), g.do(
            "Add", x[3], g.do("Mul", g.number(0.0448), g.do("Pow", x[3], g.number(3))))))),
        # Other values, a constant for each column, and a number that adds a dimension.
        g.do("Mul", g.do("Mul", x[4], g.number(0.5)), g.do("Add", scaled(g, x[5]), g.number(1))),
        g.do("Mul", g.do("Mul", x[6], vector(g, 16)), g.do("Add", scaled(g, x[6]), g.number(1))),
        g.do("ReduceMax", g.do("Mul", g.do("Mul", x[7], g.number([[[[0.5]]]])), g.do("Add", scaled(g, x[7]), g.number(1))),
             axes=[0], keepdims=0),
        g.do("Mul", g.do("Mul", g.do("Mul", x[8], x[8]), g.number(0.5)), g.do("Add", scaled(g, x[8]), g.number(1))),
    ])
    return g.build(nodes=all_of(g), rten=False)


@chain_model
def half_gelus_and_norms(g):
    """Engines that lack a kernel for halves would compute the one operator in singles."""
    g.dtype = np.float16
    h = g.do("Neg", g.do("Cast", "x", to=F16))
    h = EXACT["half_first"](g, NORMS["plain"](g, h))
    g.output(g.do("Cast", h, to=TensorProto.FLOAT))
    return g.build(nodes=all_of(g), exact=1e-3, rten=False)


NEARLY = {
    "over_another_axis": lambda g, x: affine(g, normalized(g, x, axis=1)),
    "variance_over_another_axis": lambda g, x: affine(g, normalized(g, x, variance_axis=1)),
    "another_power": lambda g, x: affine(g, normalized(g, g.do("Abs", x), power=g.number(4))),
    "one_factor_for_all": lambda g, x: affine(g, normalized(g, x), 1),
    "a_matrix_of_factors": lambda g, x: g.do(
        "Add", g.do("Mul", normalized(g, x), vector(g, 5, 16)), vector(g, 16)
    ),
    "not_scaled": lambda g, x: normalized(g, x),
}


def stays(chain, rten):
    def build():
        g = Chain()
        g.input("x", [2, 5, 16])
        g.output(chain(g, g.shifted(0.5)))
        return g.build(nodes=all_of(g), rten=rten)

    return build


for name, chain in NEARLY.items():
    # The built-in engine fuses this one when it loads it, and fails then.
    register(f"no_norm_{name}", stays(chain, rten=name != "a_matrix_of_factors"))


@chain_model
def norms_that_others_look_into(g):
    x = [g.shifted(index / 4) for index in range(3)]
    seen, used, crossed = (affine(g, normalized(g, value)) for value in x)
    roots = [node.output[0] for node in g.nodes if node.op_type == "Sqrt"]
    centers = [node for node in g.nodes if node.op_type == "Sub"]
    g.output(roots[0])
    # The third takes its mean from another value.
    centers[2].input[0] = x[0]
    g.whole([seen, used, crossed, roots[1]])
    return g.build(nodes=all_of(g))


if __name__ == "__main__":
    models.write(Path(sys.argv[1]))
