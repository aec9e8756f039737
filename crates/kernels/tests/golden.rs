//! Bit-equality with ONNX Runtime's block quantizers, on vectors that `golden/blocks.py` wrote.

use slipway_kernels::quantize::{
    BlockFit, BlockShape, Blocked, NarrowBits, quantize_block_columns, quantize_block_rows,
};

/// Reads what the script writes, front to back.
struct Reader(&'static [u8]);

impl Reader {
    fn bytes(&mut self, count: usize) -> &'static [u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn words(&mut self, count: usize) -> Vec<u32> {
        self.bytes(4 * count).as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
    }

    fn sizes<const COUNT: usize>(&mut self) -> [usize; COUNT] {
        let words = self.words(COUNT);
        std::array::from_fn(|index| words[index] as usize)
    }
}

/// One weight and what ONNX Runtime makes of it.
struct Case {
    shape: BlockShape,
    columns: usize,
    weight: Vec<f32>,
    integers: Vec<u8>,
    scales: Vec<u32>,
    zero_points: &'static [u8],
}

fn cases() -> impl Iterator<Item = Case> {
    let mut reader = Reader(include_bytes!("golden/blocks.bin"));
    std::iter::from_fn(move || (!reader.0.is_empty()).then(|| case(&mut reader)))
}

fn case(reader: &mut Reader) -> Case {
    let [bits, size, rows, columns, zero_points] = reader.sizes();
    let bits = if bits == 4 { NarrowBits::Four } else { NarrowBits::Eight };
    let shape = BlockShape::new(bits, size, zero_points == 1, rows).expect("an even block");
    let weight = reader.words(rows * columns).into_iter().map(f32::from_bits).collect();
    let mut integers = reader.bytes(columns * shape.column_bytes()).to_vec();
    if bits == NarrowBits::Four && rows % 2 == 1 {
        // Beside the last value of an odd column ONNX Runtime leaves whatever it packed before.
        for column in integers.chunks_exact_mut(shape.column_bytes()) {
            column[rows / 2] &= 0x0f;
        }
    }
    let scales = reader.words(columns * shape.blocks());
    let zero_points = reader.bytes(columns * shape.zero_point_bytes());
    Case { shape, columns, weight, integers, scales, zero_points }
}

impl Case {
    fn check(&self, quantize: impl FnOnce(Blocked<'_>)) {
        let mut integers = vec![0xff; self.integers.len()];
        let mut scales = vec![f32::NAN; self.scales.len()];
        let mut zero_points = vec![0xff; self.zero_points.len()];
        quantize(Blocked { integers: &mut integers, scales: &mut scales, zero_points: &mut zero_points });
        let scales: Vec<u32> = scales.into_iter().map(f32::to_bits).collect();
        assert_eq!(scales, self.scales, "scales of {:?}", self.shape);
        assert_eq!(zero_points, self.zero_points, "zero points of {:?}", self.shape);
        assert_eq!(integers, self.integers, "integers of {:?}", self.shape);
    }
}

#[test]
fn blocks_of_a_row_major_weight_are_those_of_onnx_runtime() {
    let mut count = 0;
    for case in cases() {
        case.check(|out| {
            quantize_block_columns(&case.weight, case.columns, 0, case.shape, BlockFit::Nearest, out)
                .unwrap();
        });
        count += 1;
    }
    assert_eq!(count, 9 * 2 * 2 * 17);
}

#[test]
fn blocks_of_a_transposed_weight_are_those_of_onnx_runtime() {
    for case in cases() {
        let transposed: Vec<f32> = (0..case.columns)
            .flat_map(|column| case.weight.iter().skip(column).step_by(case.columns).copied())
            .collect();
        case.check(|out| {
            quantize_block_rows(&transposed, case.shape, BlockFit::Nearest, out).unwrap();
        });
    }
}
