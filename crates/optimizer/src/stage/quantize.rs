//! The stage `quantize`: fewer bits for the weights of a model.
