//! Samples as an engine takes them.

use slipway_server::Tensor;

use crate::evaluate::Samples;

/// Samples for a model, each one tensor for every input in the model's order.
///
/// Samples may differ in their shapes where the model's inputs vary.
pub trait Feeds: Send + Sync {
    /// How many samples there are.
    fn count(&self) -> usize;

    /// The tensors of one sample; nothing where they cannot be made.
    fn sample(&self, index: usize) -> Option<Vec<Tensor>>;
}

/// The first samples of some.
pub(crate) struct First<'a> {
    feeds: &'a dyn Feeds,
    pub(crate) count: usize,
}

impl<'a> First<'a> {
    /// As many as asked for, or as there are.
    pub(crate) fn of(feeds: &'a dyn Feeds, most: usize) -> Self {
        Self { feeds, count: feeds.count().min(most) }
    }
}

impl Feeds for First<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn sample(&self, index: usize) -> Option<Vec<Tensor>> {
        self.feeds.sample(index)
    }
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
