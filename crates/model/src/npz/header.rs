//! The header in front of an array's bytes.

use std::io::Read;

use super::{ArrayProblem, Dtype, literal};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// More text than any header of plain numbers has.
const MAX_TEXT: usize = 16 * 1024;

/// What an npy header says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    pub(super) big_endian: bool,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
    /// Bytes of the header itself.
    pub(super) len: u64,
    /// Bytes of all elements.
    pub(super) data_len: u64,
}

impl Header {
    /// Reads a header and leaves the reader at the first element.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, ArrayProblem> {
        let head: [u8; 8] = bytes(reader)?;
        let Some(version) = head.strip_prefix(MAGIC) else {
            return Err(ArrayProblem::Header("it does not begin with NumPy's mark"));
        };
        let (prefix, text_len) = match version {
            [1, 0] => (10_u64, u64::from(u16::from_le_bytes(bytes(reader)?))),
            [2 | 3, 0] => (12, u64::from(u32::from_le_bytes(bytes(reader)?))),
            _ => return Err(ArrayProblem::Header("its version is not known")),
        };
        let text_size = usize::try_from(text_len).unwrap_or(usize::MAX);
        if text_size > MAX_TEXT {
            return Err(ArrayProblem::Header("it is longer than 16 KiB"));
        }
        let mut text = vec![0; text_size];
        reader.read_exact(&mut text).map_err(|_| CUT_SHORT)?;
        let text = std::str::from_utf8(&text).map_err(|_| ArrayProblem::Header("it is not text"))?;
        Self::from_fields(literal::parse(text)?, prefix + text_len)
    }

    fn from_fields(fields: literal::Fields, len: u64) -> Result<Self, ArrayProblem> {
        let literal::Fields { descr, fortran_order, shape } = fields;
        let (dtype, big_endian) = Dtype::parse(&descr)?;
        let bytes = |least: usize| {
            let mut sizes = shape.iter().map(|size| (*size).max(least));
            sizes.try_fold(dtype.size(), usize::checked_mul).filter(|bytes| isize::try_from(*bytes).is_ok())
        };
        // Also without its zeros: NumPy itself refuses a shape such as (0, 2**62, 8).
        match bytes(1).and(bytes(0)) {
            Some(data_len) => {
                Ok(Self { dtype, big_endian, fortran_order, shape, len, data_len: data_len as u64 })
            }
            None => Err(ArrayProblem::Overflow(shape)),
        }
    }
}

const CUT_SHORT: ArrayProblem = ArrayProblem::Header("it is cut short");

fn bytes<const N: usize>(reader: &mut impl Read) -> Result<[u8; N], ArrayProblem> {
    let mut buffer = [0; N];
    reader.read_exact(&mut buffer).map_err(|_| CUT_SHORT)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(version: [u8; 2], text: &str) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend(version);
        match version[0] {
            1 => file.extend(u16::try_from(text.len()).unwrap().to_le_bytes()),
            _ => file.extend(u32::try_from(text.len()).unwrap().to_le_bytes()),
        }
        file.extend(text.as_bytes());
        file
    }

    #[test]
    fn every_version_is_read_and_no_prefix_of_one() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
        for version in [[1, 0], [2, 0], [3, 0]] {
            let file = npy(version, text);
            let header = Header::read(&mut file.as_slice()).unwrap();
            assert_eq!((header.shape.as_slice(), header.data_len), ([2, 3].as_slice(), 24));
            assert_eq!(header.len, file.len() as u64);
            for end in 0..file.len() {
                assert!(Header::read(&mut &file[..end]).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn shapes_that_overflow_are_refused_also_beside_a_zero() {
        for shape in ["(4611686018427387904, 8)", "(0, 4611686018427387904, 8)", "(2305843009213693952,)"] {
            let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
            let error = Header::read(&mut npy([1, 0], &text).as_slice()).unwrap_err();
            assert!(matches!(error, ArrayProblem::Overflow(_)), "{shape}: {error}");
        }
    }

    #[test]
    fn headers_of_absurd_length_or_unknown_version_are_refused() {
        let mut long = MAGIC.to_vec();
        long.extend([2, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(Header::read(&mut long.as_slice()), Err(ArrayProblem::Header("it is longer than 16 KiB")));
        assert!(Header::read(&mut npy([9, 0], "{}").as_slice()).is_err());
        assert!(Header::read(&mut b"PK\x03\x04\0\0\0\0".as_slice()).is_err());
    }
}
