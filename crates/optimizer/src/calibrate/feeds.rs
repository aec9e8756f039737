//! Samples as an engine takes them.

use slipway_server::Tensor;

use crate::evaluate::Samples;

/// Samples for a model, each one tensor for every input in the model's order.
///
/// Samples may differ in their shapes where the model's inputs vary.
pub trait Feeds {
    /// How many samples there are.
    fn count(&self) -> usize;

    /// The tensors of one sample; nothing where they cannot be made.
    fn sample(&self, index: usize) -> Option<Vec<Tensor>>;
}

impl Feeds for Samples {
    fn count(&self) -> usize {
        Samples::count(self)
    }

    fn sample(&self, index: usize) -> Option<Vec<Tensor>> {
        self.tensors(index)
    }
}

impl Feeds for Vec<Vec<Tensor>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn sample(&self, index: usize) -> Option<Vec<Tensor>> {
        self.get(index).cloned()
    }
}
