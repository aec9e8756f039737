//! Numbers of each sample, kept in an unnamed file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a number of single precision.
const SINGLE: usize = 4;

/// A file that takes the numbers of one sample after the other.
pub(super) struct Spool {
    file: BufWriter<File>,
    pieces: Vec<Piece>,
    written: u64,
}

/// A file of the numbers of all samples.
pub(super) struct Spooled {
    file: File,
    pieces: Vec<Piece>,
}

/// Where the numbers of one sample lie.
#[derive(Clone, Copy)]
struct Piece {
    start: u64,
    bytes: usize,
    /// Bytes of each number.
    width: usize,
}

impl Spool {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let file = BufWriter::new(tempfile::tempfile_in(folder)?);
        Ok(Self { file, pieces: Vec::new(), written: 0 })
    }

    /// Takes what each row of the next sample decides for.
    pub(super) fn add_classes(&mut self, classes: &[Option<usize>]) -> io::Result<()> {
        let place = |class: &Option<usize>| class.and_then(|class| i64::try_from(class).ok()).unwrap_or(-1);
        self.add(classes.iter().map(|class| place(class).to_le_bytes()))
    }

    /// Takes the values of the next sample: in single precision, as engines give them, where that changes none.
    #[expect(clippy::cast_possible_truncation, reason = "it is asked whether anything is lost")]
    pub(super) fn add_values(&mut self, values: &[f64]) -> io::Result<()> {
        if values.iter().all(|value| f64::from(*value as f32).to_bits() == value.to_bits()) {
            self.add(values.iter().map(|value| (*value as f32).to_le_bytes()))
        } else {
            self.add(values.iter().map(|value| value.to_le_bytes()))
        }
    }

    fn add<const WIDTH: usize>(&mut self, numbers: impl Iterator<Item = [u8; WIDTH]>) -> io::Result<()> {
        let mut bytes = 0;
        for number in numbers {
            self.file.write_all(&number)?;
            bytes += WIDTH;
        }
        self.pieces.push(Piece { start: self.written, bytes, width: WIDTH });
        self.written += bytes as u64;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Spooled> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Spooled { file, pieces: self.pieces })
    }
}

impl Spooled {
    /// What each row of a sample decides for, of a file of classes.
    pub(super) fn classes(&self, sample: usize) -> io::Result<Vec<Option<usize>>> {
        let bytes = self.read(self.pieces[sample])?;
        let places = bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
        Ok(places.map(|place| usize::try_from(place).ok()).collect())
    }

    /// The values of a sample, of a file of values.
    pub(super) fn values(&self, sample: usize) -> io::Result<Vec<f64>> {
        let piece = self.pieces[sample];
        let bytes = self.read(piece)?;
        Ok(if piece.width == SINGLE {
            bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect()
        } else {
            bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
        })
    }

    fn read(&self, piece: Piece) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; piece.bytes];
        self.file.read_exact_at(&mut bytes, piece.start)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> Spool {
        Spool::new(&std::env::temp_dir()).unwrap()
    }

    #[test]
    fn values_come_back_to_the_bit_and_take_what_their_precision_takes() {
        let samples: [&[f64]; 4] = [&[0.5, -2.0, 1.0], &[0.1, -3e-310], &[], &[1e300, -0.0]];
        let mut spool = spool();
        for values in samples {
            spool.add_values(values).unwrap();
        }
        let kept = spool.finish().unwrap();
        assert_eq!(kept.file.metadata().unwrap().len(), 3 * 4 + 2 * 8 + 2 * 8);
        for sample in [3, 0, 2, 1] {
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&kept.values(sample).unwrap()), bits(samples[sample]));
        }
    }

    #[test]
    fn classes_come_back_in_any_order() {
        let samples = [vec![Some(7), None], vec![], vec![Some(0)]];
        let mut spool = spool();
        for classes in &samples {
            spool.add_classes(classes).unwrap();
        }
        let kept = spool.finish().unwrap();
        for sample in [2, 0, 1] {
            assert_eq!(kept.classes(sample).unwrap(), samples[sample]);
        }
    }
}
