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

    /// The place of a sample in the data set that it comes from, which errors name.
    fn place(&self, index: usize) -> usize {
        index
    }
}

/// Some of many samples, spread evenly over them: of `len` samples the `i`th of `n` is number `i · len / n`.
///
/// Data sets are often sorted, by class or by length, so that the first samples would stand for a part of them alone.
pub(crate) struct Spread<'a> {
    feeds: &'a dyn Feeds,
    pub(crate) count: usize,
}

impl<'a> Spread<'a> {
    /// As many as asked for, or as there are.
    pub(crate) fn of(feeds: &'a dyn Feeds, most: usize) -> Self {
        Self { feeds, count: feeds.count().min(most) }
    }
}

impl Feeds for Spread<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn sample(&self, index: usize) -> Option<Vec<Tensor>> {
        self.feeds.sample(self.place(index))
    }

    fn place(&self, index: usize) -> usize {
        index * self.feeds.count() / self.count.max(1)
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
