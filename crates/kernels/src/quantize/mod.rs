//! Affine integer quantization of float slices.
