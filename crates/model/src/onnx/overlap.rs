//! Whether external tensors keep to their own bytes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use super::ExternalData;
use super::error::{OnnxError, TensorProblem};

/// The ranges of external data that tensors take, file by file.
///
/// Two tensors may share a range, as tied weights do. Ranges that overlap in part are a wrong offset or length: one of the
/// tensors would get values of the other.
#[derive(Default)]
pub(super) struct Ranges {
    /// Each range with the first tensor that takes it, by device and number of the file: a file may have many names.
    files: BTreeMap<(u64, u64), Vec<Range>>,
}

struct Range {
    start: u64,
    end: u64,
    tensor: String,
}

impl Ranges {
    /// Takes note of a tensor's range.
    pub(super) fn add(&mut self, tensor: &str, data: &ExternalData) -> Result<(), TensorProblem> {
        if data.length == 0 {
            return Ok(());
        }
        let location = || data.path.display().to_string();
        let read = |source| TensorProblem::ExternalRead { location: location(), source };
        let metadata = fs::metadata(&data.path).map_err(read)?;
        let (start, end) = (data.offset, data.offset + data.length);
        let ranges = self.files.entry((metadata.dev(), metadata.ino())).or_default();
        ranges.push(Range { start, end, tensor: tensor.to_owned() });
        Ok(())
    }

    /// Refuses ranges that overlap and are not the same.
    pub(super) fn check(self) -> Result<(), OnnxError> {
        for mut ranges in self.files.into_values() {
            ranges.sort_by_key(|range| (range.start, range.end));
            ranges.dedup_by(|next, kept| (next.start, next.end) == (kept.start, kept.end));
            for pair in ranges.windows(2) {
                // Sorted and without equals, ranges overlap somewhere only if two neighbours do.
                if let [first, second] = pair
                    && second.start < first.end
                {
                    let (first, second) = (first.tensor.clone(), second.tensor.clone());
                    return Err(OnnxError::Overlap { first, second });
                }
            }
        }
        Ok(())
    }
}
