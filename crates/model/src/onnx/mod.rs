//! ONNX files: decoding, limits, facts and external data.
