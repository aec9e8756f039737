//! How much memory the answers of a sensitivity study take, counted.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    reason = "a test that counts what is allocated"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Case, noise};
use slipway_model::onnx::DataType;
use slipway_model::onnx::build::{ModelBuilder, int};
use slipway_model::onnx::proto::TensorProto;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::sensitivity::{Measure, SensitivityOptions, sensitivity};
use slipway_optimizer::stage::quantize::{Granularity, Method, Options};
use slipway_server::{EngineOptions, Tensor, TensorData};

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which is asked for everything, and counted.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a sample has, and what each row of an answer has.
const WIDTH: usize = 64;
const CLASSES: usize = 2;
const ROWS: usize = 65_536;

/// A model whose answer is far larger than what it is asked: one row of scores, many times.
fn model() -> ModelBuilder {
    let dims = [WIDTH as i64, CLASSES as i64];
    let shape = TensorProto {
        name: Some("shape".to_owned()),
        dims: vec![3],
        data_type: Some(DataType::INT64.code()),
        int64_data: vec![1, ROWS as i64, CLASSES as i64],
        ..TensorProto::default()
    };
    ModelBuilder::new()
        .input("x", &[-1, WIDTH as i64])
        .output("y", &[1, ROWS as i64, CLASSES as i64])
        .floats("w", &dims, &noise(1, WIDTH * CLASSES))
        .initializer(shape)
        .node("MatMul", &["x", "w"], &["scores"])
        .node_with("Softmax", &["scores"], &["row"], vec![int("axis", -1)])
        .node("Expand", &["row", "shape"], &["y"])
}

/// The most bytes that were held at a time while a model's answers to so many samples were compared.
fn peak(measure: Option<Measure>, samples: u64) -> usize {
    let case = Case::new(&model());
    let sample = |seed| vec![Tensor::new(vec![1, WIDTH], TensorData::Fp32(noise(seed, WIDTH))).unwrap()];
    let samples: Vec<_> = (0..samples).map(sample).collect();
    let method = Method::Dynamic { granularity: Granularity::PerChannel, reduce_range: true };
    let quantize = Options { method, allow_bigger: true, ..Options::default() };
    let engine = EngineOptions { threads: 1, ..EngineOptions::default() };
    let options = SensitivityOptions { measure, engine, ..SensitivityOptions::new(quantize, 1.0) };
    MOST.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
    let before = MOST.load(Ordering::Relaxed);
    let study = sensitivity(&case.input, &samples, &options, &Silent).unwrap();
    assert_eq!(study.decisions, ROWS * samples.len());
    MOST.load(Ordering::Relaxed) - before
}

#[test]
fn memory_does_not_grow_with_the_answers() {
    let answer = ROWS * CLASSES * size_of::<f64>();
    for measure in [None, Some(Measure::Disagreement), Some(Measure::RelativeError)] {
        let (few, many) = (peak(measure, 2), peak(measure, 34));
        assert!(many < few + 2 * answer, "{measure:?}: {few} of 2 samples, {many} of 34");
    }
}
