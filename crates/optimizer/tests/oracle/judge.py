"""The frame of the judges: every output held against its source, one line a model that fails."""

import json
import sys
from pathlib import Path

import numpy as np


def judge(problems, source_of):
    """Calls `problems(source, output, feeds, facts)` for every model, and exits 1 if any has one.

    The command line names the folders MODELS and OUTPUTS; `source_of(models, output)` is the model behind an output.
    """
    models, outputs = map(Path, sys.argv[1:])
    failed = 0
    for output in sorted(outputs.glob("*.onnx")):
        source = source_of(models, output)
        feeds = dict(np.load(source.with_suffix(".npz")))
        try:
            found = list(problems(source, output, feeds, json.loads(source.with_suffix(".json").read_text())))
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        for problem in found:
            failed += 1
            print(f"{output.name}: {problem}")
    sys.exit(1 if failed else 0)
