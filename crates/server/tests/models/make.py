"""Makes the scikit-learn models beside this file, and records what scikit-learn itself answers.

Run in a virtual environment: `pip install scikit-learn==1.7.2 skl2onnx==1.20.0`, then `python make.py`.
The files are committed, so that the tests need no Python.
"""

import json
import pathlib

import numpy
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

HERE = pathlib.Path(__file__).parent


def record(name, model, kind, inputs):
    """Writes the model, and its labels and probabilities for some inputs."""
    types = [("input", kind([None, inputs.shape[1]]))]
    onnx = to_onnx(model, initial_types=types, target_opset={"": 17, "ai.onnx.ml": 3})
    (HERE / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    answers = {
        "shape": inputs.shape,
        "inputs": inputs.ravel().tolist(),
        "labels": model.predict(inputs).tolist(),
        "classes": len(model.classes_),
        "probabilities": model.predict_proba(inputs).ravel().tolist(),
    }
    (HERE / f"{name}.json").write_text(json.dumps(answers) + "\n")


def forest(values, labels):
    return RandomForestClassifier(n_estimators=8, max_depth=4, random_state=0).fit(values, labels)


iris = load_iris()
values = iris.data.astype(numpy.float32)
record("iris", forest(values, iris.target_names[iris.target]), FloatTensorType, values[::10])

digits = load_digits()
values = digits.data.astype(numpy.float32)
record("digits", forest(values, digits.target), FloatTensorType, values[::150])

shapes = numpy.array([[c, s] for c in ("red", "green", "blue") for s in ("round", "square")])
model = make_pipeline(OneHotEncoder(), LogisticRegression())
record("shapes", model.fit(shapes, [f"{s} {c}" for c, s in shapes]), StringTensorType, shapes[::-1])
