//! Every form of multiplication that the quantizer takes, run through rten before and after.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "these are tests, helpers included")]

mod common;

use common::{Case, count, noise, options, tensor, tensor_bytes};
use slipway_model::onnx::build::{
    ModelBuilder, float, float_tensor, int, ints, string, tensor as tensor_attribute,
};
use slipway_optimizer::stage::quantize::{Engine, Form, Granularity, Method, Options, Rule};

const BOTH: [Granularity; 2] = [Granularity::PerTensor, Granularity::PerChannel];

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word))
}

fn one_matmul() -> ModelBuilder {
    ModelBuilder::new()
        .input("x", &[-1, 32])
        .output("y", &[-1, 48])
        .floats("w", &[32, 48], &noise(1, 32 * 48))
        .node("MatMul", &["x", "w"], &["y"])
}

#[test]
fn a_matmul_becomes_integers_and_keeps_its_answers() {
    for granularity in BOTH {
        let case = Case::new(&one_matmul());
        let report = case.check(&[5, 32], granularity);
        let model = case.output_model();
        assert_eq!(count(&model, "MatMul"), 0);
        for op in ["DynamicQuantizeLinear", "MatMulInteger", "Cast"] {
            assert_eq!(count(&model, op), 1, "{op}");
        }
        assert!(tensor(&model, "w").is_none(), "the float weight is gone");
        let found = &report.tensors[0];
        assert_eq!((found.name.as_str(), found.shape.as_slice()), ("w", &[32, 48][..]));
        assert_eq!(found.scheme, "int8/7");
        let largest = floats(&tensor_bytes(&model, "w_scale")).fold(0.0, f32::max);
        assert!(found.max_error.unwrap() <= largest * 0.500_01);
        assert!(found.sqnr_db.unwrap() > 30.0);
        assert_eq!(found.saturated, 0);
        assert!(tensor_bytes(&model, "w_quantized").iter().all(|q| q.cast_signed().unsigned_abs() <= 64));
        let channels = if granularity == Granularity::PerChannel { 48 } else { 1 };
        assert_eq!(tensor_bytes(&model, "w_scale").len(), 4 * channels);
    }
}

#[test]
fn eight_bits_are_there_for_who_asks() {
    let case = Case::new(&one_matmul());
    let mut eight = options(Granularity::PerChannel);
    eight.method = Method::Dynamic { granularity: Granularity::PerChannel, reduce_range: false };
    assert_eq!(case.quantize(&eight).unwrap().tensors[0].scheme, "int8/8");
    let bytes = tensor_bytes(&case.output_model(), "w_quantized");
    assert_eq!(bytes.iter().map(|q| q.cast_signed().unsigned_abs()).max(), Some(127));
}

#[test]
fn what_goes_in_and_out_stays_as_it_was() {
    let case = Case::new(&one_matmul());
    case.quantize(&options(Granularity::PerChannel)).unwrap();
    let before = slipway_model::onnx::OnnxModel::open(&case.input).unwrap().facts();
    let after = case.output_model().facts();
    assert_eq!((before.inputs, before.outputs), (after.inputs, after.outputs));
}

#[test]
fn every_gemm_keeps_its_answers() {
    for trans_a in [0, 1] {
        for trans_b in [0, 1] {
            for (alpha, beta) in [(1.0, 1.0), (-0.5, 3.0)] {
                for granularity in BOTH {
                    let (x, w) = ([[7, 16], [16, 7]][trans_a], [[16, 24], [24, 16]][trans_b]);
                    let dims = |dims: [usize; 2]| dims.map(|dim| i64::try_from(dim).unwrap());
                    let attributes = vec![
                        int("transA", i64::from(trans_a == 1)),
                        int("transB", i64::from(trans_b == 1)),
                        float("alpha", alpha),
                        float("beta", beta),
                    ];
                    let model = ModelBuilder::new()
                        .input("x", &dims(x))
                        .output("y", &[7, 24])
                        .floats("w", &dims(w), &noise(2, 16 * 24))
                        .floats("c", &[24], &noise(3, 24))
                        .node_with("Gemm", &["x", "w", "c"], &["y"], attributes);
                    let case = Case::new(&model);
                    let report = case.check(&x, granularity);
                    assert_eq!(report.tensors[0].shape, [16, 24]);
                    assert_eq!(count(&case.output_model(), "Gemm"), 0);
                }
            }
        }
    }
}

#[test]
fn a_gemm_without_bias_needs_no_addition() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .floats("w", &[16, 16], &noise(4, 256))
        .node("Gemm", &["x", "w"], &["y"]);
    let case = Case::new(&model);
    case.check(&[3, 16], Granularity::PerChannel);
    assert_eq!(count(&case.output_model(), "Add"), 0);
}

#[test]
fn batches_of_weights_share_the_scale_of_a_column() {
    let model = ModelBuilder::new()
        .input("x", &[3, 5, 8])
        .output("y", &[3, 5, 16])
        .floats("w", &[3, 8, 16], &noise(5, 3 * 8 * 16))
        .node("MatMul", &["x", "w"], &["y"]);
    Case::new(&model).check(&[3, 5, 8], Granularity::PerChannel);
}

#[test]
fn an_activation_is_quantized_once_for_all_its_users() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .floats("a", &[16, 16], &noise(6, 256))
        .floats("b", &[16, 16], &noise(7, 256))
        .node("MatMul", &["x", "a"], &["p"])
        .node("MatMul", &["x", "b"], &["q"])
        .node("Add", &["p", "q"], &["y"]);
    let case = Case::new(&model);
    case.check(&[4, 16], Granularity::PerChannel);
    assert_eq!(count(&case.output_model(), "DynamicQuantizeLinear"), 1);
    assert_eq!(count(&case.output_model(), "MatMulInteger"), 2);
}

#[test]
fn a_weight_of_two_layers_is_kept_once() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .floats("w", &[16, 16], &noise(8, 256))
        .node("MatMul", &["x", "w"], &["h"])
        .node("Relu", &["h"], &["r"])
        .node("MatMul", &["r", "w"], &["y"]);
    let case = Case::new(&model);
    let report = case.check(&[4, 16], Granularity::PerTensor);
    assert_eq!(report.tensors.len(), 1);
    assert!(!report.tensors[0].float_kept);
    assert_eq!(case.output_model().facts().initializers["int8"].count, 2, "the weight and a zero point");
}

#[test]
fn weights_are_found_in_constants_and_behind_identity_and_transpose() {
    let constant = vec![tensor_attribute("value", float_tensor("", &[16, 16], &noise(9, 256)))];
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .floats("w", &[16, 16], &noise(10, 256))
        .node_with("Constant", &[], &["c"], constant)
        .node("Identity", &["c"], &["i"])
        .node_with("Transpose", &["w"], &["t"], vec![ints("perm", &[1, 0])])
        .node("MatMul", &["x", "i"], &["h"])
        .node("MatMul", &["h", "t"], &["y"]);
    let case = Case::new(&model);
    let report = case.check(&[4, 16], Granularity::PerChannel);
    assert_eq!(report.tensors.len(), 2);
    let after = case.output_model();
    for op in ["Constant", "Identity", "Transpose"] {
        assert_eq!(count(&after, op), 0, "{op}");
    }
}

#[test]
fn two_transpositions_cancel() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 24])
        .floats("w", &[16, 24], &noise(11, 384))
        .node("Transpose", &["w"], &["t"])
        .node_with("Gemm", &["x", "t"], &["y"], vec![int("transB", 1)]);
    let case = Case::new(&model);
    assert_eq!(case.check(&[4, 16], Granularity::PerChannel).tensors[0].shape, [16, 24]);
}

#[test]
fn zeros_and_one_column_are_no_special_case() {
    let mut values = noise(12, 256);
    values.iter_mut().step_by(16).for_each(|value| *value = 0.0);
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 1])
        .floats("w", &[16, 16], &values)
        .floats("v", &[16, 1], &noise(13, 16))
        .node("MatMul", &["x", "w"], &["h"])
        .node("MatMul", &["h", "v"], &["y"]);
    let case = Case::new(&model);
    let mut all = options(Granularity::PerChannel);
    all.least_elements = 1;
    case.quantize(&all).unwrap();
    case.check_answers(&[6, 16]);
    let quantized = tensor_bytes(&case.output_model(), "w_quantized");
    assert!(quantized.iter().step_by(16).all(|q| *q == 0));
}

/// Rows longer than a piece, and panels narrower than the tensor, give the bytes of the plain way.
#[test]
fn long_rows_and_many_panels_give_the_same_integers() {
    for (depth, width) in [(3, 70_001), (70_001, 3), (40, 120_000)] {
        let values = noise(14, depth * width);
        let mut turned = vec![0.0; values.len()];
        for row in 0..depth {
            for column in 0..width {
                turned[column * depth + row] = values[row * width + column];
            }
        }
        let size = |dim: usize| i64::try_from(dim).unwrap();
        let base = || ModelBuilder::new().input("x", &[-1, size(depth)]).output("y", &[-1, size(width)]);
        let straight = Case::new(&base().floats("w", &[size(depth), size(width)], &values).node(
            "MatMul",
            &["x", "w"],
            &["y"],
        ));
        let transposed = Case::new(&base().floats("w", &[size(width), size(depth)], &turned).node_with(
            "Gemm",
            &["x", "w"],
            &["y"],
            vec![int("transB", 1)],
        ));
        let left = straight.quantize(&options(Granularity::PerChannel)).unwrap();
        let right = transposed.quantize(&options(Granularity::PerChannel)).unwrap();
        assert_eq!(left.tensors[0].max_error, right.tensors[0].max_error);
        for name in ["w_quantized", "w_scale"] {
            let (left, right) = (straight.output_model(), transposed.output_model());
            assert!(tensor_bytes(&left, name) == tensor_bytes(&right, name), "{name} of {depth} × {width}");
        }
    }
}

/// An `LSTM` of so many directions.
fn lstm(directions: i64, attributes: Vec<slipway_model::onnx::proto::AttributeProto>) -> Case {
    let count = |last: i64| usize::try_from(directions * 64 * last).unwrap();
    let attributes = [vec![int("hidden_size", 16)], attributes].concat();
    Case::new(
        &ModelBuilder::new()
            .input("x", &[5, 2, 8])
            .output("y", &[-1, -1, -1, -1])
            .floats("w", &[directions, 64, 8], &noise(21, count(8)))
            .floats("r", &[directions, 64, 16], &noise(22, count(16)))
            .node_with("LSTM", &["x", "w", "r"], &["y"], attributes),
    )
}

#[test]
fn an_lstm_computes_in_integers_where_the_engine_has_the_operator() {
    for (directions, granularity, scales) in [
        (1, Granularity::PerChannel, vec![1, 64]),
        (2, Granularity::PerChannel, vec![2, 64]),
        (1, Granularity::PerTensor, vec![1]),
    ] {
        let direction = if directions == 2 { "bidirectional" } else { "reverse" };
        let case = lstm(directions, vec![string("direction", direction), int("layout", 0)]);
        let options = Options { engine: Engine::OnnxRuntime, ..options(granularity) };
        let report = case.quantize(&options).unwrap();
        assert_eq!(report.tensors.len(), 2);
        for tensor in &report.tensors {
            assert_eq!((tensor.form, tensor.scheme.as_str()), (Form::DynamicQuantizeLstm, "int8/7"));
        }
        let model = case.output_model();
        assert_eq!((count(&model, "LSTM"), count(&model, "Transpose")), (0, 2));
        let nodes = &model.proto().graph.as_ref().unwrap().node;
        let node = nodes.iter().find(|node| node.op_type() == "DynamicQuantizeLSTM").unwrap();
        let attributes: Vec<&str> =
            node.attribute.iter().map(slipway_model::onnx::proto::AttributeProto::name).collect();
        assert_eq!(
            (node.domain(), node.input.len(), attributes),
            ("com.microsoft", 12, vec!["hidden_size", "direction"])
        );
        for (place, name) in [(8, "w"), (10, "r")] {
            assert_eq!(node.input[place], format!("{name}_scale"));
            assert_eq!(tensor(&model, &node.input[place]).unwrap().dims, scales);
            assert_eq!(tensor(&model, &node.input[place + 1]).unwrap().dims, scales);
            assert!(tensor_bytes(&model, &node.input[place + 1]).iter().all(|zero| *zero == 0));
        }
    }
}

#[test]
fn an_lstm_that_the_operator_cannot_be_keeps_its_floats() {
    let integers = |case: &Case, options: &Options| {
        case.quantize(options).unwrap();
        (
            count(&case.output_model(), "com.microsoft.DynamicQuantizeLSTM"),
            count(&case.output_model(), "LSTM"),
        )
    };
    let for_engine = |engine, granularity| Options { engine, ..options(granularity) };
    let ort = for_engine(Engine::OnnxRuntime, Granularity::PerChannel);
    assert_eq!(integers(&lstm(1, vec![]), &ort), (1, 0));
    assert_eq!(integers(&lstm(1, vec![]), &for_engine(Engine::Rten, Granularity::PerChannel)), (0, 1));
    let both = lstm(2, vec![string("direction", "bidirectional")]);
    assert_eq!(
        integers(&both, &for_engine(Engine::OnnxRuntime, Granularity::PerTensor)),
        (0, 1),
        "one scale for two"
    );
    assert_eq!(integers(&lstm(1, vec![int("layout", 1)]), &ort), (0, 1), "batches first");
    let kept = vec![Rule { matches: "w".to_owned(), keep_float: true }];
    assert_eq!(integers(&lstm(1, vec![]), &Options { rules: kept, ..ort }), (0, 1), "one of both stays");
}
