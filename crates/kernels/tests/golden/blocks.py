"""Writes blocks.bin: what ONNX Runtime's block quantizers make of small weights.

    pip install onnxruntime==1.32.0 && python blocks.py

The file is a sequence of cases, all little-endian: five u32 (bits, block, K, N, zero points or not), the weight
[K, N] as f32, the packed integers [N, blocks, block * bits / 8], the scales [N, blocks] as f32, and, where the case
has zero points, these [N, ceil(blocks * bits / 8)].
"""

import pathlib
import struct

import numpy as np
from onnxruntime.capi._pybind_state import quantize_matmul_4bits, quantize_matmul_8bits

QUANTIZERS = {4: quantize_matmul_4bits, 8: quantize_matmul_8bits}


def case(weight, bits, block, zero_points):
    """One case: the weight and what the quantizer writes into buffers of zeros."""
    weight = np.ascontiguousarray(weight, dtype=np.float32)
    k, n = weight.shape
    blocks = -(-k // block)
    packed = np.zeros((n, blocks, block * bits // 8), dtype=np.uint8)
    scales = np.zeros((n, blocks), dtype=np.float32)
    zeros = np.zeros((n, -(-blocks * bits // 8)), dtype=np.uint8)
    # The quantizer reads K rows; the buffer it is given must hold whole blocks.
    padded = np.pad(weight, ((0, blocks * block - k), (0, 0)))
    QUANTIZERS[bits](packed, padded, scales, zeros, block, n, k, not zero_points)
    header = struct.pack("<5I", bits, block, k, n, zero_points)
    return header + weight.tobytes() + packed.tobytes() + scales.tobytes() + (zeros.tobytes() if zero_points else b"")


def weights(k, n, random):
    """Weights of every kind that a quantizer may trip over, all of shape [k, n]."""
    normal = random.standard_normal((k, n))
    yield normal * 0.02
    yield np.abs(normal)
    yield -np.abs(normal)
    # Whole and half steps: with a largest magnitude of 8 (128), every value is a tie or exact.
    ties = random.integers(-16, 17, (k, n)) / 2
    ties[0] = np.where(random.integers(0, 2, n) == 1, 8, -8)
    yield ties
    # The same a bit below and above the tie.
    yield np.nextafter(ties.astype(np.float32), np.float32(np.inf))
    yield np.nextafter(ties.astype(np.float32), np.float32(-np.inf))
    yield ties * 16
    # Both ends equally far from zero.
    both = random.uniform(-1, 1, (k, n))
    both[0], both[-1] = 1, -1
    yield both
    yield np.zeros((k, n))
    yield np.full((k, n), -0.0)
    yield np.where(random.uniform(size=(k, n)) < 0.9, 0, normal)
    # One outlier among small weights.
    outlier = normal * 1e-3
    outlier[k // 2] = 30
    yield outlier
    yield normal * 1e30
    yield normal * 1e-37
    # Subnormal, but with a scale whose reciprocal is finite, and without.
    yield normal * 3e-38
    yield normal * 1e-41
    # Any exponent.
    yield normal * np.exp2(random.integers(-60, 60, (k, n)))


def main():
    random = np.random.default_rng(5)
    shapes = [(32, 16, 3), (64, 32, 2), (40, 16, 2), (33, 32, 2), (17, 16, 2), (1, 16, 2), (95, 32, 1), (130, 64, 1)]
    shapes.append((129, 128, 1))
    cases = [
        case(weight, bits, block, zero_points)
        for k, block, n in shapes
        for bits in (4, 8)
        for zero_points in (False, True)
        for weight in weights(k, n, random)
    ]
    pathlib.Path(__file__).with_suffix(".bin").write_bytes(b"".join(cases))


if __name__ == "__main__":
    main()
