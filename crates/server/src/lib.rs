//! Inference server: Open Inference Protocol v2 (REST and gRPC), batching, metrics.
