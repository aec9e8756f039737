//! How many golden samples fit what a server reads.

use slipway_server::golden::{GoldenSample, GoldenSamples, MAX_BYTES, MAX_TENSOR_BYTES};

/// Bytes of a file of golden samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    /// Of the elements of tensors.
    pub(super) elements: u64,
    /// Of what describes the tensors, and begins the file.
    pub(super) head: u64,
}

impl Bytes {
    /// The most that a server reads.
    pub(super) const MOST: Self = Self { elements: MAX_TENSOR_BYTES, head: MAX_BYTES - MAX_TENSOR_BYTES };

    /// What a sample takes alone, which is no less than it takes beside others; in words, why no server would read it.
    pub(super) fn of(sample: &GoldenSample) -> Result<Self, String> {
        let elements = sample.size_bytes() as u64;
        if elements > Self::MOST.elements {
            return Err(format!("one takes {elements} bytes, and {MAX_TENSOR_BYTES} is the most"));
        }
        let alone = GoldenSamples { samples: vec![sample.clone()] }.to_bytes();
        let alone = alone.map_err(|_| "the names and shapes of one take too much room".to_owned())?;
        Ok(Self { elements, head: alone.len() as u64 - elements })
    }

    /// How many samples fit that all take as much.
    pub(super) fn fits(self, each: Self) -> u64 {
        (self.elements / each.elements.max(1)).min(self.head / each.head.max(1))
    }
}
