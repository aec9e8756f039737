//! Real, broken and hostile npz files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::io::{Cursor, Write};
use std::path::Path;

use slipway_model::npz::{ArrayProblem, Dtype, NpzError, NpzFile, NpzLimits};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (text.len() + 11) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    file.extend(text.as_bytes());
    file.extend(data);
    file
}

fn npz(method: CompressionMethod, large: bool, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = SimpleFileOptions::default().compression_method(method).large_file(large);
        archive.start_file(format!("{name}.npy"), options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<NpzFile<Cursor<&[u8]>>, NpzError> {
    NpzFile::from_reader(Cursor::new(bytes), NpzLimits::default())
}

fn problem(bytes: &[u8], name: &str) -> ArrayProblem {
    match open(bytes).unwrap().array(name) {
        Err(NpzError::Array { array, problem }) if array == name => problem,
        other => panic!("{other:?}"),
    }
}

fn floats() -> Vec<u8> {
    npy("<f4", "(2, 3)", &[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].map(f32::to_le_bytes).concat())
}

#[test]
fn the_digits_example_is_read_as_numpy_wrote_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/holdout.npz");
    let mut file = NpzFile::open(&path).unwrap();
    assert!(file.names().eq(["labels", "pixels"]));
    let pixels = file.array("pixels").unwrap();
    assert_eq!((pixels.dtype(), pixels.shape()), (Dtype::F32, [720, 64].as_slice()));
    assert_eq!(pixels.first_non_finite(), None);
    let labels = file.array("labels").unwrap();
    assert_eq!((labels.dtype(), labels.shape()), (Dtype::I64, [720].as_slice()));
    assert!(labels.bytes().chunks(8).all(|word| word[0] < 10 && word[1..] == [0; 7]));
}

#[test]
fn packed_unpacked_and_zip64_entries_hold_the_same_array() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        for large in [false, true] {
            let array = open(&npz(method, large, &[("x", &floats())])).unwrap().array("x").unwrap();
            assert_eq!((array.dtype(), array.shape()), (Dtype::F32, [2, 3].as_slice()));
            assert_eq!(array.sample_bytes(1, 1).unwrap()[..4], 4.0_f32.to_le_bytes());
        }
    }
}

#[test]
fn pickles_are_refused_by_name() {
    let file = npz(CompressionMethod::Deflated, false, &[("evil", &npy("|O", "(1,)", b"\x80\x04."))]);
    let error = open(&file).unwrap().array("evil").unwrap_err().to_string();
    assert_eq!(
        error,
        "array \"evil\" holds Python objects (a pickle), which is refused: save it as plain numbers"
    );
}

#[test]
fn a_missing_array_is_answered_with_those_that_exist() {
    let file = npz(CompressionMethod::Stored, false, &[("y", &floats()), ("x", &floats())]);
    let error = open(&file).unwrap().array("z").unwrap_err().to_string();
    assert_eq!(error, "there is no array \"z\"; the file has x, y");
}

#[test]
fn data_shorter_or_longer_than_the_shape_is_refused() {
    for (shape, expected) in [("(3, 3)", 36), ("(2, 2)", 16), ("(0, 3)", 0)] {
        let file = npz(CompressionMethod::Stored, false, &[("x", &npy("<f4", shape, &[0; 24]))]);
        assert_eq!(problem(&file, "x"), ArrayProblem::Length { got: 24, expected });
    }
}

#[test]
fn the_limit_counts_all_arrays_of_a_file_together() {
    let file = npz(CompressionMethod::Stored, false, &[("x", &floats()), ("y", &floats())]);
    let limits = NpzLimits { max_bytes: 40, ..NpzLimits::default() };
    let mut file = NpzFile::from_reader(Cursor::new(file), limits).unwrap();
    file.array("x").unwrap();
    let error = file.array("y").unwrap_err().to_string();
    assert_eq!(error, "array \"y\" brings the data to 48 bytes, more than 40 are allowed");
}

#[test]
fn a_huge_shape_is_refused_before_any_memory_is_taken() {
    let file = npz(CompressionMethod::Stored, false, &[("x", &npy("<f8", "(1000000, 1000000)", &[]))]);
    assert!(matches!(problem(&file, "x"), ArrayProblem::TooLarge { bytes: 8_000_000_000_000, .. }));
}

#[test]
fn an_entry_that_claims_more_than_deflate_can_pack_is_a_bomb() {
    let zeros = npy("|u1", "(1000000,)", &vec![0; 1_000_000]);
    let mut file = npz(CompressionMethod::Deflated, false, &[("x", &zeros)]);
    assert!(open(&file).unwrap().array("x").is_ok(), "zeros pack well and are no bomb");
    // The table of contents claims 4 GB: its unpacked size is 24 bytes into the entry.
    let table = file.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    file[table + 24..table + 28].copy_from_slice(&4_000_000_000_u32.to_le_bytes());
    assert!(matches!(problem(&file, "x"), ArrayProblem::Bomb { unpacked: 4_000_000_000, .. }));
}

#[test]
fn flipped_bits_are_noticed() {
    let mut file = npz(CompressionMethod::Stored, false, &[("x", &floats())]);
    let data = file.windows(4).position(|window| window == 6.0_f32.to_le_bytes()).unwrap();
    file[data] ^= 1;
    assert!(matches!(problem(&file, "x"), ArrayProblem::Unpack(_)));
}

#[test]
fn too_many_arrays_are_refused_at_the_door() {
    let names: Vec<String> = (0..9).map(|index| index.to_string()).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), [].as_slice())).collect();
    let file = npz(CompressionMethod::Stored, false, &entries);
    let limits = NpzLimits { max_arrays: 8, ..NpzLimits::default() };
    let error = NpzFile::from_reader(Cursor::new(file), limits).unwrap_err().to_string();
    assert_eq!(error, "the file has 9 arrays, more than 8");
}

#[test]
fn no_prefix_and_no_changed_byte_makes_it_panic() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let file = npz(method, false, &[("x", &floats()), ("y", &npy("<i8", "(2,)", &[0; 16]))]);
        for end in 0..file.len() {
            assert!(open(&file[..end]).is_err(), "{end}");
        }
        for position in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[position] = value;
                if let Ok(mut opened) = open(&changed) {
                    for name in ["x", "y"] {
                        drop(opened.array(name));
                    }
                }
            }
        }
    }
}
