//! What a model or data file is: ONNX, npz; facts, sniffing, hostile-input limits.
