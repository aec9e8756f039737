//! Eight bits in blocks: which integers stand for which weights, and that rten computes with them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use common::{Case, count, noise, options, run, tensor, tensor_bytes};
use slipway_model::onnx::build::{ModelBuilder, int};
use slipway_optimizer::stage::quantize::{
    Engine, Fit, Granularity, Method, Options, QuantizeReport, TensorReport,
};

fn blocks(block: u32, fit: Fit) -> Options {
    Options { method: Method::EightInBlocks { block, fit }, ..options(Granularity::PerChannel) }
}

/// Weights whose blocks of 16 along the depth differ so much that the scale of another would be seen.
fn uneven(dims: &[usize], depth: usize) -> Vec<f32> {
    let inner: usize = dims[depth + 1..].iter().product();
    let scale = |index: usize| {
        let (block, channel) =
            (index / inner % dims[depth] / 16, index % inner + index / inner / dims[depth]);
        10.0_f32.powi(i32::try_from((block * 5 + channel * 3) % 7).unwrap() - 3)
    };
    let values = noise(11, dims.iter().product());
    values.into_iter().enumerate().map(|(index, value)| value * scale(index)).collect()
}

/// What the integers and scales of an output stand for, in the order of the weight.
fn dequantized(case: &Case, name: &str, size: usize) -> (Vec<i64>, Vec<f32>, Vec<f32>) {
    let model = case.output_model();
    let dims = tensor(&model, &format!("{name}_quantized")).unwrap().dims.clone();
    let integers = tensor_bytes(&model, &format!("{name}_quantized"));
    let bytes = tensor_bytes(&model, &format!("{name}_scale"));
    let scales: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let axis = dims.iter().rposition(|dim| usize::try_from(*dim).unwrap() == size).unwrap();
    let inner: usize = dims[axis + 1..].iter().map(|dim| usize::try_from(*dim).unwrap()).product();
    let own = |index: usize| scales[index / (inner * size) * inner + index % inner];
    let value = |(index, byte): (usize, &u8)| f32::from(byte.cast_signed()) * own(index);
    let steps = (0..integers.len()).map(own).collect();
    (dims, integers.iter().enumerate().map(value).collect(), steps)
}

/// One product with a weight of these dimensions.
fn product(dims: &[usize], weight: &[f32], op: &str, attributes: &[(&str, i64)]) -> ModelBuilder {
    let dims: Vec<i64> = dims.iter().map(|dim| i64::try_from(*dim).unwrap()).collect();
    ModelBuilder::new().input("x", &[-1, -1]).output("y", &[-1, -1]).floats("w", &dims, weight).node_with(
        op,
        &["x", "w"],
        &["y"],
        attributes.iter().map(|(name, value)| int(name, *value)).collect(),
    )
}

fn only(report: QuantizeReport) -> TensorReport {
    let [found] = report.tensors.try_into().unwrap();
    found
}

#[test]
fn each_weight_is_its_integer_times_the_scale_of_its_block() {
    for (dims, depth, op, attributes, split) in [
        (&[64, 24][..], 0, "MatMul", &[][..], &[4, 16, 24][..]),
        (&[48, 24], 0, "Gemm", &[], &[3, 16, 24]),
        (&[24, 48], 1, "Gemm", &[("transB", 1)], &[24, 3, 16]),
        // More columns than are worked off at a time, and more rows than that.
        (&[32, 9000], 0, "MatMul", &[], &[2, 16, 9000]),
        (&[9000, 32], 1, "Gemm", &[("transB", 1)], &[9000, 2, 16]),
        // A batch of matrices.
        (&[3, 32, 24], 1, "MatMul", &[], &[3, 2, 16, 24]),
    ] {
        let weight = uneven(dims, depth);
        for fit in [Fit::Nearest, Fit::LeastSquares] {
            let case = Case::new(&product(dims, &weight, op, attributes));
            let found = only(case.quantize(&blocks(16, fit)).unwrap());
            let shape: Vec<u64> = dims.iter().map(|dim| *dim as u64).collect();
            assert_eq!((found.scheme.as_str(), found.shape), ("int8×16", shape), "{dims:?}");
            assert_eq!(found.scales, (weight.len() / 16) as u64);
            let (dims, values, steps) = dequantized(&case, "w", 16);
            assert_eq!(dims, split);
            for ((value, wanted), step) in values.iter().zip(&weight).zip(steps) {
                // The far end of a block has an integer of its own, the other one is a step short.
                assert!((value - wanted).abs() <= step.abs() * 1.01, "{value} {wanted} {step} {split:?}");
            }
            assert!(found.sqnr_db.unwrap() > 38.0, "{:?}", found.sqnr_db);
        }
    }
}

#[test]
fn answers_are_nearer_than_with_a_scale_a_channel_and_the_opset_stays() {
    let weight = uneven(&[64, 24], 0);
    for engine in [Engine::Rten, Engine::OnnxRuntime] {
        let case = Case::new(&product(&[64, 24], &weight, "MatMul", &[]).opset(7));
        let x = noise(99, 4 * 64);
        let wanted = run(&case.input, &[4, 64], &x);
        let error = |options: Options| {
            let report = case.quantize(&Options { engine, ..options }).unwrap();
            assert_eq!(report.opset, 7);
            let found = run(&case.output, &[4, 64], &x);
            wanted.iter().zip(&found).map(|(wanted, found)| (wanted - found).abs()).sum::<f32>()
        };
        let in_blocks = error(blocks(16, Fit::default()));
        let channels = Method::Eight { granularity: Granularity::PerChannel };
        let by_channel = error(Options { method: channels, ..options(Granularity::PerChannel) });
        assert!(in_blocks * 1.5 < by_channel, "{in_blocks} {by_channel}");
    }
}

#[test]
fn least_squares_are_never_worse_than_nearest() {
    let sqnr = |fit| {
        let case = Case::new(&product(&[64, 24], &noise(3, 64 * 24), "MatMul", &[]));
        only(case.quantize(&blocks(32, fit)).unwrap()).sqnr_db.unwrap()
    };
    assert!(sqnr(Fit::LeastSquares) > sqnr(Fit::Nearest));
}

#[test]
fn what_blocks_do_not_divide_has_a_scale_a_channel_and_the_report_says_so() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 48])
        .output("z", &[-1, 16])
        .floats("v", &[48, 64], &noise(1, 48 * 64))
        .floats("w", &[64, 16], &noise(2, 64 * 16))
        .node("MatMul", &["x", "v"], &["y"])
        .node("MatMul", &["y", "w"], &["z"]);
    let case = Case::new(&model);
    let report = case.quantize(&blocks(64, Fit::default())).unwrap();
    let schemes: Vec<_> = report
        .tensors
        .iter()
        .map(|found| (found.name.as_str(), found.scheme.as_str(), found.scales))
        .collect();
    assert_eq!(schemes, [("v", "int8/8", 64), ("w", "int8×64", 16)]);
    case.check_answers(&[3, 48]);
}

#[test]
fn both_matrices_of_a_recurrence_and_one_on_the_left_are_cut_along_their_sums() {
    let model = ModelBuilder::new()
        .input("x", &[5, 2, 32])
        .output("y", &[16, 5])
        .floats("w", &[1, 64, 32], &uneven(&[1, 64, 32], 2))
        .floats("r", &[1, 64, 16], &noise(5, 64 * 16))
        .floats("left", &[24, 16], &noise(6, 24 * 16))
        .node_with("LSTM", &["x", "w", "r"], &["", "h"], vec![int("hidden_size", 16)])
        .node("Squeeze", &["h"], &["s"])
        .node("Transpose", &["s"], &["t"])
        .node("MatMul", &["left", "t"], &["y"])
        .opset(12);
    let case = Case::new(&model);
    let report = case.quantize(&blocks(16, Fit::default())).unwrap();
    let scales: Vec<_> = report.tensors.iter().map(|found| (found.scheme.as_str(), found.scales)).collect();
    assert_eq!(scales, [("int8×16", 128), ("int8×16", 64), ("int8×16", 24)]);
    assert_eq!(dequantized(&case, "w", 16).0, [1, 64, 2, 16]);
    case.check_answers(&[5, 2, 32]);
}

#[test]
fn a_table_and_the_head_that_it_is_too_share_what_is_stored() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 32])
        .output("y", &[-1, 40])
        .floats("table", &[40, 32], &uneven(&[40, 32], 1))
        .node("ArgMax", &["x"], &["ids"])
        .node("Gather", &["table", "ids"], &["rows"])
        .node("Squeeze", &["rows"], &["flat"])
        .node_with("Gemm", &["flat", "table"], &["y"], vec![int("transB", 1)])
        .opset(12);
    let case = Case::new(&model);
    let report = case.quantize(&blocks(16, Fit::default())).unwrap();
    assert_eq!(only(report).scales, 80);
    let output = case.output_model();
    assert_eq!((count(&output, "Gather"), count(&output, "Cast")), (2, 2));
    assert!(tensor(&output, "table").is_none());
    case.check_answers(&[32, 32]);
}
