"""The parts of static.sh: data, ONNX Runtime's quantizer, and the comparison.

    static_peer.py prepare MODEL FOLDER SAMPLES     FOLDER/model.onnx (opset 13) and FOLDER/lines.npz
    static_peer.py ours BINARY ARGUMENTS...         what a command cost, as one line of JSON
    static_peer.py onnxruntime MODEL DATA OUTPUT    the same of quantize_static
    static_peer.py compare FOLDER                   ratios, sizes, and the distance of both results to the floats
"""

import json
import sys
from pathlib import Path

import numpy as np

from quantize_peer import measure


def lines(samples):
    """Images of dark bars on a light line, as a recogniser takes them."""
    random = np.random.default_rng(0)
    images = np.ones((samples, 3, 48, 320), np.float32)
    for image in images:
        for _ in range(24):
            left, top = random.integers(0, 308), random.integers(4, 34)
            width, height = random.integers(2, 10), random.integers(4, 24)
            image[:, top : top + height, left : left + width] = random.uniform(-1, 0.2)
    return images + random.standard_normal(images.shape).astype(np.float32) * 0.02


def prepare(source, folder, samples):
    import onnx
    from onnx import version_converter

    # ONNX Runtime's quantizer has scales a channel from opset 13 on only, and does not raise the model itself.
    onnx.save(version_converter.convert_version(onnx.load(source), 13), folder / "model.onnx")
    np.savez(folder / "lines.npz", x=lines(samples))


def quantize(model, data, output):
    """Runs ONNX Runtime's own quantizer with the same settings; this is what the child does."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.samples = iter(np.load(data)["x"])

        def get_next(self):
            sample = next(self.samples, None)
            return None if sample is None else {"x": sample[None]}

    quantize_static(
        model,
        output,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"CalibPercentile": 99.99},
    )


def answers(model, images):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options)
    return np.concatenate([session.run(None, {"x": image[None]})[0] for image in images])


def compare(folder):
    ours, peer = (json.loads((folder / f"{name}.json").read_text()) for name in ("ours", "peer"))
    print(f"CPU {peer['cpu_s'] / ours['cpu_s']:.1f}x less, peak memory {peer['peak_mib'] / ours['peak_mib']:.1f}x less")
    images = np.load(folder / "lines.npz")["x"][:8]
    wanted = answers(folder / "model.onnx", images)
    for name in ("ours", "peer"):
        found = answers(folder / f"{name}.onnx", images)
        noise = ((wanted - found).astype(np.float64) ** 2).sum()
        signal = (wanted.astype(np.float64) ** 2).sum()
        same = (wanted.argmax(-1) == found.argmax(-1)).mean()
        size = (folder / f"{name}.onnx").stat().st_size / (folder / "model.onnx").stat().st_size
        print(f"{name}: {10 * np.log10(signal / noise):.1f} dB, {same:.1%} of characters as with floats, size {size:.3f}")
    if ours["peak_mib"] > 520 or ours["cpu_s"] > peer["cpu_s"]:
        sys.exit("more than 520 MiB, or more CPU than the peer")


def main(arguments):
    match arguments:
        case ["prepare", source, folder, samples]:
            prepare(source, Path(folder), int(samples))
        case ["child", model, data, output]:
            quantize(model, data, output)
        case ["onnxruntime", model, data, output]:
            measure("onnxruntime", [sys.executable, __file__, "child", model, data, output])
        case ["ours", *command]:
            measure("slipway", command)
        case ["compare", folder]:
            compare(Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
