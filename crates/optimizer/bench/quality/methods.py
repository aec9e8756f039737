"""The ways to quantize a model that are compared: ours by the command line, and ONNX Runtime's beside them."""

import subprocess
import tempfile
from dataclasses import dataclass, field

import numpy as np

RTEN, ORT = "rten", "onnxruntime"
# What the commands look at unless told otherwise.
SAMPLES = 128


class Data:
    """Feeds in a file as the commands take them: padded, with the length of each where they differ."""

    def __init__(self, path, feeds):
        self.path, self.feeds, self.lengths = path, feeds, []
        arrays = {}
        for name in feeds[0]:
            rows = [feed[name] for feed in feeds]
            sizes = [row.shape[-1] for row in rows]
            widths = [(0, 0)] * (rows[0].ndim - 1)
            arrays[name] = np.concatenate([np.pad(row, [*widths, (0, max(sizes) - row.shape[-1])]) for row in rows])
            if len(set(sizes)) > 1:
                arrays[f"{name}_lengths"] = np.array(sizes)
                self.lengths += ["--length", f"{name}={name}_lengths"]
        np.savez(path, **arrays)


@dataclass
class Method:
    """`make(program, source, target, data)` writes the quantized model or raises `Failed`; `data` is a `Data` or nothing.

    `looks` says whether the method runs the model on data, and `smooth` whether the model is smoothed on it before;
    `simplify` says whether the model is simplified before all that.
    """

    name: str
    arguments: list = field(default_factory=list)
    engines: tuple = (RTEN, ORT)
    looks: bool = False
    smooth: bool = False
    simplify: bool = False

    def make(self, program, source, target, data):
        if (self.looks or self.smooth) and data is None:
            raise Failed("no data")
        with tempfile.TemporaryDirectory() as folder:
            if self.simplify:
                simplified = f"{folder}/simple.onnx"
                called(program, "simplify", source, simplified, "--allow-unchanged")
                source = simplified
            if self.smooth:
                smoothed = f"{folder}/smooth.onnx"
                called(program, "smooth", source, data.path, smoothed, *data.lengths)
                source = smoothed
            looked_at = ["--data", data.path, *data.lengths] if self.looks else []
            called(program, "quantize", source, target, *self.arguments, *looked_at)


def called(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip())


@dataclass
class Peer:
    """The same with a function of ONNX Runtime's own."""

    name: str
    quantizer: object
    engines: tuple = (ORT,)
    looks: bool = False

    def make(self, _program, source, target, data):
        if self.looks and data is None:
            raise Failed("no data")
        try:
            self.quantizer(source, target, *([data.feeds] if self.looks else []))
        except Exception as error:
            raise Failed(f"{type(error).__name__}: {error}") from error


class Failed(Exception):
    """The model was not quantized; the text says why."""


def dynamic(per_channel):
    def quantize(source, target):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            source, target, per_channel=per_channel, reduce_range=True, weight_type=QuantType.QInt8
        )

    return quantize


def static(source, target, feeds):
    """Quantizes with the ranges of the same samples that ours sees: its own default, minima and maxima."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Samples(CalibrationDataReader):
        def __init__(self):
            self._samples = iter(feeds[:SAMPLES])

        def get_next(self):
            return next(self._samples, None)

    quantize_static(source, target, Samples(), per_channel=True, reduce_range=True)


def blocks(bits, size, zero_points=False, accuracy=None):
    def quantize(source, target):
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

        how = DefaultWeightOnlyQuantConfig(
            block_size=size, is_symmetric=not zero_points, accuracy_level=accuracy, bits=bits
        )
        quantizer = MatMulNBitsQuantizer(onnx.load(source), algo_config=how)
        quantizer.process()
        quantizer.model.save_model_to_file(target, False)

    return quantize


def half(source, target):
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


CORRECT = ["--correct-bias"]
INT4 = ["--scheme", "weight-only", "--weights", "int4"]
ZERO_POINTS = [*INT4, "--zero-points", "--engine", "onnxruntime"]
METHODS = [
    Method("dynamic, per channel", ["--scheme", "dynamic"]),
    Method("dynamic, per channel, for ONNX Runtime", ["--scheme", "dynamic", "--engine", "onnxruntime"], (ORT,)),
    Method("dynamic, per channel, biases corrected", ["--scheme", "dynamic", *CORRECT], looks=True),
    Peer("ONNX Runtime's dynamic, per channel", dynamic(True)),
    Method("smooth, then dynamic, per channel", ["--scheme", "dynamic"], smooth=True),
    Method("simplify, then dynamic, per channel", ["--scheme", "dynamic"], simplify=True),
    Method("static", ["--scheme", "static"], (ORT,), looks=True),
    *[
        Method(f"static, {range}", ["--scheme", "static", "--range", range], (ORT,), looks=True)
        for range in ("min-max", "percentile", "entropy")
    ],
    Method("static, biases corrected", ["--scheme", "static", *CORRECT], (ORT,), looks=True),
    Peer("ONNX Runtime's static", static, looks=True),
    Method("simplify, then static", ["--scheme", "static"], (ORT,), looks=True, simplify=True),
    Method("smooth, then static", ["--scheme", "static"], (ORT,), looks=True, smooth=True),
    Method("dynamic, per tensor", ["--scheme", "dynamic", "--granularity", "per-tensor"]),
    Peer("ONNX Runtime's dynamic, per tensor", dynamic(False)),
    Method("weightOnly int8", ["--scheme", "weight-only"]),
    Method("weightOnly int8, biases corrected", ["--scheme", "weight-only", *CORRECT], looks=True),
    *[
        Method(f"weightOnly int8, blocks of {block}", ["--scheme", "weight-only", "--block", str(block)])
        for block in (32, 64, 128)
    ],
    Method("weightOnly int8, blocks of 64, Nearest", ["--scheme", "weight-only", "--block", "64", "--fit", "nearest"]),
    Peer("ONNX Runtime's int8 blocks of 64", blocks(8, 64)),
    Peer("ONNX Runtime's int8 blocks of 64, products in integers", blocks(8, 64, accuracy=4)),
    Method("weightOnly int4", INT4),
    Method("weightOnly int4, biases corrected", [*INT4, *CORRECT], looks=True),
    Method("weightOnly int4, Nearest", [*INT4, "--fit", "nearest"]),
    Method("weightOnly int4, Gptq", [*INT4, "--fit", "gptq"], looks=True),
    Peer("ONNX Runtime's int4 blocks", blocks(4, 32)),
    Method("weightOnly int4, zero points", ZERO_POINTS, (ORT,)),
    Method("weightOnly int4, zero points, HalfQuadratic", [*ZERO_POINTS, "--fit", "half-quadratic"], (ORT,)),
    Peer("ONNX Runtime's int4 blocks, zero points", blocks(4, 32, zero_points=True)),
    Method("weightOnly float16", ["--scheme", "weight-only", "--weights", "float16"]),
    Peer("ONNX Runtime's float16", half),
]
