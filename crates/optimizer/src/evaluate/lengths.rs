//! Samples of unequal lengths, which an array holds padded to one shape.

use slipway_model::npz::Array;

use super::dataset::integers;
use super::{DataError, TensorSpec};

/// How much of each sample counts, along one axis.
#[derive(Debug)]
pub(super) struct Lengths {
    /// The axis that is cut; 0 counts samples.
    axis: usize,
    of_samples: Vec<usize>,
}

impl Lengths {
    /// Takes the lengths of an array's samples from another one: they count along the last axis that the input leaves open.
    pub(super) fn of(
        name: &str,
        lengths: &Array,
        array: &Array,
        spec: &TensorSpec,
    ) -> Result<Self, DataError> {
        let axis = open_axis(spec, array.shape())
            .ok_or_else(|| DataError::NoOpenAxis { input: spec.name.clone() })?;
        let found = integers(lengths).ok_or_else(|| DataError::Lengths {
            array: name.to_owned(),
            got: format!("{} with shape {:?}", lengths.dtype(), lengths.shape()),
        })?;
        let most = array.shape()[axis];
        let checked = found.iter().enumerate().map(|(sample, length)| {
            usize::try_from(*length).ok().filter(|length| (1..=most).contains(length)).ok_or_else(|| {
                DataError::Length { array: name.to_owned(), sample, length: *length, most, axis }
            })
        });
        Ok(Self { axis, of_samples: checked.collect::<Result<_, _>>()? })
    }

    /// Cuts the padding off a sample: its shape, with a batch axis of one, and its bytes.
    pub(super) fn cut(&self, sample: usize, shape: &mut [usize], bytes: &[u8]) -> Vec<u8> {
        let (length, padded) = (self.of_samples[sample], shape[self.axis]);
        let rows: usize = shape[..self.axis].iter().product();
        let row = bytes.len() / rows.max(1);
        shape[self.axis] = length;
        bytes.chunks_exact(row.max(1)).flat_map(|bytes| &bytes[..row / padded * length]).copied().collect()
    }
}

/// The last axis but the first that an input leaves open, for arrays of some shape.
fn open_axis(spec: &TensorSpec, shape: &[usize]) -> Option<usize> {
    let is_open = |axis: &usize| spec.shape == [-1] || spec.shape.get(*axis).is_some_and(|size| *size < 0);
    (1..shape.len()).rev().find(is_open)
}
