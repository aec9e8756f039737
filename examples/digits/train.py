"""Trains the digits example and writes every file that is committed beside it.

Data: scikit-learn's `load_digits`, 1,797 real images of 8x8 pixels with values 0 to 16 (UCI "Optical
Recognition of Handwritten Digits", CC BY 4.0). 720 of them are held out, stratified by class, and never
trained on. The model takes raw pixels: scaling by 1/16 is folded into the first layer's weights, which is
exact in binary floating point.

Usage: python train.py [--out DIR]
"""

import argparse
import base64
import zipfile
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

SEED = 20240607
HELD_OUT = 720
HIDDEN = (160, 96)
PIXEL_MAX = 16.0
OPSET = 17
IR_VERSION = 8
MAX_OBJECT_BYTES = 180_000


def split():
    """Returns training pixels, held-out pixels, training labels, held-out labels."""
    pixels, labels = load_digits(return_X_y=True)
    return train_test_split(
        pixels.astype(np.float32), labels.astype(np.int64), test_size=HELD_OUT, random_state=SEED, stratify=labels
    )


def train(pixels, labels):
    """Fits the multilayer perceptron on pixels scaled to 0..1."""
    net = MLPClassifier(HIDDEN, alpha=1e-2, learning_rate_init=2e-3, max_iter=500, random_state=SEED)
    return net.fit(pixels / PIXEL_MAX, labels)


def layers(net):
    """Yields weights and biases, layer by layer, with the pixel scale folded into the first."""
    for index, (weights, bias) in enumerate(zip(net.coefs_, net.intercepts_)):
        scale = PIXEL_MAX if index == 0 else 1.0
        yield (weights / scale).astype(np.float32), bias.astype(np.float32)


def to_onnx(net):
    """Builds Gemm, Relu, ..., Gemm, Softmax: operators of the default domain alone."""
    nodes, initializers = [], []
    value = "pixels"
    count = len(net.coefs_)
    for index, (weights, bias) in enumerate(layers(net)):
        name = f"layer{index}"
        initializers += [
            numpy_helper.from_array(weights, f"{name}.weight"),
            numpy_helper.from_array(bias, f"{name}.bias"),
        ]
        out = "scores" if index == count - 1 else f"{name}.out"
        nodes.append(helper.make_node("Gemm", [value, f"{name}.weight", f"{name}.bias"], [out], name))
        if index < count - 1:
            value = f"{name}.active"
            nodes.append(helper.make_node("Relu", [out], [value], f"{name}.relu"))
    nodes.append(helper.make_node("Softmax", ["scores"], ["probabilities"], "softmax", axis=-1))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        initializers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="slipway-example-digits", opset_imports=opsets)
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def write_npz(path, arrays):
    """As `numpy.savez_compressed`, but with fixed times, so that the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def write_config_map(path, name, file):
    """Writes a ConfigMap with one binary key, small enough for a plain `kubectl apply`."""
    data = base64.b64encode(file.read_bytes()).decode()
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "binaryData": {file.name: data},
    }
    text = yaml.safe_dump(manifest, sort_keys=False, width=2**31)
    if len(text) > MAX_OBJECT_BYTES:
        raise SystemExit(f"{path.name} has {len(text)} bytes, more than {MAX_OBJECT_BYTES}")
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    out = parser.parse_args().out
    train_pixels, pixels, train_labels, labels = split()
    net = train(train_pixels, train_labels)
    onnx.save(to_onnx(net), out / "model.onnx")
    write_npz(out / "holdout.npz", {"pixels": pixels, "labels": labels})
    write_config_map(out / "configmap-model.yaml", "digits-model", out / "model.onnx")
    write_config_map(out / "configmap-holdout.yaml", "digits-holdout", out / "holdout.npz")
    right = int((net.predict(pixels / PIXEL_MAX) == labels).sum())
    print(f"seed {SEED}: trained on {len(train_labels)}, {right} of {len(labels)} held-out images right, "
          f"accuracy {right / len(labels):.4f}")


if __name__ == "__main__":
    main()
