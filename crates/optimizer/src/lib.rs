//! One stage applied to one artifact: quantize, evaluate; and the job-pod binary.
