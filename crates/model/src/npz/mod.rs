//! npz data files: `NumPy` arrays in a zip archive, read under limits.
//!
//! [`NpzFile::open`] reads names alone; [`NpzFile::array`] reads one array. Object arrays hold pickles, which run code
//! when they are loaded: they are refused by name, as is everything that is not plain numbers. All that comes out is
//! little endian and in C order, whatever the file says.
//!
//! Source of the format: `NumPy`'s `numpy.lib.format`, versions 1.0 to 3.0.

mod array;
mod dtype;
mod error;
mod file;
mod header;
mod literal;

pub use array::{Array, sample_count};
pub use dtype::Dtype;
pub use error::{ArrayProblem, NpzError};
pub use file::{NpzFile, NpzLimits};
