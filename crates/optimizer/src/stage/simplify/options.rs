//! What a caller may choose.

use std::collections::BTreeMap;

/// Options of [`simplify`](super::simplify).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Open dimensions of the inputs, by name, and the sizes that they get.
    pub dims: BTreeMap<String, u64>,
    /// Write the output even when nothing changed.
    pub allow_unchanged: bool,
    /// Bytes of tensors up to which the output keeps them in the model file.
    pub inline_limit: u64,
    /// The digest of the input that the output's metadata names; its files are read for it where it is not known.
    pub source: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { dims: BTreeMap::new(), allow_unchanged: false, inline_limit: 1_500_000_000, source: None }
    }
}
