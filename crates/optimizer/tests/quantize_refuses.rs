//! What the quantizer must not take, or must take another way: it would be wrong, and nobody would say so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use common::{Case, count, layer, noise, options};
use slipway_model::onnx::build::{ModelBuilder, int, node, tensor as tensor_attribute};
use slipway_model::onnx::proto::{FunctionProto, NodeProto, OperatorSetIdProto, TensorProto};
use slipway_model::onnx::{DataType, OnnxModel};
use slipway_optimizer::stage::quantize::{Form, Granularity, HalfFloat, Method, Options};

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
    for scale in [1e-8, 1e6] {
        let weights: Vec<f32> = noise(4, 256).iter().map(|value| value * scale).collect();
        let model =
            ModelBuilder::new().input("x", &[-1, 16]).output("y", &[-1, 16]).floats("w", &[16, 16], &weights);
        let case = Case::new(&model.node("MatMul", &["x", "w"], &["y"]));
        let message = error(&case, &half);
        assert!(message.contains("\"w\": its values lie beyond 16-bit floats"), "{message}");
        assert!(!case.output.exists());
    }
    Case::new(&layer()).quantize(&half).unwrap();
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
    assert_eq!(case.quantize(&options(Granularity::PerTensor)).unwrap().tensors[0].zeroed_channels, 4);
    assert_eq!(case.quantize(&per_channel()).unwrap().tensors[0].zeroed_channels, 0);
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
