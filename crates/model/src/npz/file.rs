//! The archive: which arrays there are, and one of them at a time.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use crate::regular;
use crate::sniff::{FileFormat, sniff_file};

use super::header::Header;
use super::{Array, ArrayProblem, NpzError};

/// Deflate packs at best 1032 bytes into one; more is a claim, not data.
const MAX_RATIO: u64 = 1100;
/// What even a tiny array may unpack to: its header is padded with spaces.
const RATIO_FLOOR: u64 = 4096;
const SUFFIX: &str = ".npy";

/// How much of a data file is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NpzLimits {
    /// Bytes of all arrays that are read from one file, unpacked.
    pub max_bytes: u64,
    /// Arrays in the file, read or not.
    pub max_arrays: usize,
}

impl Default for NpzLimits {
    /// 4 GiB and 1,024 arrays.
    fn default() -> Self {
        Self { max_bytes: 4 << 30, max_arrays: 1024 }
    }
}

/// An open npz file.
#[derive(Debug)]
pub struct NpzFile<R = BufReader<File>> {
    archive: ZipArchive<R>,
    limits: NpzLimits,
    read: u64,
}

impl NpzFile {
    /// Opens a file and reads its table of contents, under the default limits.
    ///
    /// # Errors
    /// Where it cannot be read, is no zip archive, or breaks a limit.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NpzError> {
        Self::open_with(path.as_ref(), NpzLimits::default())
    }

    /// Opens a file and reads its table of contents, under limits of the caller's.
    ///
    /// # Errors
    /// As [`NpzFile::open`].
    pub fn open_with(path: &Path, limits: NpzLimits) -> Result<Self, NpzError> {
        let read = |source| NpzError::Read { path: path.to_path_buf(), source };
        if let Some(what) = regular::other_kind(fs::metadata(path).map_err(read)?.file_type()) {
            return Err(NpzError::NotAFile { path: path.to_path_buf(), what });
        }
        let file = File::open(path).map_err(read)?;
        Self::from_reader(BufReader::new(file), limits).map_err(|error| named(error, path))
    }
}

/// Bytes that are no archive may well be something else that has a name.
fn named(error: NpzError, path: &Path) -> NpzError {
    match (&error, sniff_file(path)) {
        (NpzError::NotAnArchive { .. }, Ok(FileFormat::Npz)) => error,
        (NpzError::NotAnArchive { .. }, Ok(FileFormat::Unknown)) => NpzError::Unknown,
        (NpzError::NotAnArchive { .. }, Ok(format)) => NpzError::OtherFormat { format },
        _ => error,
    }
}

impl<R: Read + Seek> NpzFile<R> {
    /// Reads the table of contents of an archive that is open already.
    ///
    /// # Errors
    /// Where it is no zip archive, has no arrays or breaks a limit.
    pub fn from_reader(reader: R, limits: NpzLimits) -> Result<Self, NpzError> {
        let archive =
            ZipArchive::new(reader).map_err(|error| NpzError::NotAnArchive { reason: error.to_string() })?;
        if archive.len() > limits.max_arrays {
            return Err(NpzError::TooManyArrays { arrays: archive.len(), limit: limits.max_arrays });
        }
        let file = Self { archive, limits, read: 0 };
        if file.names().next().is_none() { Err(NpzError::NoArrays) } else { Ok(file) }
    }

    /// The names of the arrays, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<_> =
            self.archive.file_names().filter_map(|name| name.strip_suffix(SUFFIX)).collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// Reads one array.
    ///
    /// What is read counts towards the limit for the whole file, so that many arrays that share packed bytes cannot
    /// add up beyond it.
    ///
    /// # Errors
    /// Where there is no such array, or its contents are not plain numbers of the size that its header says.
    pub fn array(&mut self, name: &str) -> Result<Array, NpzError> {
        let (limits, read) = (self.limits, self.read);
        let index =
            self.archive.index_for_name(&format!("{name}{SUFFIX}")).ok_or_else(|| NpzError::NoSuchArray {
                array: name.to_owned(),
                available: self.names().map(str::to_owned).collect(),
            })?;
        let problem = |problem| NpzError::array(name, problem);
        let entry = self.archive.by_index(index).map_err(|error| problem(unpack(&error)))?;
        let (array, bytes) = read_entry(entry, limits, read).map_err(problem)?;
        self.read += bytes;
        Ok(array)
    }
}

fn unpack(error: &ZipError) -> ArrayProblem {
    ArrayProblem::Unpack(error.to_string())
}

/// Reads an array; also says how many bytes it has.
fn read_entry<R: Read>(
    mut entry: ZipFile<'_, R>,
    limits: NpzLimits,
    read: u64,
) -> Result<(Array, u64), ArrayProblem> {
    let (packed, unpacked) = (entry.compressed_size(), entry.size());
    if unpacked > packed.saturating_mul(MAX_RATIO).max(RATIO_FLOOR) {
        return Err(ArrayProblem::Bomb { packed, unpacked });
    }
    let header = Header::read(&mut entry)?;
    let expected = header.data_len;
    let total = read.saturating_add(expected);
    if total > limits.max_bytes {
        return Err(ArrayProblem::TooLarge { bytes: total, limit: limits.max_bytes });
    }
    let got = unpacked.saturating_sub(header.len);
    if got != expected {
        return Err(ArrayProblem::Length { got, expected });
    }
    // One more than expected: the end must be seen for the archive's checksum to be compared.
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    let result = entry.take(expected.saturating_add(1)).read_to_end(&mut bytes);
    result.map_err(|error| ArrayProblem::Unpack(error.to_string()))?;
    if bytes.len() as u64 != expected {
        return Err(ArrayProblem::Length { got: bytes.len() as u64, expected });
    }
    Ok((Array::from_file(&header, bytes)?, expected))
}
