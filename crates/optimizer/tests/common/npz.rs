//! Writing `.npz` files, as NumPy does.

use std::io::{Cursor, Write};

use slipway_model::npz::{NpzFile, NpzLimits};
use zip::{ZipWriter, write::SimpleFileOptions};

/// A file in memory.
pub(crate) type File = NpzFile<Cursor<Vec<u8>>>;

/// A file of arrays: name, NumPy's word for the type, shape as a tuple of Python, and elements.
pub(crate) fn npz(arrays: &[(&str, &str, &str, Vec<u8>)]) -> File {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, descr, shape, data) in arrays {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
        archive.write_all(&u16::try_from(text.len()).unwrap().to_le_bytes()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
        archive.write_all(data).unwrap();
    }
    NpzFile::from_reader(archive.finish().unwrap(), NpzLimits::default()).unwrap()
}
