//! What a weight is multiplied with.

use std::collections::BTreeSet;

/// The activations that a weight is multiplied with, as far as a run of the model can show them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Inputs {
    names: BTreeSet<String>,
    hidden: Option<&'static str>,
}

impl Inputs {
    /// Adds a value of the main graph whose last axis is that of the sums.
    pub(in super::super) fn add(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// Says why one of them cannot be seen.
    pub(in super::super) fn hide(&mut self, reason: &'static str) {
        self.hidden.get_or_insert(reason);
    }

    /// Their names in order, or why they cannot be seen.
    pub(super) fn seen(&self) -> Result<Vec<String>, &'static str> {
        match self.hidden {
            Some(reason) => Err(reason),
            None => Ok(self.names.iter().cloned().collect()),
        }
    }
}
