//! Bytes of floats a second that each kernel takes in, beside a copy of the same floats in the same run.
//!
//!     cargo run --release -p slipway-kernels --example throughput [MEBIBYTES]
//!
//! Counted is processor time, which the kernel keeps in ticks of some milliseconds: a smaller tensor says less. The tensor is resident and should be larger than the last-level cache. Kernels and copy take turns, so that a noisy
//! neighbour hits both, and the best of the rounds counts.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use slipway_kernels::quantize::{
    BlockFit, BlockShape, Blocked, NarrowBits, Scheme, abs_max, abs_max_columns, quantize,
    quantize_block_columns, quantize_block_rows, quantize_columns, symmetric_scale, transpose,
};

const COLUMNS: usize = 4096;
const ROUNDS: usize = 7;
/// Rows of a piece that stays in the second-level cache between two passes.
const PIECE_ROWS: usize = 16;

/// A weight and room for everything a kernel writes.
struct Bench {
    weight: Vec<f32>,
    copy: Vec<f32>,
    bytes: Vec<u8>,
    turned: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Vec<u8>,
}

type Kernel = (&'static str, fn(&mut Bench));

/// Searches are bound by arithmetic, so a part of the tensor tells enough.
const PART: usize = 32;

const KERNELS: &[Kernel] = &[
    ("memcpy", |bench| bench.copy.copy_from_slice(&bench.weight)),
    ("range, per tensor", |bench| _ = black_box(abs_max(&bench.weight))),
    ("range, per column", |bench| abs_max_columns(&bench.weight, &mut bench.scales[..COLUMNS])),
    ("8 bits, per tensor, known range", |bench| {
        black_box(quantize(&bench.weight, 0.1, Scheme::INT8, &mut bench.bytes));
    }),
    ("8 bits, per column, known ranges", |bench| {
        let scales = vec![0.1; COLUMNS];
        black_box(quantize_columns(&bench.weight, &scales, Scheme::INT8, &mut bench.bytes));
    }),
    ("8 bits, per row, with its range", |bench| {
        for (row, out) in bench.weight.chunks_exact(COLUMNS).zip(bench.bytes.chunks_exact_mut(COLUMNS)) {
            black_box(quantize(row, symmetric_scale(abs_max(row), Scheme::INT8), Scheme::INT8, out));
        }
    }),
    ("8 bits, per row, transposed", |bench| {
        let panel = PIECE_ROWS * COLUMNS;
        let mut piece = vec![0; panel];
        for (values, out) in bench.weight.chunks(panel).zip(bench.turned.chunks_mut(panel)) {
            black_box(quantize(values, 0.1, Scheme::INT8, &mut piece[..values.len()]));
            transpose(&piece[..values.len()], values.len() / COLUMNS, COLUMNS, out);
        }
    }),
    ("8 bits, blocks of 32, row-major", |bench| {
        bench.block_columns(NarrowBits::Eight, false, BlockFit::Nearest);
    }),
    ("4 bits, blocks of 32, row-major", |bench| {
        bench.block_columns(NarrowBits::Four, false, BlockFit::Nearest);
    }),
    ("4 bits, zero points, row-major", |bench| {
        bench.block_columns(NarrowBits::Four, true, BlockFit::Nearest);
    }),
    ("4 bits, blocks of 32, transposed", |bench| {
        bench.blocks(NarrowBits::Four, false, COLUMNS, |weight, shape, out| {
            black_box(quantize_block_rows(weight, shape, BlockFit::Nearest, out)).expect("finite");
        });
    }),
];

const SEARCHES: &[Kernel] = &[
    ("4 bits, least squares", |bench| bench.block_columns(NarrowBits::Four, false, BlockFit::LeastSquares)),
    ("4 bits, zero points, least squares", |bench| {
        bench.block_columns(NarrowBits::Four, true, BlockFit::LeastSquares);
    }),
    ("4 bits, zero points, half-quadratic", |bench| {
        bench.block_columns(NarrowBits::Four, true, BlockFit::HalfQuadratic);
    }),
];

impl Bench {
    fn new(elements: usize) -> Self {
        let value = |index: usize| {
            // A cheap sequence without period, roughly normal in shape.
            let bits = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            #[expect(clippy::cast_precision_loss, reason = "24 bits")]
            let unit = bits as f32 / 8_388_608.0 - 1.0;
            unit * unit * unit
        };
        Self {
            weight: (0..elements).map(value).collect(),
            copy: vec![1.0; elements],
            bytes: vec![1; elements],
            turned: vec![1; elements],
            scales: vec![1.0; elements / 16],
            zero_points: vec![1; elements / 16],
        }
    }

    fn block_columns(&mut self, bits: NarrowBits, zero_points: bool, fit: BlockFit) {
        let rows = self.weight.len() / COLUMNS;
        self.blocks(bits, zero_points, rows, |weight, shape, out| {
            black_box(quantize_block_columns(weight, COLUMNS, 0, shape, fit, out)).expect("finite");
        });
    }

    fn blocks(
        &mut self,
        bits: NarrowBits,
        zero_points: bool,
        rows: usize,
        run: impl FnOnce(&[f32], BlockShape, Blocked<'_>),
    ) {
        let shape = BlockShape::new(bits, 32, zero_points, rows).expect("an even block");
        let columns = self.weight.len() / rows;
        let out = Blocked {
            integers: &mut self.bytes[..columns * shape.column_bytes()],
            scales: &mut self.scales[..columns * shape.blocks()],
            zero_points: &mut self.zero_points[..columns * shape.zero_point_bytes()],
        };
        run(&self.weight, shape, out);
    }
}

/// Time that this thread spent on a processor, from the kernel's account of it; elsewhere than on Linux, any time.
fn clock() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = account.and_then(|account| account.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// The best time of each kernel.
fn measure(bench: &mut Bench, kernels: &[Kernel]) -> Vec<Duration> {
    let mut best = vec![Duration::MAX; kernels.len()];
    for _ in 0..ROUNDS {
        for ((_, kernel), best) in kernels.iter().zip(&mut best) {
            let start = clock();
            kernel(bench);
            *best = clock().saturating_sub(start).min(*best);
        }
    }
    best
}

fn main() {
    let mebibytes = std::env::args().nth(1).and_then(|size| size.parse().ok()).unwrap_or(1024_usize);
    let step = 32 * COLUMNS;
    let elements = ((mebibytes << 20) / size_of::<f32>()).next_multiple_of(step);
    let part = (elements / PART).next_multiple_of(step);
    println!("{:<36} {:>8} {:>10}", "kernel", "GB/s in", "of memcpy");
    let mut copy = None;
    for (kernels, elements) in [(KERNELS, elements), (SEARCHES, part)] {
        let times = measure(&mut Bench::new(elements), kernels);
        #[expect(clippy::cast_precision_loss, reason = "a size in bytes")]
        let gigabytes = elements as f64 * 4e-9;
        for ((name, _), time) in kernels.iter().zip(&times) {
            let speed = gigabytes / time.as_secs_f64();
            let copy = *copy.get_or_insert(speed);
            println!("{name:<36} {speed:>8.2} {:>9.0}%", 100.0 * speed / copy);
        }
    }
}
