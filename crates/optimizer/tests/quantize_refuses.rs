//! What the quantizer must not take, or must take another way: it would be wrong, and nobody would say so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use common::{Case, count, layer, noise, options};
use slipway_model::onnx::build::{ModelBuilder, int, node, tensor as tensor_attribute};
use slipway_model::onnx::proto::{FunctionProto, NodeProto, OperatorSetIdProto, TensorProto};
use slipway_model::onnx::{DataType, OnnxModel};
use slipway_optimizer::stage::quantize::{
    Engine, Fit, Form, Granularity, HalfFloat, Method, Options, QuantizeReport,
};

fn per_channel() -> Options {
    options(Granularity::PerChannel)
}

fn error(case: &Case, options: &Options) -> String {
    case.quantize(options).unwrap_err().to_string()
}

#[test]
fn an_opset_before_broadcasting_is_refused() {
    let message = error(&Case::new(&layer().opset(6)), &per_channel());
    assert!(message.contains("opset 6, and 7 is needed"), "{message}");
}

/// `spatial` went with opset 9: raised models must not have it, and those that need it are not raised.
#[test]
fn an_attribute_that_a_raised_opset_does_not_know_goes_or_keeps_the_opset() {
    let normalized = |spatial: i64| {
        ["scale", "bias", "mean", "var"]
            .iter()
            .fold(layer(), |model, name| model.floats(name, &[16], &[1.0; 16]))
            .node_with(
                "BatchNormalization",
                &["y", "scale", "bias", "mean", "var"],
                &["z"],
                vec![int("spatial", spatial)],
            )
            .opset(8)
    };
    let attributes = |model: &OnnxModel| {
        let node = model.graph().node.iter().find(|node| node.op_type() == "BatchNormalization");
        node.unwrap().attribute.len()
    };
    let case = Case::new(&normalized(1));
    assert_eq!(case.quantize(&per_channel()).unwrap().opset, 11);
    assert_eq!(attributes(&case.output_model()), 0);
    let case = Case::new(&normalized(0));
    let report = case.quantize(&per_channel()).unwrap();
    assert_eq!((report.opset, report.tensors[0].form), (8, Form::Expanded));
    assert_eq!(attributes(&case.output_model()), 1);
}

#[test]
fn a_look_up_without_rows_is_left_alone() {
    let model = layer().floats("table", &[16, 16], &noise(2, 256)).node("Gather", &["table"], &["rows"]);
    let report = Case::new(&model).quantize(&per_channel()).unwrap();
    assert_eq!(report.tensors.len(), 1);
}

#[test]
fn a_vector_times_matrices_keeps_its_shape() {
    let batched = |dims: &[i64]| {
        let model = ModelBuilder::new().input("x", dims).output("y", &[2, 8]).floats(
            "w",
            &[2, 16, 8],
            &noise(3, 256),
        );
        Case::new(&model.node("MatMul", &["x", "w"], &["y"]))
    };
    let report = batched(&[16]).check(&[16], Granularity::PerChannel);
    assert_eq!(report.tensors[0].form, Form::Expanded);
    let report = batched(&[2, 3, 16]).check(&[2, 3, 16], Granularity::PerChannel);
    assert_eq!(report.tensors[0].form, Form::MatMulInteger);
}

#[test]
fn weights_beyond_sixteen_bits_stay_as_they_are() {
    let half = Options { method: Method::Half { float: HalfFloat::Float16 }, ..per_channel() };
    for (scale, words) in [(1e-8, "too small for 16-bit floats"), (1e6, "beyond the largest 16-bit float")] {
        let weights: Vec<f32> = noise(4, 256).iter().map(|value| value * scale).collect();
        let model =
            ModelBuilder::new().input("x", &[-1, 16]).output("y", &[-1, 16]).floats("w", &[16, 16], &weights);
        let case = Case::new(&model.node("MatMul", &["x", "w"], &["y"]));
        let message = error(&case, &half);
        assert!(message.contains("\"w\": ") && message.contains(words), "{message}");
        assert!(!case.output.exists());
    }
    Case::new(&layer()).quantize(&half).unwrap();
}

/// A square weight in which some columns are smaller than the others.
fn uneven(smaller: std::ops::Range<usize>, by: f32) -> Case {
    let mut weights = noise(5, 64 * 64);
    for (index, value) in weights.iter_mut().enumerate() {
        *value *= if smaller.contains(&(index % 64)) { by } else { 1.0 };
    }
    let model = ModelBuilder::new().input("x", &[-1, 64]).output("y", &[-1, 64]);
    Case::new(&model.floats("w", &[64, 64], &weights).node("MatMul", &["x", "w"], &["y"]))
}

#[test]
fn channels_that_sixteen_bits_cannot_hold_are_counted_and_most_of_them_keep_the_weight() {
    let half = |float| Options { method: Method::Half { float }, ..per_channel() };
    let lost = |case: &Case, float| case.quantize(&half(float)).unwrap().tensors[0].lost_channels;
    assert_eq!(lost(&uneven(7..8, 1e-9), HalfFloat::Float16), 1, "zeros");
    assert_eq!(lost(&uneven(7..10, 1e-7), HalfFloat::Float16), 3, "a bit or two");
    assert_eq!(lost(&uneven(7..10, 1e-4), HalfFloat::Float16), 0);
    let brain = Options { engine: Engine::OnnxRuntime, ..half(HalfFloat::Bfloat16) };
    assert_eq!(uneven(7..8, 1e-9).quantize(&brain).unwrap().tensors[0].lost_channels, 0);
    let message = error(&uneven(0..40, 1e-9), &half(HalfFloat::Float16));
    assert!(message.contains("those of most channels, are too small for 16-bit floats"), "{message}");
}

/// Weights that are finite, but whose errors have no finite square.
#[test]
fn a_report_says_why_a_figure_is_missing_and_comes_back_from_its_text() {
    let weights: Vec<f32> = noise(5, 256).iter().map(|value| value * 1e30).collect();
    let model =
        ModelBuilder::new().input("x", &[-1, 16]).output("y", &[-1, 16]).floats("w", &[16, 16], &weights);
    let case = Case::new(&model.node("MatMul", &["x", "w"], &["y"]));
    for method in [
        Method::Dynamic { granularity: Granularity::PerChannel, reduce_range: true },
        Method::Eight { granularity: Granularity::PerTensor },
        Method::Four { block: 16, zero_points: false, fit: Fit::Nearest },
    ] {
        let report = case.quantize(&Options { method, ..per_channel() }).unwrap();
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains("null"), "{text}");
        assert_eq!(serde_json::from_str::<QuantizeReport>(&text).unwrap(), report);
        let tensor = &report.tensors[0];
        assert!(tensor.max_error.is_none_or(f32::is_finite) && tensor.sqnr_db.is_none_or(f64::is_finite));
        let is_whole = tensor.max_error.is_some() && tensor.sqnr_db.is_some();
        assert_eq!(tensor.unmeasured.is_none(), is_whole, "{tensor:?}");
    }
}

#[test]
fn sums_that_could_overflow_32_bits_stay_floats() {
    // 255 of an activation times 127 of a weight, or 64 with a bit to spare.
    for (reduce_range, most) in [(false, 66_311), (true, 131_586)] {
        assert!(most * 255 * if reduce_range { 64 } else { 127 } <= i64::from(i32::MAX));
        for (depth, fits) in [(most, true), (most + 1, false)] {
            let values = vec![0.5; usize::try_from(depth).unwrap()];
            let model = ModelBuilder::new()
                .input("x", &[-1, depth])
                .output("y", &[-1, 1])
                .floats("w", &[depth, 1], &values)
                .node("MatMul", &["x", "w"], &["y"]);
            let method = Method::Dynamic { granularity: Granularity::PerChannel, reduce_range };
            let quantized = Case::new(&model).quantize(&Options { method, ..per_channel() });
            let words = format!("sums over {depth} products may overflow 32 bits");
            match quantized {
                Ok(report) => assert!(fits && report.tensors[0].form == Form::MatMulInteger, "{depth}"),
                Err(error) => assert!(!fits && error.to_string().contains(&words), "{depth}: {error}"),
            }
        }
    }
}

#[test]
fn channels_that_one_scale_turns_to_zero_are_counted() {
    let mut weights = noise(5, 256);
    for (index, value) in weights.iter_mut().enumerate() {
        *value *= if index % 16 < 4 { 1e-4 } else { 1.0 };
    }
    let model =
        ModelBuilder::new().input("x", &[-1, 16]).output("y", &[-1, 16]).floats("w", &[16, 16], &weights);
    let case = Case::new(&model.node("MatMul", &["x", "w"], &["y"]));
    assert_eq!(case.quantize(&options(Granularity::PerTensor)).unwrap().tensors[0].lost_channels, 4);
    assert_eq!(case.quantize(&per_channel()).unwrap().tensors[0].lost_channels, 0);
}

#[test]
fn a_reshape_of_a_reshape_is_followed_from_the_tensor_on() {
    let whole = |name: &str, values: [i64; 2]| tensor_attribute("value", integers(name, &values));
    let model = ModelBuilder::new()
        .input("x", &[-1, 12])
        .output("y", &[-1, 16])
        .floats("w", &[16, 12], &noise(6, 192))
        .node_with("Constant", &[], &["turned"], vec![whole("turned", [12, 16])])
        .node_with("Constant", &[], &["kept"], vec![whole("kept", [0, -1])])
        .node("Reshape", &["w", "turned"], &["v"])
        .node("Reshape", &["v", "kept"], &["u"])
        .node("MatMul", &["x", "u"], &["y"]);
    let report = Case::new(&model).check(&[3, 12], Granularity::PerChannel);
    assert_eq!(report.tensors[0].shape, [12, 16]);
}

fn integers(name: &str, values: &[i64; 2]) -> TensorProto {
    let data_type = Some(DataType::INT64.code());
    TensorProto {
        name: Some(name.to_owned()),
        dims: vec![2],
        data_type,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

#[test]
fn functions_of_one_name_are_told_apart_by_their_overload() {
    let function = |overload: &str, op: &str| FunctionProto {
        name: Some("twice".to_owned()),
        domain: Some("mine".to_owned()),
        overload: Some(overload.to_owned()),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: vec![node(op, &["a"], &["b"], vec![])],
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        ..FunctionProto::default()
    };
    let call = |overload: &str, from: &str, to: &str| NodeProto {
        domain: Some("mine".to_owned()),
        overload: Some(overload.to_owned()),
        ..node("twice", &[from], &[to], vec![])
    };
    let mut model = layer().opset(17);
    model.graph().node.extend([call("", "y", "r"), call("s", "r", "z")]);
    model.proto.functions = vec![function("", "Relu"), function("s", "Sigmoid")];
    model.proto.opset_import.push(OperatorSetIdProto { domain: Some("mine".to_owned()), version: Some(1) });
    let case = Case::new(&model);
    case.quantize(&per_channel()).unwrap();
    let output = case.output_model();
    assert_eq!((count(&output, "Relu"), count(&output, "Sigmoid")), (1, 1));
    assert!(output.proto().functions.is_empty());
}
