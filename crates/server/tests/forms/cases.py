"""Writes cases for engines as JSON lines: ONNX's own node cases, or models of one node with inputs drawn at random.

Usage: cases.py node OUTPUT
       cases.py versions OUTPUT     (no cases: the operator sets in which the definition of each operator came)
       cases.py drawn OUTPUT [--samples N] [--first N] [--operators Op ...]

A case is one line: name, model (base64 of a ModelProto), inputs and outputs (name to base64 of a TensorProto, or null for
what is no tensor), rtol, atol, exact, bounded (inputs whose integers are computed from sizes), random (no two runs agree).
Outputs of drawn cases are those of ONNX Runtime without its optimizer, or of onnx.reference where ONNX Runtime has no answer.
Where they disagree, ONNX Runtime's count, and how often that was is printed.
"""

import argparse
import base64
import collections
import hashlib
import json
import multiprocessing
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import chains
import nodes

#: Operator sets that are looked through for versions of operators; what came before is older than any exporter in use.
OPSETS = range(7, onnx.defs.onnx_opset_version() + 1)
#: The highest operator set of the ONNX Runtime at hand.
RUNTIME_OPSET = 26


def encoded(message):
    return base64.b64encode(message.SerializeToString()).decode()


def tensor(value):
    """A TensorProto of an array; None for what is no tensor."""
    if isinstance(value, TensorProto):
        value = numpy_helper.to_array(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return encoded(numpy_helper.from_array(np.asarray(value)))
    return None


def line(name, model, inputs, outputs, **more):
    fields = {"rtol": 1e-4, "atol": 1e-5, "exact": False, "bounded": [], "random": False} | more
    return json.dumps({"name": name, "model": encoded(model), "inputs": inputs, "outputs": outputs} | fields)


def node_cases():
    from onnx.backend.test.case.node import collect_testcases

    random = {"Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Dropout"}
    for case in collect_testcases(None):
        graph = case.model.graph
        (inputs, outputs) = case.data_sets[0]
        named = {value.name: tensor(array) for value, array in zip(graph.input, inputs)}
        wanted = {value.name: tensor(array) for value, array in zip(graph.output, outputs)}
        is_random = any(node.op_type in random for node in graph.node)
        yield line(case.name, case.model, named, wanted, rtol=case.rtol, atol=case.atol, random=is_random)


def definitions():
    since = collections.defaultdict(set)
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            since[schema.name].add(schema.since_version)
    yield f"# The operator sets in which the definition of an operator came, by ONNX {onnx.__version__}; written by `make forms`."
    yield f"newest {onnx.defs.onnx_opset_version()}"
    for name in sorted(since):
        yield " ".join([name, *map(str, sorted(since[name]))])


def versions(op):
    """The first operator set of each version of an operator."""
    found = {}
    for opset in OPSETS:
        if onnx.defs.has(op, opset, ""):
            found.setdefault(onnx.defs.get_schema(op, opset, "").since_version, opset)
    return {since: opset for since, opset in found.items() if opset <= RUNTIME_OPSET}


def fits(case, opset):
    """Whether a version of the operator has the attributes and takes so many inputs and outputs."""
    schema = onnx.defs.get_schema(case.op, opset, "")
    return set(case.attrs) <= set(schema.attributes) and len(case.inputs) <= schema.max_input and case.outputs <= schema.max_output \
        and len(case.inputs) >= schema.min_input


def chooser_of(case, since):
    """What decides which inputs are constants: the same for a case whatever else is drawn."""
    told = hashlib.sha256(repr((case.op, since, sorted(case.attrs, key=str))).encode())
    for value in case.inputs:
        told.update(b"" if value is None else np.ascontiguousarray(value).tobytes())
    return np.random.default_rng(int.from_bytes(told.digest()[:8], "big"))


def build(case, opset, constants, open_sizes):
    names, values, initializers = [], [], []
    for place, value in enumerate(case.inputs):
        names.append("" if value is None else f"in{place}")
        if value is None:
            continue
        if place in constants:
            initializers.append(numpy_helper.from_array(np.asarray(value), f"in{place}"))
        else:
            shape = [f"d{place}_{axis}" for axis in range(value.ndim)] if open_sizes else value.shape
            values.append(helper.make_tensor_value_info(f"in{place}", helper.np_dtype_to_tensor_dtype(value.dtype), shape))
    while names and not names[-1]:
        names.pop()
    outputs = [f"out{place}" for place in range(case.outputs)]
    node = helper.make_node(case.op, names, outputs, name="node", domain=case.domain, **case.attrs)
    infos = [onnx.ValueInfoProto(name=name) for name in outputs]
    domains = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(case.domain, 1)] if case.domain else [])
    graph = helper.make_graph([node], "form", values, infos, initializers)
    return helper.make_model(graph, opset_imports=domains, ir_version=8)


def by_runtime(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def by_reference(model, feeds):
    return ReferenceEvaluator(model).run(None, feeds)


def attempt(run, model, feeds):
    try:
        values = run(model, feeds)
        return None if any(value is None for value in values) else [np.asarray(value) for value in values]
    except Exception:  # noqa: BLE001 an oracle that cannot answer has no say
        return None


def agree(left, right, case):
    def same(a, b):
        if a.shape != b.shape:
            return False
        if a.dtype.kind not in "f":
            return bool(np.all(a == b))
        scale = float(np.max(np.abs(a[np.isfinite(a)]), initial=1.0)) if a.size else 1.0
        return np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=max(case.rtol, 1e-3), atol=case.atol * scale, equal_nan=True)

    return all(same(a, b) for a, b in zip(left, right))


#: Versions of operators whose older meaning onnx.reference does not know, and one that it reduces over the wrong axes.
NO_REFERENCE = {("Softmax", 11), ("LogSoftmax", 11), ("Softmax", 1), ("LogSoftmax", 1), ("GlobalMaxPool", 1), ("GlobalMaxPool", 22)}


def expected(model, feeds, case, since, told):
    """The outputs; None where there are none. `told` counts what is to be known of it."""
    runtime = attempt(by_runtime, model, feeds)
    reference = None if case.domain or (case.op, since) in NO_REFERENCE else attempt(by_reference, model, feeds)
    if runtime is None and reference is None:
        told[case.op, since, "unanswered"] += 1
    elif runtime is not None and reference is not None and not agree(runtime, reference, case):
        told[case.op, since, "disagreed"] += 1
    return reference if runtime is None else runtime


def typed(model, outputs):
    """The model with the types of its outputs, which engines want declared."""
    for info, value in zip(model.graph.output, outputs):
        info.CopyFrom(helper.make_tensor_value_info(info.name, helper.np_dtype_to_tensor_dtype(value.dtype), [f"{info.name}_{axis}" for axis in range(value.ndim)]))
    return model


def drawn(kind, samples, operators):
    """Every case of one kind, and what oracles could not answer or disagreed on, by operator."""
    lines, told = [], collections.Counter()

    def draws(*key):
        seed = int.from_bytes(hashlib.sha256(repr((kind.__name__, key)).encode()).digest()[:8], "big")
        return (nodes.Draw(np.random.default_rng([seed, sample])) for sample in samples)

    def emit(case):
        if operators and case.op not in operators:
            return
        known = {1: 17} if case.domain else {since: opset for since, opset in versions(case.op).items() if fits(case, opset)}
        for since, opset in known.items():
            given = [place for place, value in enumerate(case.inputs) if value is not None]
            chooser = chooser_of(case, since)
            constants = {place for place in given if chooser.random() < (0.3 if place == 0 else 0.5)}
            if len(constants) == len(given) and given:
                constants.discard(given[0])
            model = build(case, opset, constants, chooser.random() < 0.5)
            feeds = {f"in{place}": case.inputs[place] for place in given if place not in constants}
            outputs = expected(model, feeds, case, since, told)
            if outputs is None:
                continue
            bounded = [f"in{place}" for place in case.bounded if place in given and place not in constants]
            lines.append(line(f"{case.op}-{since}-{len(lines)}", typed(model, outputs), {name: tensor(value) for name, value in feeds.items()},
                              {f"out{place}": tensor(value) for place, value in enumerate(outputs)}, rtol=case.rtol, atol=case.atol, exact=case.exact, bounded=bounded))

    kind(emit, draws)
    return lines, told


def chained(samples):
    """Several nodes, as engines fuse them."""
    lines, told = [], collections.Counter()
    for name, model, feeds in chains.models(samples):
        outputs = expected(model, feeds, nodes.Case(name, []), 0, told)
        if outputs is None:
            continue
        lines.append(line(f"chain-{name}", typed(model, outputs), {key: tensor(value) for key, value in feeds.items()},
                          {info.name: tensor(value) for info, value in zip(model.graph.output, outputs)}))
    return lines, told


def work(job):
    warnings.filterwarnings("ignore")
    np.seterr(all="ignore")
    kind, samples, operators = job
    return chained(samples) if kind == "chains" else drawn(getattr(nodes, kind), samples, operators)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["node", "drawn", "versions"])
    parser.add_argument("output")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="number of the first sample: others are other draws")
    parser.add_argument("--operators", nargs="*", default=[])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    np.seterr(all="ignore")
    with open(options.output, "w", encoding="utf-8") as file:
        if options.what != "drawn":
            lines = node_cases() if options.what == "node" else definitions()
            file.writelines(text + "\n" for text in lines)
            return
        samples = range(options.first, options.first + options.samples)
        jobs = [(kind.__name__, samples, options.operators) for kind in nodes.KINDS] + [("chains", samples, [])]
        told = collections.Counter()
        with multiprocessing.Pool() as pool:
            for lines, more in pool.imap_unordered(work, jobs):
                file.writelines(text + "\n" for text in lines)
                told += more
    for (op, since, reason), count in sorted(told.items()):
        print(f"{op} {since}: {count} {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
