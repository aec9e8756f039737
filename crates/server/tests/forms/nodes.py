"""Models of one node for each form of an operator that an engine may be asked for, with inputs drawn at random.

`emit(case)` is called for each: which values an input may have, shapes, ranks, which inputs are constants. Nothing here
knows any engine; expected outputs are added by cases.py.
"""

import numpy as np

F, D, H = np.float32, np.float64, np.float16
I64, I32, I8, U8, B = np.int64, np.int32, np.int8, np.uint8, np.bool_
#: Values that rounding, clipping and ties treat apart.
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, 1e-30, 3e38, -3e38], F)


class Case:
    """One node: its inputs (None is an omitted one), attributes, and how many outputs it has."""

    def __init__(self, op, inputs, attrs=None, outputs=1, bounded=(), domain="", exact=False, rtol=1e-4, atol=1e-5):
        self.op, self.inputs, self.attrs, self.outputs = op, list(inputs), dict(attrs or {}), outputs
        self.bounded, self.domain, self.exact, self.rtol, self.atol = set(bounded), domain, exact, rtol, atol


class Draw:
    """A source of random shapes and values; one for each form, seeded by the form's name."""

    def __init__(self, rng):
        self.rng = rng

    def integer(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def pick(self, options):
        return options[self.integer(0, len(options) - 1)]

    def shape(self, low=0, high=4, least=1, most=5):
        return tuple(self.integer(least, most) for _ in range(self.integer(low, high)))

    def floats(self, shape, special=False, scale=2.0, least=None):
        values = np.asarray(self.rng.standard_normal(shape) * scale, F)
        if special and values.size:
            flat = values.reshape(-1)
            places = self.rng.random(flat.shape) < 0.4
            flat[places] = self.rng.choice(SPECIAL, int(places.sum()))
        return values if least is None else np.maximum(np.abs(values), F(least)).astype(F)

    def integers(self, shape, dtype, low=None, high=None):
        """Over the whole range of the type unless bounds are given; 64 bits keep to 32, which is what requests may hold."""
        info = np.iinfo(I32 if dtype == I64 else dtype)
        if low is not None:
            return np.asarray(self.rng.integers(low, high, size=shape, endpoint=True), dtype)
        values = np.asarray(self.rng.integers(info.min, info.max, size=shape, endpoint=True), dtype)
        edges = [0, 1, info.max - 1, info.max, *([info.min, info.min + 1, -1] if info.min else [])]
        return np.where(self.rng.random(shape) < 0.5, self.rng.choice(np.array(edges, dtype), shape), values).astype(dtype)

    def values(self, shape, dtype, special=True):
        if dtype == F:
            return self.floats(shape, special)
        if dtype == H:
            return self.floats(shape).astype(H)
        if dtype == B:
            return np.asarray(self.rng.random(shape) < 0.5)
        return self.integers(shape, dtype)

    def small(self, shape, dtype, low=0, high=60):
        """Counts: what is computed from sizes."""
        return self.integers(shape, dtype, low, high)

    def broadcast(self, count=2):
        """Shapes that broadcast together, ranks up to four, with ones and missing leading axes."""
        full = self.shape(0, 4)
        shapes = []
        for _ in range(count):
            cut = full[self.integer(0, len(full)):] if self.rng.random() < 0.4 else full
            shapes.append(tuple(1 if self.rng.random() < 0.25 else size for size in cut))
        return shapes


#: For each kind of operand: the type, and whether its values are bounded by sizes.
NUMBERS = [(F, False), (I32, False), (I64, False), (I64, True), (I8, False), (U8, False)]
MOVED = [*NUMBERS, (B, False), (H, False)]


def number(draw, shape, dtype, bounded, special=True):
    return draw.small(shape, dtype) if bounded else draw.values(shape, dtype, special)


def bounds(*flags):
    return [place for place, flag in enumerate(flags) if flag]


def elementwise(emit, draws):
    unary = "Acos Acosh Asin Asinh Atan Atanh Cos Cosh Elu Erf Exp Gelu HardSigmoid HardSwish LeakyRelu Log Reciprocal " \
        "Sigmoid Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh Ceil Floor Round".split()
    attributes = {
        "Elu": [{}, {"alpha": 0.5}], "Gelu": [{}, {"approximate": "none"}, {"approximate": "tanh"}],
        "HardSigmoid": [{}, {"alpha": 0.3, "beta": 0.4}], "LeakyRelu": [{}, {"alpha": 0.2}], "Swish": [{}, {"alpha": 0.7}],
    }
    domains = {"Acos": (-1, 1), "Asin": (-1, 1), "Atanh": (-0.99, 0.99), "Acosh": (1, 9), "Log": (1e-6, 50), "Sqrt": (0, 50)}
    for op in unary:
        for attrs in attributes.get(op, [{}]):
            for draw in draws(op, attrs):
                shape = draw.shape()
                x = draw.floats(shape)
                if op in domains:
                    x = np.asarray(draw.rng.uniform(*domains[op], shape), F)
                elif op in ("Ceil", "Floor", "Round", "LeakyRelu", "HardSigmoid", "HardSwish", "Sigmoid", "Tanh", "Erf"):
                    x = np.clip(draw.floats(shape, special=True), -1e6, 1e6).astype(F)
                emit(Case(op, [x], attrs))
    for op in ["Abs", "Neg", "Sign", "Relu"]:
        for dtype, bounded in NUMBERS:
            if dtype == F:
                for draw in draws(op, "specials"):
                    emit(Case(op, [SPECIAL.copy()]))
            if op == "Neg" and dtype == U8:
                continue
            for draw in draws(op, dtype, bounded):
                emit(Case(op, [number(draw, draw.shape(), dtype, bounded)], bounded=bounds(bounded)))
    for draw in draws("Not"):
        emit(Case("Not", [draw.values(draw.shape(), B)]))
    for op in ["IsNaN", "IsInf"]:
        flags = [{}] if op == "IsNaN" else [{}, {"detect_negative": 0}, {"detect_positive": 0}, {"detect_negative": 1, "detect_positive": 1}]
        for attrs in flags:
            for draw in draws(op, attrs):
                x = draw.floats(draw.shape(1, 3))
                x.reshape(-1)[: x.size // 2] = draw.rng.choice(np.array([np.nan, np.inf, -np.inf], F), x.size // 2)
                emit(Case(op, [x], attrs))


def binary(emit, draws):
    for op in ["Add", "Sub", "Mul", "Div", "Max", "Min", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]:
        for dtype, bounded in [*NUMBERS, (B, False)]:
            if dtype == B and op != "Equal":
                continue
            for draw in draws(op, dtype, bounded):
                left, right = draw.broadcast()
                a, b = number(draw, left, dtype, bounded), number(draw, right, dtype, bounded)
                if op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual") and draw.integer(0, 1):
                    b = np.asarray(draw.rng.choice(a.reshape(-1), right) if a.size else b, dtype)
                if dtype == F and op in ("Add", "Sub", "Mul", "Div"):
                    a, b = np.clip(a, -1e6, 1e6), np.clip(b, -1e6, 1e6)
                    if draw.integer(0, 3) == 0:
                        b = np.full(b.shape, draw.pick([0.0, 1.0]), F)
                if op == "Div":
                    b = np.where(b == 0, np.ones_like(b), b).astype(dtype)
                    if dtype != F and not bounded:
                        a = np.where(a == np.iinfo(dtype).min, np.ones_like(a), a).astype(dtype)
                emit(Case(op, [a.astype(dtype), b.astype(dtype)], bounded=bounds(bounded, bounded)))
    for op in ["And", "Or", "Xor"]:
        for draw in draws(op):
            left, right = draw.broadcast()
            emit(Case(op, [draw.values(left, B), draw.values(right, B)]))
    for dtype, bounded in NUMBERS:
        for attrs in [{}, {"fmod": 0}, {"fmod": 1}]:
            if dtype == F and attrs.get("fmod") != 1:
                continue
            for draw in draws("Mod", dtype, bounded, attrs):
                left, right = draw.broadcast()
                a, b = number(draw, left, dtype, bounded, False), number(draw, right, dtype, bounded, False)
                b = np.where(b == 0, np.ones_like(b), b).astype(dtype)
                emit(Case("Mod", [a, b], attrs, bounded=bounds(bounded, bounded)))
    for base, power in [(F, F), (F, I32), (F, I64), (I32, I32), (I64, I64)]:
        for draw in draws("Pow", base, power):
            left, right = draw.broadcast()
            a = draw.floats(left, least=0.1) if base == F else draw.small(left, base, 0, 9)
            b = draw.floats(right, scale=1.5) if power == F else draw.small(right, power, 0, 4)
            if power == F and draw.integer(0, 1):
                a, b = draw.floats(left), np.full(right, draw.pick([2.0, 3.0, 1.0, 0.0, 0.5, -1.0]), F)
                a = np.abs(a) + F(0.1) if b.size and b.reshape(-1)[0] in (0.5,) else a
            emit(Case("Pow", [a, b], bounded=bounds(base == I64, power == I64)))
            if base == I64:
                emit(Case("Pow", [draw.integers(left, I64), b]))
    for draw in draws("PRelu"):
        shape = draw.shape(1, 4)
        slope = tuple(1 if draw.integer(0, 2) == 0 else size for size in shape[draw.integer(0, len(shape)):])
        emit(Case("PRelu", [draw.floats(shape, True).clip(-1e6, 1e6), draw.floats(slope)]))
    for op in ["Max", "Min", "Mean", "Sum"]:
        for count in [1, 3]:
            for draw in draws(op, count):
                emit(Case(op, [draw.floats(shape) for shape in draw.broadcast(count)]))
    for dtype, bounded in MOVED:
        for draw in draws("Where", dtype, bounded):
            condition, left, right = draw.broadcast(3)
            emit(Case("Where", [draw.values(condition, B), number(draw, left, dtype, bounded), number(draw, right, dtype, bounded)],
                      bounded=bounds(False, bounded, bounded)))
    for dtype, bounded in NUMBERS:
        for given in [(True, True), (True, False), (False, True), (False, False)]:
            for draw in draws("Clip", dtype, bounded, given):
                low = draw.small((), dtype, 0, 20) if dtype != F else np.asarray(draw.floats(()))
                high = np.asarray(low + dtype(draw.integer(0, 20)), dtype)
                x = number(draw, draw.shape(), dtype, bounded)
                inputs = [x, low if given[0] else None, high if given[1] else None]
                emit(Case("Clip", inputs, bounded=bounds(bounded, bounded, bounded)))
    for draw in draws("Clip attributes"):
        emit(Case("Clip", [draw.floats(draw.shape(), True)], draw.pick([{}, {"min": -0.5}, {"max": 0.5}, {"min": 0.0, "max": 6.0}])))


def casts(emit, draws):
    import onnx
    kinds = {F: 1, I32: 6, I64: 7, B: 9, U8: 2, I8: 3, H: 10}
    for source, bounded in MOVED:
        for target, code in kinds.items():
            for draw in draws("Cast", source, bounded, target):
                shape = draw.shape()
                x = number(draw, shape, source, bounded, False)
                whole = target not in (F, H, B)
                if source in (F, H) and whole:
                    info = np.iinfo(target)
                    low, high = max(info.min, -(2**40)), min(info.max, 2**40)
                    if target == I32:
                        low, high = -(2**31) + 128, 2**31 - 256
                    x = np.asarray(draw.rng.uniform(low, high, shape), F)
                    if source == H:
                        x = np.asarray(draw.rng.uniform(max(low, -2000), min(high, 2000), shape), H)
                elif source == F and target == B:
                    x = np.asarray(draw.rng.choice(np.array([0.0, -0.0, 0.5, -0.5, 2.0, np.nan, np.inf], F), shape), F)
                elif target == H and source in (F, I32, I64) and not bounded:
                    x = np.asarray(draw.rng.choice(np.array([2049, 100000, -100000, 4097], source), shape), source)
                elif whole and source != B and np.iinfo(target).max < 2**31 - 1 and not bounded and draw.integer(0, 1):
                    x = draw.integers(shape, source, 0, 100)
                if target == H and bounded:
                    x = np.asarray(draw.rng.choice(np.array([2049, 100000], source), shape), source)
                emit(Case("Cast", [x], {"to": code}, bounded=bounds(bounded)))
    for draw in draws("Cast sized"):
        x = draw.small(draw.shape(), I32, 0, 5000).astype(F) + F(draw.pick([0.0, 0.25, 0.5, 0.75]))
        emit(Case("Cast", [x], {"to": kinds[I64]}, bounded=[0]))


def reductions(emit, draws):
    for op in "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare".split():
        for dtype, bounded in NUMBERS[:4] if op not in ("ReduceMax", "ReduceMin") else NUMBERS:
            for keep in [{}, {"keepdims": 0}, {"keepdims": 1}]:
                for form in ["attribute", "input", "none", "empty", "noop"]:
                    for draw in draws(op, dtype, bounded, keep, form):
                        shape = draw.shape(0 if form == "none" else 1, 4)
                        x = draw.floats(shape, scale=1.0) if dtype == F else number(draw, shape, dtype, bounded)
                        if bounded:
                            x = draw.small(shape, dtype, 0, 9 if op != "ReduceProd" else 3)
                        if op == "ReduceLogSum":
                            x = np.abs(x) + dtype(1)
                        axes = np.array(sorted(draw.rng.permutation(len(shape))[: draw.integer(1, max(1, len(shape)))]), I64)
                        axes = axes - len(shape) if draw.integer(0, 1) and form != "none" else axes
                        attrs = dict(keep)
                        if form == "attribute":
                            emit(Case(op, [x], attrs | {"axes": [int(axis) for axis in axes]}, bounded=bounds(bounded)))
                        elif form == "none":
                            emit(Case(op, [x], attrs, bounded=bounds(bounded)))
                        elif form == "input":
                            emit(Case(op, [x, axes], attrs, bounded=bounds(bounded, True)))
                        else:
                            noop = {"noop_with_empty_axes": 1} if form == "noop" else {}
                            emit(Case(op, [x, np.array([], I64)] if draw.integer(0, 1) else [x], attrs | noop, bounded=bounds(bounded, True)))
    for op in ["ArgMax", "ArgMin"]:
        for dtype in (F, I32, I8, U8):
            for attrs in [{}, {"keepdims": 0}, {"keepdims": 1}, {"select_last_index": 1}, {"select_last_index": 0}]:
                for draw in draws(op, dtype, attrs):
                    shape = draw.shape(1, 4)
                    x = draw.integers(shape, I8, 0, 3).astype(dtype)
                    axis = draw.integer(-len(shape), len(shape) - 1)
                    for equal in (np.array([[2, 1, 2], [1, 1, 0]], dtype), np.array([[0, 1, 0], [1, 1, 2]], dtype)):
                        emit(Case(op, [equal], attrs | {"axis": 1}))
                        emit(Case(op, [equal.T.copy()], attrs))
                    emit(Case(op, [x], attrs | draw.pick([{"axis": axis}, {"axis": axis}, {}])))
    for dtype, bounded in NUMBERS[:4]:
        for attrs in [{}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}, {"exclusive": 0, "reverse": 0}]:
            for draw in draws("CumSum", dtype, bounded, attrs):
                shape = draw.shape(1, 4)
                axis = np.asarray(draw.integer(-len(shape), len(shape) - 1), draw.pick([I32, I64]))
                x = draw.floats(shape) if dtype == F else number(draw, shape, dtype, bounded)
                emit(Case("CumSum", [x, axis], attrs, bounded=bounds(bounded, axis.dtype == I64)))
    for dtype, bounded in [(F, False), (I32, False), (I64, False), (I64, True)]:
        for attrs in [{}, {"largest": 0}, {"largest": 1, "sorted": 1}, {"sorted": 0}]:
            for draw in draws("TopK", dtype, bounded, attrs):
                shape = draw.shape(1, 3)
                axis = draw.integer(-len(shape), len(shape) - 1)
                x = draw.integers(shape, I8, 0, 4).astype(dtype) if draw.integer(0, 1) else number(draw, shape, dtype, bounded, False)
                k = np.array([draw.integer(0, shape[axis])], I64)
                emit(Case("TopK", [x, k], attrs | {"axis": axis}, outputs=2, bounded=bounds(bounded, True)))
                emit(Case("TopK", [x, np.array([draw.integer(0, shape[-1])], I64)], attrs, outputs=2, bounded=bounds(bounded, True)))
    for op in ["Softmax", "LogSoftmax", "LpNormalization"]:
        for attrs in [{}, {"axis": None}]:
            for p in ([{}, {"p": 1}, {"p": 2}] if op == "LpNormalization" else [{}]):
                for draw in draws(op, attrs, p):
                    shape = draw.shape(1, 4)
                    axis = {"axis": draw.integer(-len(shape), len(shape) - 1)} if attrs else {}
                    emit(Case(op, [draw.floats(shape)], axis | p))


def movement(emit, draws):
    for dtype, bounded in MOVED:
        kind = (dtype, bounded)

        def x(draw, shape):
            return number(draw, shape, dtype, bounded)

        def one(*more):
            return bounds(bounded, *more)

        for draw in draws("Identity", kind):
            emit(Case("Identity", [x(draw, draw.shape())], bounded=one()))
        for draw in draws("Transpose", kind):
            shape = draw.shape(0, 5)
            attrs = draw.pick([{}, {"perm": [int(axis) for axis in draw.rng.permutation(len(shape))]}]) if shape else {}
            emit(Case("Transpose", [x(draw, shape)], attrs, bounded=one()))
        for zero in [{}, {"allowzero": 0}, {"allowzero": 1}]:
            for draw in draws("Reshape", kind, zero):
                shape = draw.shape(0, 4)
                count = int(np.prod(shape, dtype=int))
                target = [list(shape)[::-1], [-1], [count], [1, count], [count, -1], [0, -1] if shape else [-1]]
                target = draw.pick(target)
                if zero.get("allowzero") == 1 and 0 in target:
                    target = [-1]
                emit(Case("Reshape", [x(draw, shape), np.array(target, I64)], zero, bounded=one(True)))
        for draw in draws("Expand", kind):
            left, right = draw.broadcast()
            emit(Case("Expand", [x(draw, left), np.array(right, I64)], bounded=one(True)))
        for draw in draws("Flatten", kind):
            shape = draw.shape(0, 4)
            emit(Case("Flatten", [x(draw, shape)], draw.pick([{}, {"axis": draw.integer(-len(shape), len(shape))}]) if len(shape) else {"axis": 0}, bounded=one()))
        for op in ["Squeeze", "Unsqueeze"]:
            for form in ["attribute", "input", "none"]:
                if op == "Unsqueeze" and form == "none":
                    continue
                for draw in draws(op, kind, form):
                    shape = list(draw.shape(0, 3, least=2))
                    rank = draw.integer(1, 2)
                    places = sorted(int(place) for place in draw.rng.permutation(len(shape) + rank)[:rank])
                    full = list(shape)
                    for place in places:
                        full.insert(place, 1)
                    if draw.integer(0, 1):
                        places = [place - len(full) for place in places]
                    given = full if op == "Squeeze" else shape
                    value = x(draw, tuple(given))
                    if form == "attribute":
                        emit(Case(op, [value], {"axes": places}, bounded=one()))
                    elif form == "input":
                        emit(Case(op, [value, np.array(places, I64)], bounded=one(True)))
                    else:
                        emit(Case(op, [value], bounded=one()))
        for count in [1, 2, 3]:
            for draw in draws("Concat", kind, count):
                shape = list(draw.shape(1, 4))
                axis = draw.integer(-len(shape), len(shape) - 1)
                values = []
                for _ in range(count):
                    part = list(shape)
                    part[axis] = draw.integer(0, 4)
                    values.append(x(draw, tuple(part)))
                emit(Case("Concat", values, {"axis": axis}, bounded=one(*[bounded] * (count - 1))))
        for index in (I32, I64):
            for many in (False, True):
                for draw in draws("Gather", kind, index, many):
                    shape = draw.shape(1, 4)
                    axis = draw.integer(-len(shape), len(shape) - 1)
                    places = draw.integers(draw.shape(0, 2), index, -shape[axis], shape[axis] - 1)
                    emit(Case("Gather", [x(draw, shape), places], draw.pick([{"axis": axis}, {"axis": axis}]), bounded=one(many)))
                    emit(Case("Gather", [x(draw, shape), places % shape[0]], bounded=one(many)))
            for draw in draws("GatherElements", kind, index):
                shape = draw.shape(1, 3)
                axis = draw.integer(-len(shape), len(shape) - 1)
                places = draw.integers(tuple(draw.integer(1, size) for size in shape), index, -shape[axis], shape[axis] - 1)
                emit(Case("GatherElements", [x(draw, shape), places], {"axis": axis}, bounded=one()))
                emit(Case("GatherElements", [x(draw, shape), places], {"axis": axis}, bounded=one(True)))
        for attrs in [{}, {"batch_dims": 0}, {"batch_dims": 1}]:
            for draw in draws("GatherND", kind, attrs):
                shape = draw.shape(2, 4)
                batch = attrs.get("batch_dims", 0)
                depth = draw.integer(1, len(shape) - batch)
                lead = (shape[0],) if batch else draw.shape(0, 2)
                places = np.stack([draw.integers(lead, I64, -shape[batch + axis], shape[batch + axis] - 1) for axis in range(depth)], -1)
                emit(Case("GatherND", [x(draw, shape), places], attrs, bounded=one()))
                emit(Case("GatherND", [x(draw, shape), places], attrs, bounded=one(True)))
        for form, index in [(2, I64), (3, I64), (4, I64), (3, I32), (4, I32)]:
            for draw in draws("Slice", kind, form, index):
                shape = draw.shape(1, 4)
                count = draw.integer(1, len(shape))
                axes = np.array(sorted(draw.rng.permutation(len(shape))[:count]), I64) if form > 2 else np.arange(count)
                steps = draw.integers((count,), I64, 1, 3) * (draw.pick([-1, 1]) if form == 4 else 1)
                big = draw.pick([2**31 - 1, 2**63 - 1, 2**63 - 1, 1000] if index == I64 else [2**31 - 1, 1000])
                starts = draw.integers((count,), I64, -6, 6)
                ends = draw.integers((count,), I64, -6, 6)
                if draw.integer(0, 1):
                    starts = np.where(steps > 0, 0, -1) if form == 4 else np.zeros(count, I64)
                    ends = np.where(steps > 0, big, -(2**31 - 1) if big < 2**32 else -(2**63)) if form == 4 else np.full(count, big, I64)
                named = axes if draw.integer(0, 1) else axes - len(shape)
                inputs = [x(draw, shape), starts.astype(index), ends.astype(index)]
                inputs += [named.astype(index)] if form > 2 else []
                inputs += [steps.astype(index)] if form == 4 else []
                emit(Case("Slice", inputs, bounded=one(True, True, True, True)))
                if np.abs(ends).max() < 2**31:
                    emit(Case("Slice", inputs, bounded=one()))
        for form in ["even", "sizes", "attribute", "num_outputs"]:
            for draw in draws("Split", kind, form):
                shape = list(draw.shape(1, 3))
                axis = draw.integer(-len(shape), len(shape) - 1)
                parts = draw.integer(1, 3)
                sizes = [draw.integer(0, 3) for _ in range(parts)]
                attrs = {"axis": axis}
                if form in ("even", "num_outputs"):
                    shape[axis] = parts * draw.integer(1, 2) + (draw.integer(0, 1) if form == "num_outputs" and parts > 1 else 0)
                    attrs |= {"num_outputs": parts} if form == "num_outputs" else {}
                else:
                    shape[axis] = sum(sizes)
                value = x(draw, tuple(shape))
                inputs = [value, np.array(sizes, I64)] if form == "sizes" else [value]
                attrs |= {"split": sizes} if form == "attribute" else {}
                emit(Case("Split", inputs, attrs, outputs=parts, bounded=one(True)))
        for draw in draws("Tile", kind):
            shape = draw.shape(0, 4)
            emit(Case("Tile", [x(draw, shape), draw.integers((len(shape),), I64, 0, 3)], bounded=one(True)))
        for upper in [{}, {"upper": 0}, {"upper": 1}]:
            for draw in draws("Trilu", kind, upper):
                shape = draw.shape(2, 4)
                k = [np.asarray(draw.integer(-4, 4), I64)] if draw.integer(0, 1) else []
                emit(Case("Trilu", [x(draw, shape), *k], upper, bounded=one(True)))
        for mode in [{}, {"mode": "constant"}, {"mode": "reflect"}, {"mode": "edge"}, {"mode": "wrap"}]:
            for form in ["input", "value", "axes", "attribute"]:
                for draw in draws("Pad", kind, mode, form):
                    shape = draw.shape(1, 4, least=3)
                    pads = draw.integers((2 * len(shape),), I64, 0, 2)
                    value = x(draw, shape)
                    fill = np.asarray(number(draw, (), dtype, bounded))
                    if form == "attribute":
                        emit(Case("Pad", [value], mode | {"pads": [int(pad) for pad in pads]} | draw.pick([{}, {"value": 1.5}])))
                    elif form == "input":
                        emit(Case("Pad", [value, pads], mode, bounded=one(True)))
                    elif form == "value":
                        emit(Case("Pad", [value, pads, fill], mode, bounded=one(True, bounded)))
                    else:
                        axes = np.arange(len(shape), dtype=I64)
                        emit(Case("Pad", [value, pads, fill if draw.integer(0, 1) else None, axes], mode, bounded=one(True, bounded, True)))
        for attrs in [{}, {"mode": "DCR"}, {"mode": "CRD"}]:
            for draw in draws("DepthToSpace", kind, attrs):
                emit(Case("DepthToSpace", [x(draw, (draw.integer(1, 2), 4 * draw.integer(1, 2), draw.integer(1, 3), draw.integer(1, 3)))], attrs | {"blocksize": 2}, bounded=one()))
        for attrs in [{}, {"start": 1}, {"end": -1}, {"start": 0, "end": 2}]:
            for draw in draws("Shape", kind, attrs):
                emit(Case("Shape", [x(draw, draw.shape(0, 5, least=0))], attrs, bounded=one()))
        for draw in draws("Size", kind):
            emit(Case("Size", [x(draw, draw.shape(0, 5, least=0))], bounded=one()))
        for draw in draws("NonZero", kind):
            value = x(draw, draw.shape(1, 3))
            value = np.where(draw.values(value.shape, B), value, np.zeros_like(value)).astype(dtype)
            emit(Case("NonZero", [value], bounded=one()))
        for op in ["Scatter", "ScatterElements"]:
            for reduction in [{}, {"reduction": "none"}, {"reduction": "add"}, {"reduction": "mul"}, {"reduction": "max"}, {"reduction": "min"}]:
                if op == "Scatter" and reduction:
                    continue
                for index in (I32, I64):
                    for draw in draws(op, kind, reduction, index):
                        shape = draw.shape(1, 3)
                        axis = draw.integer(-len(shape), len(shape) - 1)
                        part = list(shape)
                        part[axis] = draw.integer(1, shape[axis])
                        places = np.argsort(draw.rng.random(shape), axis=axis).astype(index)
                        places = places[tuple(slice(0, size) for size in part)]
                        emit(Case(op, [x(draw, shape), places, x(draw, tuple(part))], reduction | {"axis": axis}, bounded=one(index == I64 and bool(draw.integer(0, 1)), bounded)))
        for reduction in [{}, {"reduction": "none"}, {"reduction": "add"}, {"reduction": "mul"}]:
            for draw in draws("ScatterND", kind, reduction):
                shape = draw.shape(1, 3)
                depth = draw.integer(1, len(shape))
                cells = int(np.prod(shape[:depth], dtype=int))
                chosen = draw.rng.permutation(cells)[: draw.integer(1, cells)]
                places = np.stack(np.unravel_index(chosen, shape[:depth]), -1).astype(I64)
                emit(Case("ScatterND", [x(draw, shape), places, x(draw, (len(chosen), *shape[depth:]))], reduction, bounded=one(bool(draw.integer(0, 1)), bounded)))
        for draw in draws("ReverseSequence", kind):
            shape = draw.shape(2, 3)
            batch = draw.pick([{"batch_axis": 0, "time_axis": 1}, {"batch_axis": 1, "time_axis": 0}, {}])
            rows, steps = (shape[0], shape[1]) if batch.get("batch_axis") == 0 else (shape[1], shape[0])
            emit(Case("ReverseSequence", [x(draw, shape), draw.integers((rows,), I64, 1, steps)], batch, bounded=one(bool(draw.integer(0, 1)))))
    for dtype, bounded in NUMBERS[:4]:
        for draw in draws("Range", dtype, bounded):
            low, high, step = (np.asarray(draw.integer(*ends), dtype) for ends in [(-3, 3), (4, 12), (1, 3)])
            emit(Case("Range", [low, high, step], bounded=bounds(bounded, bounded, bounded)))
    for dtype in (F, I32, I64, B, U8, I8):
        from onnx import numpy_helper
        for draw in draws("ConstantOfShape", dtype):
            fill = numpy_helper.from_array(np.array([draw.pick([0, 1, 2])], dtype))
            emit(Case("ConstantOfShape", [np.array(draw.shape(0, 4, least=0), I64)], {"value": fill}, bounded=[0]))
    for draw in draws("ConstantOfShape plain"):
        emit(Case("ConstantOfShape", [np.array(draw.shape(0, 4, least=0), I64)], bounded=[0]))
    for dtype in (F, I32, I64):
        for attrs in [{}, {"dtype": 1}, {"dtype": 7}, {"k": 1}, {"k": -1}]:
            for draw in draws("EyeLike", dtype, attrs):
                emit(Case("EyeLike", [draw.values(draw.shape(2, 2), dtype)], attrs))
    for index in (I32, I64, F):
        for value in (F, I32, I64):
            for draw in draws("OneHot", index, value):
                depth = draw.integer(1, 5)
                places = draw.integers(draw.shape(0, 3), I32, -depth - 1, depth).astype(index)
                attrs = draw.pick([{}, {"axis": -1}, {"axis": 0}])
                emit(Case("OneHot", [places, np.asarray(depth, draw.pick([I32, I64, F])), np.array([draw.integer(0, 3), draw.integer(4, 9)], value)], attrs))


def linear(emit, draws):
    ranks = [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((1, 3, 4), (2, 4, 5)), ((4,), (4, 5)), ((3, 4), (4,)),
             ((4,), (4,)), ((2, 3, 4), (4,)), ((4,), (2, 4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (3, 4, 5)), ((1, 4), (4, 1))]
    for left, right in ranks:
        for draw in draws("MatMul", left, right):
            emit(Case("MatMul", [draw.floats(left), draw.floats(right)]))
    for a in (U8, I8):
        for b in (U8, I8):
            for zeros in ["none", "a", "both", "vector", "of one"]:
                for left, right in [((3, 8), (8, 5)), ((2, 3, 8), (8, 5)), ((2, 3, 8), (2, 8, 5)), ((8,), (8, 5))]:
                    for draw in draws("MatMulInteger", a, b, zeros, left, right):
                        x, w = draw.integers(left, a, 0 if a == U8 else -60, 60), draw.integers(right, b, 0 if b == U8 else -60, 60)
                        za, zb = np.asarray(draw.integers((), a, 0, 9)), np.asarray(draw.integers((), b, 0, 9))
                        more = {"none": [], "a": [za], "both": [za, zb], "vector": [za, draw.integers((5,), b, 0, 9)], "of one": [za.reshape(1), zb.reshape(1)]}[zeros]
                        emit(Case("MatMulInteger", [x, w, *more], exact=True))
    for flags in [{}, {"transA": 1}, {"transB": 1}, {"transA": 1, "transB": 1}, {"transA": 0, "transB": 0}, {"transA": 0, "transB": 1}, {"transA": 1, "transB": 0}]:
        for scaled in [{}, {"alpha": 0.5}, {"beta": 0.25}, {"alpha": 1.0, "beta": 1.0}, {"alpha": 0.5, "beta": 0.25}]:
            for bias in [None, (5,), (1, 5), (3, 5), (3, 1), (1,), (), (1, 1)]:
                for draw in draws("Gemm", flags, scaled, bias):
                    a = draw.floats((4, 3) if flags.get("transA") else (3, 4))
                    b = draw.floats((5, 4) if flags.get("transB") else (4, 5))
                    emit(Case("Gemm", [a, b] + ([draw.floats(bias)] if bias is not None else []), flags | scaled))


def spatial(draw, space, least):
    return [draw.integer(least, least + 4) for _ in range(space)]


def window(draw, space, kernel, pad_style, stride_style, dilation_style):
    """Attributes of a window over an input, and the smallest input that it fits in."""
    attrs = {}
    strides = [draw.integer(1, 3) for _ in range(space)] if stride_style == "some" else [1] * space
    dilations = [draw.integer(1, 2) for _ in range(space)] if dilation_style == "some" else [1] * space
    if stride_style != "absent":
        attrs["strides"] = strides
    if dilation_style != "absent":
        attrs["dilations"] = dilations
    if pad_style == "some":
        attrs["pads"] = [draw.integer(0, max(0, (size - 1))) for size in [*kernel, *kernel]]
    elif pad_style == "zero":
        attrs["pads"] = [0] * (2 * space)
    elif pad_style != "absent":
        attrs["auto_pad"] = pad_style
    return attrs, max((size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations))


PADS = ["absent", "zero", "some", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]


def convolutions(emit, draws):
    for space in (1, 2, 3):
        for pads in PADS:
            for strides in ("absent", "one", "some"):
                for dilations in ("absent", "one", "some"):
                    for group in ("absent", "one", "some", "depthwise"):
                        for named in (True, False):
                            for draw in draws("Conv", space, pads, strides, dilations, group, named):
                                kernel = [draw.integer(1, 3) for _ in range(space)]
                                attrs, least = window(draw, space, kernel, pads, strides, dilations)
                                groups = {"absent": 1, "one": 1, "some": 2, "depthwise": 3}[group]
                                channels, filters = groups * (1 if group == "depthwise" else draw.integer(1, 2)), groups * draw.integer(1, 2)
                                attrs |= {} if group == "absent" else {"group": groups}
                                attrs |= {"kernel_shape": kernel} if named else {}
                                x = draw.floats((draw.integer(1, 2), channels, *spatial(draw, space, least)))
                                w = draw.floats((filters, channels // groups, *kernel))
                                bias = [draw.floats((filters,))] if draw.integer(0, 1) else []
                                emit(Case("Conv", [x, w, *bias], attrs))
    for space in (1, 2, 3):
        for pads in PADS:
            for strides in ("absent", "one", "some"):
                for more in ({}, {"output_padding": None}, {"dilations": None}, {"output_shape": None}):
                    for group in ("absent", "one", "some"):
                        for draw in draws("ConvTranspose", space, pads, strides, tuple(more), group):
                            kernel = [draw.integer(1, 3) for _ in range(space)]
                            attrs, _ = window(draw, space, kernel, pads, strides, "one" if draw.integer(0, 1) else "absent")
                            attrs.pop("dilations", None)
                            if "output_padding" in more:
                                attrs["output_padding"] = [draw.integer(0, max(0, attrs.get("strides", [1] * space)[axis] - 1)) for axis in range(space)]
                            if "dilations" in more:
                                attrs["dilations"] = draw.pick([[1] * space, [2] * space])
                            groups = 2 if group == "some" else 1
                            attrs |= {} if group == "absent" else {"group": groups}
                            size = spatial(draw, space, 3)
                            if "output_shape" in more:
                                attrs["output_shape"] = [extent + 1 for extent in size]
                            channels, filters = 2 * groups, draw.integer(1, 2)
                            attrs |= {"kernel_shape": kernel} if draw.integer(0, 1) else {}
                            inputs = [draw.floats((1, channels, *size)), draw.floats((channels, filters, *kernel))]
                            inputs += [draw.floats((filters * groups,))] if draw.integer(0, 1) else []
                            emit(Case("ConvTranspose", inputs, attrs))
    for a in (U8,):
        for b in (U8, I8):
            for zeros in ["none", "a", "both", "vector"]:
                for pads in ("absent", "zero", "some"):
                    for kernel in ([1, 1], [3, 3]):
                        for group in ("absent", "one", "some"):
                            for strides in ("absent", "one", "some"):
                                for draw in draws("ConvInteger", a, b, zeros, pads, tuple(kernel), group, strides):
                                    attrs, least = window(draw, 2, kernel, pads, strides, "absent" if draw.integer(0, 1) else "one")
                                    attrs |= {"kernel_shape": kernel}
                                    groups = 2 if group == "some" else 1
                                    attrs |= {} if group == "absent" else {"group": groups}
                                    x = draw.integers((draw.integer(1, 2), 2 * groups, *spatial(draw, 2, least)), a, 0, 60)
                                    w = draw.integers((2 * groups, 2, *kernel), b, 0 if b == U8 else -60, 60)
                                    za, zb = np.asarray(draw.integers((), a, 1, 9)), np.asarray(draw.integers((), b, 0, 9))
                                    more = {"none": [], "a": [za], "both": [za, zb], "vector": [za, draw.integers((2 * groups,), b, 0, 9)]}[zeros]
                                    emit(Case("ConvInteger", [x, w, *more], attrs, exact=True))


def pools(emit, draws):
    for op in ("MaxPool", "AveragePool"):
        for space in (1, 2, 3):
            for pads in PADS:
                for strides in ("absent", "one", "some"):
                    for ceil in ({}, {"ceil_mode": 0}, {"ceil_mode": 1}):
                        extras = [{}, {"dilations": None}, {"storage_order": 0}, {"storage_order": 1}] if op == "MaxPool" else [{}, {"count_include_pad": 0}, {"count_include_pad": 1}, {"dilations": None}]
                        for extra in extras:
                            for draw in draws(op, space, pads, strides, ceil, tuple(extra.items())):
                                kernel = [draw.integer(1, 3) for _ in range(space)]
                                attrs, least = window(draw, space, kernel, pads, strides, "absent")
                                if "dilations" in extra:
                                    extra = {"dilations": draw.pick([[1] * space, [2] * space])}
                                    least = max(least, 2 * max(kernel))
                                x = draw.floats((draw.integer(1, 2), draw.integer(1, 3), *spatial(draw, space, least + 1)))
                                emit(Case(op, [x], attrs | ceil | extra | {"kernel_shape": kernel}, outputs=1))
    for draw in draws("MaxPool indices"):
        emit(Case("MaxPool", [draw.floats((1, 2, 6, 6))], {"kernel_shape": [2, 2], "strides": [2, 2]}, outputs=2))
    for dtype in (U8, I8):
        for draw in draws("MaxPool bytes", dtype):
            emit(Case("MaxPool", [draw.integers((1, 2, 6, 6), dtype)], {"kernel_shape": [2, 2], "strides": [2, 2]}))
    for op in ("GlobalAveragePool", "GlobalMaxPool"):
        for draw in draws(op):
            emit(Case(op, [draw.floats((draw.integer(1, 2), draw.integer(1, 3), *spatial(draw, draw.integer(1, 3), 1)))]))


def norms(emit, draws):
    for more in ({}, {"epsilon": 1e-3}, {"momentum": 0.8}, {"epsilon": 1e-3, "momentum": 0.9}, {"training_mode": 0}, {"epsilon": 1e-3, "momentum": 0.9, "training_mode": 0}, {"training_mode": 1}):
        for draw in draws("BatchNormalization", more):
            shape = (draw.integer(1, 3), draw.integer(1, 4), *spatial(draw, draw.integer(0, 3), 1))
            channels = (shape[1],)
            emit(Case("BatchNormalization", [draw.floats(shape), draw.floats(channels), draw.floats(channels), draw.floats(channels), draw.floats(channels, least=0.1)], more))
    for more in ({}, {"epsilon": 1e-3}):
        for draw in draws("InstanceNormalization", more):
            shape = (draw.integer(1, 3), draw.integer(1, 4), *spatial(draw, draw.integer(1, 3), 2))
            emit(Case("InstanceNormalization", [draw.floats(shape), draw.floats((shape[1],)), draw.floats((shape[1],))], more))
    for op in ("LayerNormalization", "RMSNormalization"):
        for axis in ({}, {"axis": -1}, {"axis": None}):
            for more in ({}, {"epsilon": 1e-3}, {"stash_type": 1}, {"epsilon": 1e-3, "stash_type": 1}):
                for bias in (False, True) if op == "LayerNormalization" else (False,):
                    for outputs in (1, 3) if op == "LayerNormalization" else (1,):
                        for draw in draws(op, axis, more, bias, outputs):
                            shape = draw.shape(1, 4, least=2)
                            place = -1 if axis.get("axis", -1) == -1 else draw.integer(-len(shape), len(shape) - 1)
                            normalized = shape[place:] if place < 0 else shape[place:]
                            attrs = ({"axis": place} if axis else {}) | more
                            inputs = [draw.floats(shape), draw.floats(normalized)] + ([draw.floats(normalized)] if bias else [])
                            emit(Case(op, inputs, attrs, outputs=outputs))


def recurrent(emit, draws):
    for op, gates in (("LSTM", 4), ("GRU", 3)):
        for direction in ({}, {"direction": "forward"}, {"direction": "reverse"}, {"direction": "bidirectional"}):
            for more in ({}, {"linear_before_reset": 0}, {"linear_before_reset": 1}, {"layout": 0}, {"layout": 1}, {"clip": 1.0}, {"input_forget": 0}):
                if ("linear_before_reset" in more and op == "LSTM") or ("input_forget" in more and op == "GRU"):
                    continue
                for given in ("", "b", "bh", "bl", "h", "bhp", "bc"):
                    if op == "GRU" and ("p" in given or "c" in given):
                        continue
                    for draw in draws(op, direction, more, given):
                        ways = 2 if direction.get("direction") == "bidirectional" else 1
                        steps, rows, inputs, hidden = draw.integer(1, 4), draw.integer(1, 3), draw.integer(1, 4), draw.integer(1, 4)
                        swap = more.get("layout") == 1
                        x = draw.floats((rows, steps, inputs) if swap else (steps, rows, inputs), scale=1)
                        state = (rows, ways, hidden) if swap else (ways, rows, hidden)
                        values = [x, draw.floats((ways, gates * hidden, inputs), scale=0.5), draw.floats((ways, gates * hidden, hidden), scale=0.5)]
                        values.append(draw.floats((ways, 2 * gates * hidden), scale=0.5) if "b" in given else None)
                        values.append(draw.integers((rows,), I32, 1, steps) if "l" in given else None)
                        values.append(draw.floats(state) if "h" in given else None)
                        if op == "LSTM":
                            values.append(draw.floats(state) if "h" in given or "c" in given else None)
                            values.append(draw.floats((ways, 3 * hidden)) if "p" in given else None)
                        emit(Case(op, values, direction | more | {"hidden_size": hidden}, outputs=3 if op == "LSTM" else 2))


def quantization(emit, draws):
    for target in (U8, I8):
        for per, axis in (("tensor", {}), ("tensor", {"axis": 1}), ("channel", {}), ("channel", {"axis": None}), ("of one", {})):
            for zero in (True, False):
                for draw in draws("QuantizeLinear", target, per, tuple(axis), zero):
                    shape = draw.shape(2 if per == "channel" else 1, 4)
                    place = 1 if "axis" not in axis or axis["axis"] == 1 else draw.integer(-len(shape), len(shape) - 1)
                    attrs = {"axis": place} if axis else {}
                    if per == "tensor" and len(shape) < 2:
                        attrs = {}
                    size = (shape[place],) if per == "channel" else ((1,) if per == "of one" else ())
                    scale = draw.floats(size, least=0.05)
                    zeros = [np.asarray(draw.integers(size, target, 0, 40))] if zero else []
                    low = 0 if target == U8 else -128
                    if not zero and target == I8:
                        continue
                    near = np.asarray(draw.integers(shape, I32, -90, 90) * 0.5, F) * np.mean(scale, dtype=F)
                    emit(Case("QuantizeLinear", [draw.pick([draw.floats(shape), near.astype(F)]), scale, *zeros], attrs, exact=True))
                    q = draw.integers(shape, target)
                    emit(Case("DequantizeLinear", [q, scale, *zeros], attrs))
    for draw in draws("DequantizeLinear i32"):
        emit(Case("DequantizeLinear", [draw.integers(draw.shape(1, 3), I32, -5000, 5000), np.asarray(draw.floats((), least=0.01))]))
        shape = draw.shape(2, 3)
        emit(Case("DequantizeLinear", [draw.integers(shape, I32, -5000, 5000), draw.floats((shape[0],), least=0.01)], {"axis": 0}))
    for draw in draws("DynamicQuantizeLinear"):
        emit(Case("DynamicQuantizeLinear", [draw.floats(draw.shape(1, 3))], outputs=3, exact=True))
        halves = np.asarray(draw.integers(draw.shape(1, 3), I32, -200, 300) * 0.5, F) * F(draw.pick([0.01, 0.03, 0.1, 1.0]))
        emit(Case("DynamicQuantizeLinear", [halves], outputs=3, exact=True))


def vision(emit, draws):
    for mode in ({}, {"mode": "nearest"}, {"mode": "linear"}, {"mode": "cubic"}):
        for place in ({}, {"coordinate_transformation_mode": "half_pixel"}, {"coordinate_transformation_mode": "asymmetric"},
                      {"coordinate_transformation_mode": "align_corners"}, {"coordinate_transformation_mode": "pytorch_half_pixel"}):
            for near in ({}, {"nearest_mode": "floor"}, {"nearest_mode": "ceil"}, {"nearest_mode": "round_prefer_floor"}, {"nearest_mode": "round_prefer_ceil"}, {"cubic_coeff_a": -0.75}, {"cubic_coeff_a": -0.75, "nearest_mode": "floor"}):
                for by in ("scales", "sizes"):
                    # Whose corners are aligned where scales give no whole size, ONNX's cases and its engines see differently.
                    if by == "scales" and place.get("coordinate_transformation_mode") == "align_corners":
                        continue
                    for rank in (3, 4):
                        for draw in draws("Resize", mode, place, tuple(near.items()), by, rank):
                            shape = (1, draw.integer(1, 2), *[draw.integer(2, 5) for _ in range(rank - 2)])
                            sizes = np.array([*shape[:2], *[draw.integer(1, 9) for _ in shape[2:]]], I64)
                            x = draw.floats(shape)
                            if by == "sizes":
                                inputs = [x, None, None, sizes]
                            else:
                                inputs = [x, None, np.array([1, 1, *[draw.pick([0.5, 1.0, 2.0, 1.5, 3.0]) for _ in shape[2:]]], F)]
                            emit(Case("Resize", inputs, mode | place | near, bounded=[3]))
    for mode in ({}, {"mode": "nearest"}, {"mode": "linear"}):
        for draw in draws("Upsample", mode):
            emit(Case("Upsample", [draw.floats((1, 2, 3, 4)), np.array([1, 1, draw.pick([1, 2, 3]), 2], F)], mode))
    for attrs in ({}, {"align_corners": 0}, {"align_corners": 1}, {"mode": "bilinear", "padding_mode": "zeros", "align_corners": 1}, {"mode": "linear", "padding_mode": "zeros"}, {"mode": "bilinear", "padding_mode": "zeros", "align_corners": 0}):
        for draw in draws("GridSample", attrs):
            emit(Case("GridSample", [draw.floats((1, 2, 4, 5)), np.asarray(draw.rng.uniform(-1.2, 1.2, (1, 3, 4, 2)), F)], attrs))
    for classes in (1, 3):
        for attrs in ({}, {"center_point_box": 0}, {"center_point_box": 1}):
            for draw in draws("NonMaxSuppression", classes, attrs):
                count = draw.integer(1, 6)
                corner = draw.rng.uniform(0, 1, (1, count, 2))
                boxes = np.concatenate([corner, corner + draw.rng.uniform(0.1, 0.6, (1, count, 2))], -1).astype(F)
                inputs = [boxes, np.asarray(draw.rng.random((1, classes, count)), F), np.array([draw.integer(1, 5)], I64), np.array([0.5], F), np.array([0.1], F)]
                emit(Case("NonMaxSuppression", inputs, attrs, bounded=[2]))
    equations = ["ij,jk->ik", "bij,bjk->bik", "bhqd,bhkd->bhqk", "bhqk,bhkd->bhqd", "bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd", "ij->ji", "ii->i", "ij->i", "i,i->", "i,j->ij", "bij,jk->bik", "bnm,bm->bn", "...ij,...jk->...ik", "ij,ij->ij", "bid,jd->bij"]
    for equation in equations:
        for draw in draws("Einsum", equation):
            extents = {letter: draw.integer(1, 4) for letter in "abcdefghijklmnopqrstuvwxyz"}
            operands = equation.split("->")[0].split(",")
            shapes = [tuple([2] if "..." in operand else []) + tuple(extents[letter] for letter in operand.replace("...", "")) for operand in operands]
            emit(Case("Einsum", [draw.floats(shape) for shape in shapes], {"equation": equation}))
    for attrs in ({}, {"seed": 1}):
        for draw in draws("Dropout", attrs):
            emit(Case("Dropout", [draw.floats(draw.shape())], attrs))
            emit(Case("Dropout", [draw.floats(draw.shape())], {"ratio": 0.5}))


def contrib(emit, draws):
    domain = "com.microsoft"
    for op in ("Gelu", "FastGelu", "QuickGelu"):
        for draw in draws(op, domain):
            emit(Case(op, [draw.floats(draw.shape(1, 3))], domain=domain))
            if op == "QuickGelu":
                emit(Case(op, [draw.floats(draw.shape(1, 3))], {"alpha": 1.5}, domain=domain))
    for draw in draws("BiasGelu"):
        shape = draw.shape(1, 3)
        emit(Case("BiasGelu", [draw.floats(shape), draw.floats((shape[-1],))], domain=domain))
    for draw in draws("FastGelu bias"):
        shape = draw.shape(1, 3)
        emit(Case("FastGelu", [draw.floats(shape), draw.floats((shape[-1],))], domain=domain))
    for op in ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"):
        for bias in (0, 1, 2):
            for draw in draws(op, bias):
                shape = draw.shape(3, 3, least=2)
                width = (shape[-1],)
                more = [draw.floats(width) for _ in range(bias)]
                inputs = [draw.floats(shape), draw.floats(shape), draw.floats(width), *(more[: 1 if op != "SkipLayerNormalization" else 2])]
                emit(Case(op, inputs, {"epsilon": 1e-5}, domain=domain))
    for level in ({}, {"accuracy_level": 0}, {"accuracy_level": 1}, {"accuracy_level": 4}):
        for block in (16, 32, 64, 128):
            for zero in (False, True):
                for draw in draws("MatMulNBits", level, block, zero):
                    k, n = block * draw.integer(1, 3), 8 * draw.integer(1, 2)
                    inputs = [draw.floats((*draw.pick([(1,), (3,), (2, 3)]), k)), draw.integers((n, k // block, block // 2), U8), draw.floats((n * (k // block),), least=0.05)]
                    inputs += [draw.integers((n * ((k // block + 1) // 2),), U8)] if zero else []
                    loose = level.get("accuracy_level") == 4
                    emit(Case("MatMulNBits", inputs, level | {"bits": 4, "block_size": block, "K": k, "N": n}, domain=domain, rtol=0.05 if loose else 1e-3, atol=0.5 if loose else 1e-3))


KINDS = [elementwise, binary, casts, reductions, movement, linear, convolutions, pools, norms, recurrent, quantization, vision, contrib]
