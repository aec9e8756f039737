//! One array, in memory.

use super::header::Header;
use super::{ArrayProblem, Dtype, NpzError};

/// An array of plain numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    /// Joins a type, a shape and elements as little-endian bytes in C order.
    ///
    /// # Errors
    /// [`ArrayProblem::Overflow`] or [`ArrayProblem::Length`] where they do not fit each other.
    pub fn new(dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Self, ArrayProblem> {
        let Some(expected) = shape.iter().try_fold(dtype.size(), |product, size| product.checked_mul(*size))
        else {
            return Err(ArrayProblem::Overflow(shape));
        };
        if bytes.len() != expected {
            return Err(ArrayProblem::Length { got: bytes.len() as u64, expected: expected as u64 });
        }
        Ok(Self { dtype, shape, bytes })
    }

    /// Brings bytes as they stand in a file into little-endian C order.
    pub(super) fn from_file(header: &Header, mut bytes: Vec<u8>) -> Result<Self, ArrayProblem> {
        let Header { dtype, big_endian, fortran_order, shape, len: _, data_len: _ } = header;
        if *big_endian {
            bytes.chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
        }
        if *fortran_order && shape.len() > 1 {
            bytes = to_c_order(&bytes, shape, dtype.size());
        }
        Self::new(*dtype, shape.clone(), bytes)
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Size of each axis; the first one counts samples.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// All elements, little endian, in C order.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The size of the first axis; nothing for a single value.
    pub fn samples(&self) -> Option<usize> {
        self.shape.first().copied()
    }

    /// The elements of `count` samples from `start` on, as bytes; nothing where the array has not so many.
    pub fn sample_bytes(&self, start: usize, count: usize) -> Option<&[u8]> {
        let samples = self.samples()?;
        let size = self.bytes.len().checked_div(samples)?;
        let end = start.checked_add(count).filter(|end| *end <= samples)?;
        self.bytes.get(start * size..end * size)
    }

    /// The index of the first element that is NaN or infinite, one number for each axis.
    pub fn first_non_finite(&self) -> Option<Vec<usize>> {
        let position = match self.dtype {
            Dtype::F16 => first(&self.bytes, |word| u16::from_le_bytes(word) & 0x7c00 == 0x7c00),
            Dtype::F32 => first(&self.bytes, |word| !f32::from_le_bytes(word).is_finite()),
            Dtype::F64 => first(&self.bytes, |word| !f64::from_le_bytes(word).is_finite()),
            Dtype::Bool
            | Dtype::I8
            | Dtype::I16
            | Dtype::I32
            | Dtype::I64
            | Dtype::U8
            | Dtype::U16
            | Dtype::U32
            | Dtype::U64 => None,
        }?;
        Some(index_of(position, &self.shape))
    }

    /// Refuses an array with a value that is NaN or infinite.
    ///
    /// # Errors
    /// [`ArrayProblem::NonFinite`], which says where the first one is.
    pub fn check_finite(&self, name: &str) -> Result<(), NpzError> {
        match self.first_non_finite() {
            Some(index) => Err(NpzError::array(name, ArrayProblem::NonFinite { index })),
            None => Ok(()),
        }
    }
}

/// How many samples some named arrays have: the size of their first axes, which must agree.
///
/// # Errors
/// [`ArrayProblem::NoSampleAxis`] for a single value, and [`NpzError::SampleCount`] which names the array that differs
/// from the first one.
pub fn sample_count<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a Array)>) -> Result<usize, NpzError> {
    let mut first: Option<(&str, usize)> = None;
    for (name, array) in arrays {
        let got = array.samples().ok_or_else(|| NpzError::array(name, ArrayProblem::NoSampleAxis))?;
        let (reference, expected) = *first.get_or_insert((name, got));
        if got != expected {
            let (array, reference) = (name.to_owned(), reference.to_owned());
            return Err(NpzError::SampleCount { array, got, expected, reference });
        }
    }
    Ok(first.map_or(0, |(_, count)| count))
}

fn first<const N: usize>(bytes: &[u8], matches: impl Fn([u8; N]) -> bool) -> Option<usize> {
    bytes.as_chunks().0.iter().position(|word| matches(*word))
}

fn index_of(mut position: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (slot, size) in index.iter_mut().zip(shape).rev() {
        *slot = position % size;
        position /= size;
    }
    index
}

/// Reorders elements whose first axis varies fastest.
fn to_c_order(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = size;
    for axis in shape {
        strides.push(stride);
        stride *= axis;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0; shape.len()];
    let mut offset = 0;
    while out.len() < bytes.len() {
        out.extend_from_slice(&bytes[offset..offset + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            offset += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            offset -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(dtype: Dtype, big_endian: bool, fortran_order: bool, shape: &[usize]) -> Header {
        Header { dtype, big_endian, fortran_order, shape: shape.to_vec(), len: 0, data_len: 0 }
    }

    #[test]
    fn fortran_order_is_turned_into_c_order() {
        // numpy.asfortranarray(numpy.arange(24).reshape(2, 3, 4)), as it lies in memory.
        let memory: Vec<u8> = (0..24_u8).map(|i| (i % 2) * 12 + (i / 2 % 3) * 4 + i / 6).collect();
        let array = Array::from_file(&header(Dtype::U8, false, true, &[2, 3, 4]), memory).unwrap();
        assert_eq!(array.bytes(), (0..24).collect::<Vec<u8>>());
        let empty = Array::from_file(&header(Dtype::U8, false, true, &[2, 0]), Vec::new()).unwrap();
        assert_eq!(empty.shape(), [2, 0]);
    }

    #[test]
    fn big_endian_is_turned_into_little() {
        let array = Array::from_file(&header(Dtype::U16, true, false, &[2]), vec![1, 2, 3, 4]).unwrap();
        assert_eq!(array.bytes(), [2, 1, 4, 3]);
    }

    #[test]
    fn the_first_value_that_is_no_number_is_found_and_named() {
        let values = [0.0_f32, 1.0, f32::MAX, f32::INFINITY, f32::NAN, 0.0];
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let array = Array::new(Dtype::F32, vec![3, 2], bytes).unwrap();
        let error = array.check_finite("x").unwrap_err().to_string();
        assert_eq!(error, "array \"x\" has a NaN or infinite value, the first at index [1, 1]");
        let half = Array::new(Dtype::F16, vec![2], vec![0xff, 0x7b, 0x00, 0xfc]).unwrap();
        assert_eq!(half.first_non_finite(), Some(vec![1]));
        let whole = Array::new(Dtype::U16, vec![1], vec![0xff, 0xff]).unwrap();
        assert_eq!(whole.first_non_finite(), None);
    }

    #[test]
    fn samples_are_cut_out_whole_and_never_beyond_the_end() {
        let array = Array::new(Dtype::U8, vec![3, 2], (0..6).collect()).unwrap();
        assert_eq!(array.sample_bytes(1, 2), Some([2, 3, 4, 5].as_slice()));
        assert_eq!(array.sample_bytes(3, 0), Some([].as_slice()));
        assert_eq!(array.sample_bytes(2, 2), None);
        assert_eq!(array.sample_bytes(usize::MAX, 2), None);
        assert_eq!(Array::new(Dtype::U8, vec![0, 2], vec![]).unwrap().sample_bytes(0, 1), None);
    }

    #[test]
    fn arrays_that_disagree_on_the_number_of_samples_are_named() {
        let of = |samples: usize| Array::new(Dtype::U8, vec![samples], vec![0; samples]).unwrap();
        let (three, two) = (of(3), of(2));
        let error = sample_count([("x", &three), ("y", &two)]).unwrap_err().to_string();
        assert_eq!(error, "array \"y\" has 2 samples, expected 3 as in \"x\"");
        assert_eq!(sample_count([("x", &three), ("z", &three)]).unwrap(), 3);
        let single = Array::new(Dtype::U8, vec![], vec![0]).unwrap();
        assert!(sample_count([("s", &single)]).unwrap_err().to_string().contains("no axis"));
    }
}
