"""Lays out a model that nobody here made, and data for it: magika, a classifier of file types.

The model comes out of the installed package `magika` unchanged. Its data are the files of this machine, turned into
tokens by magika's own feature extraction: the first and last 1,024 bytes, stripped of white space, padded with 256.
Files are taken in turn from each file name suffix, in sorted order, so the same folders always give the same data set
and no kind of file drowns the others. Nothing here has labels: a parity gate needs none.

Usage: python prepare.py OUT [--files DIR ...] [--samples N]
"""

import argparse
import os
import shutil
import zipfile
from collections import defaultdict
from itertools import zip_longest
from pathlib import Path

import magika
import numpy as np
from magika.types.seekable import Seekable

VERSION = "1.0.3"
MODEL = Path(magika.__file__).parent / "models" / "standard_v3_3"
BEGIN = END = 1024
BLOCK = 4096
PADDING = 256
# Smaller files magika answers by rule, without its model.
LEAST_BYTES = 8


def tokens(path):
    """Returns the 2,048 tokens that magika gives its model for a file."""
    with path.open("rb") as file:
        features = magika.Magika._extract_features_from_seekable(
            Seekable(file), BEGIN, 0, END, PADDING, BLOCK, False
        )
    return np.array(features.beg + features.end, dtype=np.int32)


def candidates(folders):
    """Yields regular files, one suffix after the other in turn."""
    by_suffix = defaultdict(list)
    for folder in folders:
        for root, names, files in os.walk(folder):
            names.sort()
            for name in sorted(files):
                path = Path(root, name)
                if not path.is_symlink() and path.is_file():
                    by_suffix[path.suffix.lower()].append(path)
    for turn in zip_longest(*(by_suffix[suffix] for suffix in sorted(by_suffix))):
        yield from (path for path in turn if path is not None)


def collect(folders, count):
    """Returns the tokens of up to `count` files, no two of them equal."""
    samples, seen = [], set()
    for path in candidates(folders):
        if len(samples) == count:
            break
        try:
            if path.stat().st_size < LEAST_BYTES:
                continue
            sample = tokens(path)
        except OSError:
            continue
        if (key := sample.tobytes()) not in seen:
            seen.add(key)
            samples.append(sample)
    return np.stack(samples)


def write_npz(path, arrays):
    """As `numpy.savez_compressed`, but with fixed times, so that the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write model/ and files.npz to")
    parser.add_argument("--files", type=Path, nargs="+", default=[Path("/usr/share"), Path("/usr/lib")], metavar="DIR")
    parser.add_argument("--samples", type=int, default=2048, metavar="N")
    options = parser.parse_args()
    if magika.__version__ != VERSION:
        raise SystemExit(f"magika {magika.__version__} is installed, this example is about {VERSION}")
    model = options.out / "model"
    model.mkdir(parents=True, exist_ok=True)
    for name in ["model.onnx", "config.min.json"]:
        shutil.copyfile(MODEL / name, model / name)
    samples = collect(options.files, options.samples)
    write_npz(options.out / "files.npz", {"bytes": samples})
    print(f"{model / 'model.onnx'}: {(model / 'model.onnx').stat().st_size} bytes")
    print(f"{options.out / 'files.npz'}: {len(samples)} files, {(options.out / 'files.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()
