//! What a blocked weight looks like, and where it is written.

/// How many bits an integer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NarrowBits {
    /// 0 … 15, around 8.
    Four,
    /// 0 … 255, around 128.
    Eight,
}

impl NarrowBits {
    /// The number itself.
    pub fn count(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// The integer that stands for zero where the form has no zero points.
    pub fn middle(self) -> u8 {
        match self {
            Self::Four => 8,
            Self::Eight => 128,
        }
    }

    /// The largest integer.
    pub(super) fn top(self) -> f32 {
        match self {
            Self::Four => 15.0,
            Self::Eight => 255.0,
        }
    }
}

/// The form of a blocked weight of `rows` (`K`) rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockShape {
    bits: NarrowBits,
    size: usize,
    zero_points: bool,
    rows: usize,
    blocks: usize,
}

impl BlockShape {
    /// Blocks of `size` rows, with a zero point each or [`NarrowBits::middle`] for all; nothing where `size` is odd or
    /// zero, since a block is whole bytes.
    pub fn new(bits: NarrowBits, size: usize, zero_points: bool, rows: usize) -> Option<Self> {
        (size > 0 && size.is_multiple_of(2)).then(|| Self {
            bits,
            size,
            zero_points,
            rows,
            blocks: rows.div_ceil(size),
        })
    }

    /// How many bits an integer has.
    pub fn bits(self) -> NarrowBits {
        self.bits
    }

    /// Rows of a block.
    pub fn size(self) -> usize {
        self.size
    }

    /// Whether each block has a zero point of its own.
    pub fn has_zero_points(self) -> bool {
        self.zero_points
    }

    /// Rows of the weight, `K`.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Blocks, and so scales, of one column.
    pub fn blocks(self) -> usize {
        self.blocks
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        self.size * self.bits.count() / 8
    }

    /// Bytes of one column's integers.
    pub fn column_bytes(self) -> usize {
        self.blocks() * self.block_bytes()
    }

    /// Bytes of one column's zero points; 0 where the form has none.
    pub fn zero_point_bytes(self) -> usize {
        if self.zero_points { (self.blocks() * self.bits.count()).div_ceil(8) } else { 0 }
    }
}

/// Where a number of whole columns is written.
#[derive(Debug)]
pub struct Blocked<'a> {
    /// [`BlockShape::column_bytes`] for each column.
    pub integers: &'a mut [u8],
    /// [`BlockShape::blocks`] for each column.
    pub scales: &'a mut [f32],
    /// [`BlockShape::zero_point_bytes`] for each column.
    pub zero_points: &'a mut [u8],
}

impl Blocked<'_> {
    pub(super) fn check(&self, shape: BlockShape, columns: usize) {
        assert_eq!(self.integers.len(), columns * shape.column_bytes(), "integers of whole columns");
        assert_eq!(self.scales.len(), columns * shape.blocks(), "a scale for each block");
        assert_eq!(
            self.zero_points.len(),
            columns * shape.zero_point_bytes(),
            "zero points of whole columns"
        );
    }

    /// The bytes of one block.
    pub(super) fn block(&mut self, shape: BlockShape, column: usize, block: usize) -> &mut [u8] {
        let start = column * shape.column_bytes() + block * shape.block_bytes();
        &mut self.integers[start..start + shape.block_bytes()]
    }

    /// Writes the parameters of one block.
    pub(super) fn set(&mut self, shape: BlockShape, column: usize, block: usize, scale: f32, zero_point: u8) {
        self.scales[column * shape.blocks() + block] = scale;
        self.set_zero_points(shape, column, block, &[zero_point]);
    }

    /// Writes the zero points of a column's blocks from `first` on, where the form has them; the nibble after an odd
    /// number of them becomes the middle, as ONNX Runtime leaves it.
    pub(super) fn set_zero_points(
        &mut self,
        shape: BlockShape,
        column: usize,
        first: usize,
        zero_points: &[u8],
    ) {
        if !shape.zero_points {
            return;
        }
        let bytes = &mut self.zero_points[column * shape.zero_point_bytes()..][..shape.zero_point_bytes()];
        if shape.bits == NarrowBits::Eight {
            bytes[first..first + zero_points.len()].copy_from_slice(zero_points);
            return;
        }
        // A first one that is odd ends a byte; from there on bytes are whole, but perhaps the last.
        let (odd, zero_points) = zero_points.split_at(first % 2);
        for zero_point in odd {
            bytes[first / 2] = bytes[first / 2] & 0x0f | zero_point << 4;
        }
        let (pairs, rest) = zero_points.as_chunks::<2>();
        let bytes = &mut bytes[first.div_ceil(2)..];
        for ([low, high], byte) in pairs.iter().zip(&mut *bytes) {
            *byte = low | high << 4;
        }
        for zero_point in rest {
            let is_last = first + odd.len() + zero_points.len() == shape.blocks();
            let high = if is_last { NarrowBits::Four.middle() << 4 } else { bytes[pairs.len()] & 0xf0 };
            bytes[pairs.len()] = zero_point | high;
        }
    }
}

/// A block that no scale fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfitBlock {
    /// Which column of those given.
    pub column: usize,
    /// Which block of that column.
    pub block: usize,
}

impl std::fmt::Display for UnfitBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { column, block } = self;
        write!(
            f,
            "block {block} of column {column} holds NaN, an infinity, or values too far apart for a float: \
             correct the weight or leave it unquantized"
        )
    }
}

impl std::error::Error for UnfitBlock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_that_matmulnbits_reads() {
        let four = BlockShape::new(NarrowBits::Four, 32, true, 65).unwrap();
        assert_eq!((four.blocks(), four.block_bytes(), four.column_bytes()), (3, 16, 48));
        assert_eq!(four.zero_point_bytes(), 2);
        let eight = BlockShape::new(NarrowBits::Eight, 16, true, 64).unwrap();
        assert_eq!((eight.blocks(), eight.block_bytes(), eight.zero_point_bytes()), (4, 16, 4));
        assert_eq!(BlockShape::new(NarrowBits::Eight, 16, false, 64).unwrap().zero_point_bytes(), 0);
        assert_eq!(BlockShape::new(NarrowBits::Four, 15, false, 64), None);
        assert_eq!(BlockShape::new(NarrowBits::Four, 0, false, 64), None);
    }

    #[test]
    fn zero_points_share_bytes_in_any_order() {
        let shape = BlockShape::new(NarrowBits::Four, 2, true, 6).unwrap();
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut zero_points = [0xff; 2];
            let mut out =
                Blocked { integers: &mut [0; 3], scales: &mut [0.0; 3], zero_points: &mut zero_points };
            for block in order {
                out.set(shape, 0, block, 1.0, block as u8 + 5);
            }
            assert_eq!(zero_points, [0x65, 0x87]);
        }
    }
}
