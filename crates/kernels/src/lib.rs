//! Quantization arithmetic and the gate's statistics: slices in, slices out.
