//! Integers that were chosen before the output is written, kept in a file until then.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use slipway_kernels::quantize::Quality;

use super::Outcome;
use crate::file::{MakeError, Part};

/// Bytes copied at a time.
const COPY: usize = 256 << 10;

/// The tensors of one weight, one after the other from a place of a file.
#[derive(Debug)]
pub(in super::super) struct Fitted {
    file: Arc<File>,
    place: u64,
    quality: Quality,
}

impl Fitted {
    /// Copies every tensor to its sink.
    pub(super) fn copy(&self, parts: &[Part], sinks: &mut [&mut dyn Write]) -> Result<Outcome, MakeError> {
        let mut place = self.place;
        for (part, sink) in parts.iter().zip(sinks) {
            copy(&self.file, place, part.length, sink)?;
            place += part.length;
        }
        Ok(Outcome { quality: self.quality, lost_channels: 0, loss: None })
    }
}

fn copy(file: &File, start: u64, length: u64, sink: &mut dyn Write) -> Result<(), MakeError> {
    let mut buffer = vec![0; COPY];
    for position in (0..length).step_by(COPY) {
        let size = usize::try_from(length - position).unwrap_or(COPY).min(COPY);
        file.read_exact_at(&mut buffer[..size], start + position).map_err(MakeError::Read)?;
        sink.write_all(&buffer[..size]).map_err(MakeError::Write)?;
    }
    Ok(())
}

/// Writes the tensors of one weight, each of which grows at its own place.
pub(super) struct Shelf {
    file: Arc<File>,
    start: u64,
    places: Vec<u64>,
}

impl Shelf {
    /// Room for tensors of known lengths, from a place on; and the place after them.
    pub(super) fn new(file: Arc<File>, start: u64, parts: &[Part]) -> (Self, u64) {
        let mut end = start;
        let mut places = Vec::new();
        for part in parts {
            places.push(end);
            end += part.length;
        }
        (Self { file, start, places }, end)
    }

    /// Adds bytes to each tensor.
    pub(super) fn add(&mut self, bytes: &[impl AsRef<[u8]>]) -> io::Result<()> {
        for (place, bytes) in self.places.iter_mut().zip(bytes) {
            let bytes = bytes.as_ref();
            self.file.write_all_at(bytes, *place)?;
            *place += bytes.len() as u64;
        }
        Ok(())
    }

    pub(super) fn close(self, quality: Quality) -> Fitted {
        Fitted { file: self.file, place: self.start, quality }
    }
}
