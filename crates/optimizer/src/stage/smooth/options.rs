//! What a caller may choose.

/// Options of [`smooth`](super::smooth).
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The share of an activation's range that moves to the weight, from 0, where weights become even, to 1, where
    /// activations do. Default: 0.5.
    pub alpha: f64,
    /// Bytes of tensors up to which the output keeps them in the model file.
    pub inline_limit: u64,
    /// The digest of the input that the output's metadata names; its files are read for it where it is not known.
    pub source: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { alpha: 0.5, inline_limit: 1_500_000_000, source: None }
    }
}
