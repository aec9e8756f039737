//! The ways in which models hide, share and name what the quantizer touches.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "these are tests, helpers included")]

mod common;

use std::fs;

use common::{Case, count, layer, noise, options, tensor};
use slipway_model::onnx::build::{
    ModelBuilder, external_tensor, float_value, graph, int, node, tensor as tensor_attribute,
};
use slipway_model::onnx::proto::{
    FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, SparseTensorProto, TensorProto,
};
use slipway_model::onnx::{DataType, OnnxModel, Payload};
use slipway_optimizer::file::FileError;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Form, Granularity, Options, QuantizeError, Skipped, quantize};

fn per_channel() -> Options {
    options(Granularity::PerChannel)
}

fn skipped(case: &Case) -> Vec<Skipped> {
    match case.quantize(&per_channel()) {
        Err(QuantizeError::NothingChanged { skipped }) => skipped,
        other => panic!("expected nothing to change, got {other:?}"),
    }
}

#[test]
fn a_float_tensor_that_others_use_stays() {
    let as_output = layer().output("w", &[16, 16]);
    let by_a_node = layer().node("Add", &["y", "w"], &["z"]).output("z", &[-1, 16]);
    let body = GraphProto {
        node: vec![node("Identity", &["w"], &["inner"], vec![])],
        output: vec![float_value("inner", &[16, 16])],
        ..GraphProto::default()
    };
    let attributes = vec![graph("then_branch", body.clone()), graph("else_branch", body)];
    let in_a_subgraph = layer().node_with("If", &["flag"], &["z"], attributes).output("z", &[16, 16]);
    for model in [as_output, by_a_node, in_a_subgraph] {
        let case = Case::new(&model);
        let report = case.quantize(&per_channel()).unwrap();
        assert!(report.tensors[0].float_kept);
        assert!(tensor(&case.output_model(), "w").is_some());
    }
}

#[test]
fn a_constant_that_the_graph_gives_stays_where_it_is() {
    let constant = slipway_model::onnx::build::float_tensor("", &[300], &noise(7, 300));
    let model = layer().output("c", &[300]).node_with(
        "Constant",
        &[],
        &["c"],
        vec![tensor_attribute("value", constant)],
    );
    let case = Case::new(&model);
    case.quantize(&per_channel()).unwrap();
    let after = case.output_model();
    assert!(count(&after, "Constant") == 1 && tensor(&after, "c").is_none());
}

/// A call that cannot be written out, since its function is for another operator set.
fn called(body: GraphProto) -> ModelBuilder {
    let mut model = layer().output("z", &[-1, 16]);
    let call = node("Choose", &["y"], &["z"], vec![]);
    model.graph().node.push(NodeProto { domain: Some("own".to_owned()), ..call });
    model.proto.functions = vec![FunctionProto {
        name: Some("Choose".to_owned()),
        domain: Some("own".to_owned()),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node: vec![node("If", &["a"], &["b"], vec![graph("then_branch", body)])],
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(9) }],
        ..FunctionProto::default()
    }];
    model
}

#[test]
fn external_data_inside_functions_goes_with_the_model() {
    let body = GraphProto {
        node: vec![node("Add", &["a", "inner"], &["t"], vec![])],
        initializer: vec![external_tensor("inner", &[16], &[("location", "inner.bin")])],
        output: vec![float_value("t", &[])],
        ..GraphProto::default()
    };
    let mut model = called(body);
    model.graph().sparse_initializer.push(SparseTensorProto {
        values: Some(external_tensor("sparse", &[16], &[("location", "inner.bin")])),
        ..SparseTensorProto::default()
    });
    let case = Case::new(&model);
    let values: Vec<u8> = noise(3, 16).iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(case.folder.path().join("inner.bin"), &values).unwrap();
    OnnxModel::open(&case.input).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let simplify = slipway_optimizer::stage::simplify::simplify;
    let anyway = slipway_optimizer::stage::simplify::Options { allow_unchanged: true, ..Default::default() };
    for (name, made) in [("quantized.onnx", false), ("simplified.onnx", true)] {
        let output = elsewhere.path().join(name);
        if made {
            simplify(&case.input, &output, &anyway, &Silent).unwrap();
        } else {
            quantize(&case.input, &output, &per_channel(), &Silent).unwrap();
        }
        let after = OnnxModel::open(&output).unwrap();
        let inner = slipway_model::onnx::subgraphs(&after.proto().functions[0].node[0]).next().unwrap();
        assert_eq!(inner.initializer[0].raw_data.as_deref(), Some(values.as_slice()), "{name}");
        let sparse = after.graph().sparse_initializer[0].values.as_ref().unwrap();
        assert_eq!(sparse.raw_data.as_deref(), Some(values.as_slice()), "{name}");
    }
}

#[test]
fn names_that_are_taken_are_left_to_their_owners() {
    let model = layer()
        .floats("w_quantized", &[16], &noise(2, 16))
        .floats("int8_zero_point", &[16], &noise(3, 16))
        .node("Add", &["y", "w_quantized"], &["x_scale"])
        .node("Add", &["x_scale", "int8_zero_point"], &["y_int32"]);
    let mut model = model;
    model.graph().output[0].name = Some("y_int32".to_owned());
    let case = Case::new(&model);
    case.check(&[3, 16], Granularity::PerChannel);
    let after = case.output_model();
    assert_eq!(tensor(&after, "w_quantized").unwrap().data_type(), DataType::FLOAT.code());
    assert_eq!(tensor(&after, "w_quantized_1").unwrap().data_type(), DataType::INT8.code());
}

#[test]
fn an_initializer_that_is_an_input_too_becomes_a_constant() {
    for ir_version in [3, 8] {
        let mut model = layer().input("w", &[16, 16]);
        model.proto.ir_version = Some(ir_version);
        let case = Case::new(&model);
        let report = case.quantize(&per_channel()).unwrap();
        assert_eq!(report.frozen, ["w"]);
        let after = case.output_model();
        assert_eq!(after.graph().input.len(), 1);
        assert!(after.proto().ir_version() >= 4, "before 4 an initializer had to be an input");
        let before = OnnxModel::open(&case.input).unwrap().facts();
        assert_eq!(before.inputs, after.facts().inputs);
    }
}

#[test]
fn descriptions_of_what_is_gone_go_too() {
    let mut model = layer();
    model.graph().value_info = vec![float_value("w", &[16, 16]), float_value("y", &[-1, 16])];
    let case = Case::new(&model);
    case.quantize(&per_channel()).unwrap();
    let after = case.output_model();
    let names: Vec<&str> =
        after.graph().value_info.iter().map(slipway_model::onnx::proto::ValueInfoProto::name).collect();
    assert_eq!(names, ["y_scale_mul"]);
}

#[test]
fn an_old_opset_is_raised_only_when_that_changes_nothing() {
    let case = Case::new(&layer().opset(9));
    assert_eq!(case.check(&[3, 16], Granularity::PerChannel).opset, 11);
    let clip = layer().node("Clip", &["y"], &["z"]).opset(9);
    let case = Case::new(&clip);
    let report = case.check(&[3, 16], Granularity::PerChannel);
    assert_eq!((report.opset, report.tensors[0].form), (9, Form::Expanded), "Clip changed in opset 11");
    let case = Case::new(&layer().opset(18));
    assert_eq!(case.quantize(&per_channel()).unwrap().opset, 18);
}

#[test]
fn a_quantized_model_is_left_alone() {
    let case = Case::new(&layer());
    case.quantize(&per_channel()).unwrap();
    fs::rename(&case.output, &case.input).unwrap();
    let skipped = skipped(&case);
    assert_eq!(skipped.len(), 1);
    assert_eq!(
        (skipped[0].op.as_str(), skipped[0].reason.as_str()),
        ("MatMulInteger", "it is quantized already")
    );
    assert_eq!(case.files(), ["input.onnx"]);
}

#[test]
fn each_node_that_stays_says_why() {
    let integers = TensorProto {
        dims: vec![16, 16],
        data_type: Some(DataType::INT8.code()),
        name: Some("i8".to_owned()),
        raw_data: Some(vec![1; 256].into()),
        ..TensorProto::default()
    };
    let wide = TensorProto {
        data_type: Some(11),
        name: Some("wide".to_owned()),
        raw_data: Some(vec![0; 2048].into()),
        ..integers.clone()
    };
    let vector =
        vec![tensor_attribute("value", slipway_model::onnx::build::float_tensor("", &[16], &[1.0; 16]))];
    let model = ModelBuilder::new()
        .input("x", &[16, 16])
        .output("g", &[16, 16])
        .initializer(integers)
        .initializer(wide)
        .floats("w", &[16, 16], &noise(4, 256))
        .floats("small", &[16, 2], &noise(5, 32))
        .floats("s", &[], &[1.0])
        .node("DequantizeLinear", &["i8", "s"], &["d"])
        .node("MatMul", &["x", "d"], &["a"])
        .node("MatMul", &["x", "x"], &["b"])
        .node("MatMul", &["small", "x"], &["c"])
        .node("MatMul", &["x", "small"], &["e"])
        .node("MatMul", &["x", "wide"], &["f"])
        .node_with("Constant", &[], &["v"], vector)
        .node("MatMul", &["x", "v"], &["g"])
        .node("Conv", &["x", "w"], &["h"]);
    let case = Case::new(&model);
    let skipped = skipped(&case);
    let wanted = [
        ("node_a", "quantized already"),
        ("node_c", "32 elements"),
        ("node_e", "32 elements"),
        ("node_f", "16 or 32 bits"),
        ("node_g", "16 elements"),
        ("node_h", "2 dimensions"),
    ];
    assert_eq!(skipped.len(), wanted.len());
    for (skip, (node, reason)) in skipped.iter().zip(wanted) {
        assert_eq!(skip.node, node);
        assert!(skip.reason.contains(reason), "{node}: {}", skip.reason);
    }
    assert_eq!(case.files(), ["input.onnx"]);
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_name() {
    for (place, value) in [(0, f32::NAN), (255, f32::INFINITY), (100, f32::NEG_INFINITY)] {
        for granularity in [Granularity::PerTensor, Granularity::PerChannel] {
            for trans_b in [0, 1] {
                let mut values = noise(6, 256);
                values[place] = value;
                let model = ModelBuilder::new()
                    .input("x", &[-1, 16])
                    .output("y", &[-1, 16])
                    .floats("layer.weight", &[16, 16], &values)
                    .node_with("Gemm", &["x", "layer.weight"], &["y"], vec![int("transB", trans_b)]);
                let case = Case::new(&model);
                match case.quantize(&options(granularity)) {
                    Err(QuantizeError::File(FileError::NotFinite { tensor })) => {
                        assert_eq!(tensor, "layer.weight");
                    }
                    other => panic!("expected a refusal, got {other:?}"),
                }
                assert_eq!(case.files(), ["input.onnx"], "nothing is left behind");
            }
        }
    }
}

#[test]
fn a_result_that_is_not_smaller_is_refused() {
    let case = Case::new(&layer().output("w", &[16, 16]));
    let refuse = Options { allow_bigger: false, ..per_channel() };
    match case.quantize(&refuse) {
        Err(QuantizeError::Bigger { before, after }) => assert!(after > before),
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(case.files(), ["input.onnx"]);
}

#[test]
fn the_input_is_never_overwritten() {
    let case = Case::new(&layer());
    let before = fs::read(&case.input).unwrap();
    let silent = slipway_optimizer::progress::Silent;
    let quantize = |output: &std::path::Path| quantize(&case.input, output, &per_channel(), &silent);
    assert!(matches!(quantize(&case.input), Err(QuantizeError::File(FileError::OutputIsInput { .. }))));
    let dotted = case.folder.path().join(".").join("input.onnx");
    assert!(matches!(quantize(&dotted), Err(QuantizeError::File(FileError::OutputIsInput { .. }))));
    assert!(matches!(
        quantize(std::path::Path::new("/")),
        Err(QuantizeError::File(FileError::OutputName { .. }))
    ));
    assert_eq!(fs::read(&case.input).unwrap(), before);
}

#[test]
fn a_data_file_of_the_input_is_never_overwritten() {
    let case = Case::new(&layer());
    fs::write(case.folder.path().join("output.onnx.data"), [0; 1024]).unwrap();
    let mut model = layer();
    model.graph().initializer = vec![external_tensor("w", &[16, 16], &[("location", "output.onnx.data")])];
    model.write(&case.input).unwrap();
    case.quantize(&Options { inline_limit: 0, ..per_channel() }).unwrap();
    assert_eq!(fs::read(case.folder.path().join("output.onnx.data")).unwrap(), [0; 1024]);
}

/// A model with a large constant beside its weight, all of it in another file.
fn external_case() -> Case {
    let values: Vec<u8> = noise(7, 512).iter().flat_map(|value| value.to_le_bytes()).collect();
    let at = |offset: &str| {
        external_tensor("", &[16, 16], &[("location", "w.data"), ("offset", offset), ("length", "1024")])
    };
    let model = ModelBuilder::new()
        .input("x", &[16, 16])
        .output("y", &[16, 16])
        .initializer(TensorProto { name: Some("w".to_owned()), ..at("0") })
        .initializer(TensorProto { name: Some("kept".to_owned()), ..at("1024") })
        .node("MatMul", &["x", "w"], &["h"])
        .node("Add", &["h", "kept"], &["y"]);
    let case = Case::new(&model);
    fs::write(case.folder.path().join("w.data"), values).unwrap();
    case
}

#[test]
fn external_data_goes_in_and_comes_out_where_it_belongs() {
    let case = external_case();
    let report = case.check(&[16, 16], Granularity::PerChannel);
    assert!(!report.external_data);
    assert_eq!(report.size_before, 2048 + case.input.metadata().unwrap().len());
    assert_eq!(report.size_after, case.output.metadata().unwrap().len());
    assert_eq!(case.files(), ["input.onnx", "output.onnx", "w.data"]);

    let external = Options { inline_limit: 0, ..per_channel() };
    let report = case.quantize(&external).unwrap();
    assert!(report.external_data);
    case.check_answers(&[16, 16]);
    let after = case.output_model();
    match after.payload(tensor(&after, "kept").unwrap()).unwrap() {
        Payload::File { path, offset, .. } => {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name.strip_prefix("output.onnx.").is_some_and(|rest| rest.contains(".data")), "{name}");
            assert_eq!(offset % 64, 0);
        }
        Payload::Memory(_) => panic!("it is not in a file"),
    }
    assert_eq!(after.files().len(), 2);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let case = external_case();
    case.quantize(&per_channel()).unwrap();
    let first = fs::read(&case.output).unwrap();
    case.quantize(&per_channel()).unwrap();
    assert_eq!(fs::read(&case.output).unwrap(), first);
    assert_eq!(count(&case.output_model(), "MatMulInteger"), 1);
}

#[test]
fn a_model_cut_anywhere_is_an_error_and_leaves_nothing() {
    let bytes = layer().bytes();
    let case = Case::new(&layer());
    for end in 0..bytes.len() {
        fs::write(&case.input, &bytes[..end]).unwrap();
        assert!(case.quantize(&per_channel()).is_err(), "cut after {end} bytes");
    }
    assert_eq!(case.files(), ["input.onnx"]);
}

#[test]
fn a_report_survives_json() {
    let case = Case::new(&layer());
    let report = case.quantize(&per_channel()).unwrap();
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(
        serde_json::from_str::<slipway_optimizer::stage::quantize::QuantizeReport>(&json).unwrap(),
        report
    );
    assert!(json.contains("\"sizeBefore\""));
}
