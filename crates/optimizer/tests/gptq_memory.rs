//! How much memory second moments take, counted.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    reason = "a test that counts what is allocated"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Case, noise};
use slipway_model::onnx::build::ModelBuilder;
use slipway_optimizer::calibrate::Data;
use slipway_optimizer::stage::quantize::{Fit, Method, Options};
use slipway_server::{Tensor, TensorData};

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

const DEPTH: usize = 256;
const LAYERS: usize = 24;

/// A chain of products, so that each has second moments of its own.
fn model() -> ModelBuilder {
    let dims = [DEPTH as i64, DEPTH as i64];
    let mut model = ModelBuilder::new().input("v0", &[-1, DEPTH as i64]).output("y", &[-1, DEPTH as i64]);
    for layer in 0..LAYERS {
        let [weight, from, to] = [format!("w{layer}"), format!("v{layer}"), format!("v{}", layer + 1)];
        let values: Vec<f32> = noise(layer as u64, DEPTH * DEPTH).iter().map(|value| value * 0.08).collect();
        model = model.floats(&weight, &dims, &values).node("MatMul", &[&from, &weight], &[&to]);
    }
    model.node("Relu", &[&format!("v{LAYERS}")], &["y"])
}

/// The most bytes that were held at a time while the model was quantized.
fn peak(case: &Case, memory: usize) -> usize {
    let sample = Tensor::new(vec![4, DEPTH], TensorData::Fp32(noise(1, 4 * DEPTH))).unwrap();
    let data = Data { memory: memory as u64, ..Data::new(Arc::new(vec![vec![sample]]), "sha256:d") };
    let method = Method::Four { block: 32, zero_points: false, fit: Fit::Gptq };
    let options = Options { method, data: Some(data), ..Options::default() };
    MOST.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
    let report = case.quantize(&options).unwrap();
    assert_eq!(report.tensors.iter().filter(|tensor| tensor.on_data).count(), LAYERS);
    MOST.load(Ordering::Relaxed)
}

#[test]
fn second_moments_take_no_more_than_they_may() {
    let one = DEPTH * DEPTH * 8;
    let case = Case::new(&model());
    let (all, two, single) = (peak(&case, LAYERS * one), peak(&case, 2 * one), peak(&case, one));
    assert!(all > single + (LAYERS - 2) * one, "{all} {single}: what is bounded is what counts");
    assert!(two < single + 2 * one, "{two} {single}");
}
