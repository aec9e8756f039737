//! Data sets that tests make.

use std::{
    fs::File,
    io::{Cursor, Read, Write},
};

use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// One array: its name, its type in NumPy's words, its shape and its bytes.
pub(crate) struct Array {
    name: &'static str,
    descr: &'static str,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Floats of some shape.
pub(crate) fn floats(name: &'static str, shape: &[usize], value: impl Fn(usize) -> f32) -> Array {
    let bytes = (0..shape.iter().product()).flat_map(|place| value(place).to_le_bytes()).collect();
    Array { name, descr: "<f4", shape: shape.to_vec(), bytes }
}

/// One integer a sample.
pub(crate) fn integers(name: &'static str, count: usize, value: impl Fn(usize) -> i64) -> Array {
    let bytes = (0..count).flat_map(|place| value(place).to_le_bytes()).collect();
    Array { name, descr: "<i8", shape: vec![count], bytes }
}

/// A file of arrays.
pub(crate) fn npz(arrays: &[Array]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for Array { name, descr, shape, bytes } in arrays {
        let sizes: Vec<_> = shape.iter().map(|size| size.to_string() + ",").collect();
        let head =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}\n", sizes.concat());
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
        archive.write_all(&u16::try_from(head.len()).unwrap().to_le_bytes()).unwrap();
        archive.write_all(head.as_bytes()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The images of a data set, and so another file, without their labels.
pub(crate) fn unlabelled(data: &str) -> Vec<u8> {
    let mut from = ZipArchive::new(File::open(data).unwrap()).unwrap();
    let mut bytes = Vec::new();
    from.by_name("pixels.npy").unwrap().read_to_end(&mut bytes).unwrap();
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    to.start_file("pixels.npy", SimpleFileOptions::default()).unwrap();
    to.write_all(&bytes).unwrap();
    to.finish().unwrap().into_inner()
}
