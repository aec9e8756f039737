"""What quantization costs on real models: every method on both engines, and ONNX Runtime's own beside them.

Each model is quantized, served by slipway-server, and asked the same as the float model on the same engine. A row says
how often both gave the same answer, with the lower end of the one-sided 95 % Clopper-Pearson interval; the size and the
median latency as parts of the float model's, which was asked in turn with it; and the memory of the server after loading.

Usage: python quality.py --slipway PROGRAM --rten PROGRAM --onnxruntime PROGRAM --packages DIR [--models NAME ...]
                         [--methods TEXT ...] [--samples N] [--json FILE]
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from pathlib import Path

from engines import Refused, Served
from methods import METHODS, ORT, RTEN, Data, Failed
from subjects import SUBJECTS

PAIRS = 50
USUAL = 256


def replayed(server, subject, cases):
    """Returns the answers of every case."""
    answers = []
    for case in cases:
        given, answer = [], None
        for feeds in case:
            answer, _ = server.ask(feeds if answer is None else subject.next(feeds, answer))
            given.append(answer)
        answers.append(given)
    return answers


def latency_ratio(server, baseline, cases):
    """Returns the ratio of the medians of two servers that are asked in turn, each first as often as second."""
    times = {server: [], baseline: []}
    feeds = [case[0] for case in cases[:PAIRS]]
    for index, feed in enumerate(feeds):
        pair = (server, baseline) if index % 2 else (baseline, server)
        for asked in pair:
            times[asked].append(asked.ask(feed)[1])
    return statistics.median(times[server]) / statistics.median(times[baseline])


def lower_bound(same, count):
    from scipy.stats import beta

    return float(beta.ppf(0.05, same, count - same + 1)) if same else 0.0


def measured(server, baseline, subject, cases, expected):
    decisions = subject.decisions(replayed(server, subject, cases))
    same = sum(ours == theirs for ours, theirs in zip(decisions, expected, strict=True))
    return {
        "agreement": same / len(expected),
        "atLeast": lower_bound(same, len(expected)),
        "n": len(expected),
        "latency": latency_ratio(server, baseline, cases),
        "memoryMiB": server.memory_mib(),
    }


def rows(options, subject, scratch):
    """Yields a row for each method and engine."""
    programs = {RTEN: options.rten, ORT: options.onnxruntime}
    cases = subject.cases(options.samples)
    methods = [m for m in METHODS if not options.methods or any(text in m.name for text in options.methods)]
    made, usual = {}, subject.usual(USUAL)
    data = usual and Data(str(scratch / "usual.npz"), usual)
    for method in methods:
        target = scratch / f"{len(made)}.onnx"
        try:
            method.make(options.slipway, str(subject.model), str(target), data)
            made[method.name] = target
        except Failed as error:
            made[method.name] = str(error)
    for engine, program in programs.items():
        with contextlib.ExitStack() as stack:
            try:
                baseline = stack.enter_context(Served(program, engine, str(subject.model)))
            except Refused as error:
                yield {"method": "float", "engine": engine, "error": str(error)}
                continue
            expected = subject.decisions(replayed(baseline, subject, cases))
            yield {"method": "float", "engine": engine, "memoryMiB": baseline.memory_mib(), "size": 1.0, "n": len(expected)}
            for method in methods:
                if engine not in method.engines:
                    continue
                row = {"method": method.name, "engine": engine}
                if isinstance(made[method.name], str):
                    yield row | {"error": made[method.name]}
                    continue
                row["size"] = total_size(made[method.name]) / total_size(subject.model)
                try:
                    with Served(program, engine, str(made[method.name])) as server:
                        yield row | measured(server, baseline, subject, cases, expected)
                except Refused as error:
                    yield row | {"error": str(error)}


def total_size(model):
    return sum(path.stat().st_size for path in model.parent.glob(f"{model.name}*"))


def shown(row):
    if "error" in row:
        return f"| {row['method']} | {row['engine']} | {row['error'][:160]} | | | |"
    if "agreement" not in row:
        return f"| {row['method']} | {row['engine']} | | | | {row['memoryMiB']:.0f} MiB |"
    return (
        f"| {row['method']} | {row['engine']} | {row['agreement']:.2%} (≥ {row['atLeast']:.2%}) "
        f"| {row['size']:.3f} | {row['latency']:.2f} | {row['memoryMiB']:.0f} MiB |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ["--slipway", "--rten", "--onnxruntime"]:
        parser.add_argument(name, required=True, metavar="PROGRAM")
    parser.add_argument("--packages", required=True, type=Path, metavar="DIR")
    parser.add_argument("--models", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--methods", nargs="+", default=[], metavar="TEXT", help="those whose names hold one of these")
    parser.add_argument("--samples", type=int, default=2048, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = {}
    for name in options.models:
        subject = SUBJECTS[name](options.packages)
        print(f"\n### {subject.name}: {subject.unit}\n", flush=True)
        print("| method | engine | same answers | size | latency | memory |\n|---|---|---|---|---|---|", flush=True)
        found[name] = []
        with tempfile.TemporaryDirectory() as scratch:
            for row in rows(options, subject, Path(scratch)):
                found[name].append(row)
                print(shown(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
