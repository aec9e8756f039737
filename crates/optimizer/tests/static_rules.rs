//! Static quantization rule by rule, on small graphs that rten runs before and after.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "these are tests, helpers included")]

mod common;

use common::{Case, count, noise, tensor, tensor_bytes};
use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::build::{ModelBuilder, graph, int, ints, node};
use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use slipway_optimizer::calibrate::{CalibrateOptions, Calibration, Calibrator, Range};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Form, Granularity, Method, Options, QuantizeReport, Rule};
use slipway_server::{EngineOptions, Tensor, TensorData};

fn options(calibration: Calibration, granularity: Granularity) -> Options {
    Options {
        method: Method::Static { granularity, reduce_range: true },
        calibration: Some(calibration),
        allow_bigger: true,
        least_elements: 1,
        ..Options::default()
    }
}

/// The ranges of a model's activations on noise.
fn calibrate(case: &Case, dims: &[usize], threads: usize) -> Calibration {
    let mut options = CalibrateOptions { range: Range::MinMax, ..CalibrateOptions::default() };
    options.capture.engine = EngineOptions { threads, ..EngineOptions::default() };
    let sample = |seed| {
        let data = TensorData::Fp32(noise(seed, dims.iter().product()));
        vec![Tensor::new(dims.to_vec(), data).unwrap()]
    };
    let samples: Vec<_> = [99, 5, 6, 7].map(sample).to_vec();
    Calibrator::open(&case.input, &options).unwrap().run(&samples, "sha256:noise", &Silent).unwrap()
}

/// Quantizes a model for its one input `x`, and holds both models' answers against each other.
fn quantized(model: &ModelBuilder, dims: &[usize]) -> (Case, QuantizeReport, OnnxModel) {
    let case = Case::new(model);
    let options = options(calibrate(&case, dims, 1), Granularity::PerChannel);
    let report = case.quantize(&options).unwrap();
    case.check_answers(dims);
    let output = case.output_model();
    (case, report, output)
}

fn by_output<'a>(model: &'a OnnxModel, output: &str) -> &'a NodeProto {
    model.graph().node.iter().find(|node| node.output.iter().any(|name| name == output)).unwrap()
}

/// The node that takes a value, where only one does.
fn user<'a>(model: &'a OnnxModel, value: &str) -> &'a NodeProto {
    let users: Vec<_> =
        model.graph().node.iter().filter(|node| node.input.iter().any(|name| name == value)).collect();
    assert_eq!(users.len(), 1, "{value}");
    users[0]
}

/// The nodes of one kind of operator.
fn all<'a>(model: &'a OnnxModel, op: &str) -> Vec<&'a NodeProto> {
    model.graph().node.iter().filter(|node| node.op_type() == op).collect()
}

/// The operators that the pair before an input stands on.
fn dequantized<'a>(model: &'a OnnxModel, node: &NodeProto, place: usize) -> &'a NodeProto {
    let before = by_output(model, &node.input[place]);
    assert_eq!(before.op_type(), "DequantizeLinear", "{:?}", node.input[place]);
    before
}

fn kernel(name: &str, out: i64, into: i64) -> TensorProto {
    let values = noise(name.len() as u64, usize::try_from(out * into * 9).unwrap());
    slipway_model::onnx::build::float_tensor(name, &[out, into, 3, 3], &values)
}

fn padded() -> Vec<slipway_model::onnx::proto::AttributeProto> {
    vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[1, 1]), ints("dilations", &[1, 1])]
}

#[test]
fn a_product_takes_integers_and_gives_floats() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 32])
        .output("y", &[-1, 48])
        .floats("w", &[32, 48], &noise(1, 32 * 48))
        .node("MatMul", &["x", "w"], &["y"]);
    let (_case, report, after) = quantized(&model, &[5, 32]);
    let product = by_output(&after, "y");
    let quantize = by_output(&after, &dequantized(&after, product, 0).input[0]);
    assert_eq!((quantize.op_type(), quantize.input[0].as_str()), ("QuantizeLinear", "x"));
    let weight = dequantized(&after, product, 1);
    assert_eq!(weight.attribute[0].i, Some(1), "the channels of a right operand are its columns");
    assert_eq!(tensor(&after, &weight.input[1]).unwrap().dims, [48]);
    assert_eq!(count(&after, "QuantizeLinear"), 1, "nothing is quantized that nobody takes as integers");
    assert_eq!((report.tensors[0].form, report.tensors[0].scheme.as_str()), (Form::Qdq, "int8/7"));
    let [activation] = report.activations.as_slice() else { panic!("{:?}", report.activations) };
    assert_eq!(activation.name, "x");
    assert!(activation.low < -0.9 && activation.high > 0.9 && (120..136).contains(&activation.zero_point));
    assert!(report.notes.iter().any(|note| note.contains("rten")), "{:?}", report.notes);
}

#[test]
fn a_relu_belongs_to_its_convolution() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 4, 8, 8])
        .output("y", &[-1, 4, 8, 8])
        .initializer(kernel("w", 8, 4))
        .initializer(kernel("vv", 4, 8))
        .floats("b", &[8], &noise(3, 8))
        .node_with("Conv", &["x", "w", "b"], &["c"], padded())
        .node("Relu", &["c"], &["r"])
        .node_with("Conv", &["r", "vv"], &["y"], padded());
    let (_case, report, after) = quantized(&model, &[2, 4, 8, 8]);
    let first = by_output(&after, "c");
    assert_eq!(user(&after, "c").op_type(), "Relu", "nothing stands between");
    let second = all(&after, "Conv")[1];
    let quantize = by_output(&after, &dequantized(&after, second, 0).input[0]);
    assert_eq!(
        (quantize.op_type(), by_output(&after, &quantize.input[0]).op_type()),
        ("QuantizeLinear", "Relu")
    );
    let relu = report.activations.iter().find(|activation| activation.name == "r").unwrap();
    assert_eq!((relu.low, relu.zero_point), (0.0, 0));
    let bias = dequantized(&after, first, 2);
    let integers = tensor(&after, &bias.input[0]).unwrap();
    assert_eq!((integers.dims.as_slice(), integers.data_type()), (&[8_i64][..], 6), "int32");
    let floats = |name: &str| -> Vec<f32> {
        let bytes = tensor_bytes(&after, name);
        bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
    };
    let x = report.activations.iter().find(|activation| activation.name == "x").unwrap();
    let weight = dequantized(&after, first, 1);
    assert_eq!(weight.attribute[0].i, Some(0));
    let products: Vec<f32> = floats(&weight.input[1]).iter().map(|scale| scale * x.scale).collect();
    assert_eq!(floats(&bias.input[1]), products, "the scale of a bias is that of the sums");
    assert!(tensor(&after, "b").is_none() && tensor(&after, "w").is_none(), "the floats are gone");
}

#[test]
fn a_relu_that_is_not_alone_stays_apart() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 4, 8, 8])
        .output("y", &[-1, 4, 8, 8])
        .initializer(kernel("w", 4, 4))
        .node_with("Conv", &["x", "w"], &["c"], padded())
        .node("Relu", &["c"], &["r"])
        .node("Sub", &["r", "c"], &["y"]);
    let (_case, report, after) = quantized(&model, &[2, 4, 8, 8]);
    assert_eq!(by_output(&after, "c").op_type(), "DequantizeLinear");
    let names: Vec<_> = report.activations.iter().map(|activation| activation.name.as_str()).collect();
    assert_eq!(names, ["c", "x"]);
}

#[test]
fn what_moves_elements_keeps_their_scale() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 4, 8, 8])
        .output("y", &[-1, 8, 10])
        .initializer(kernel("w", 8, 4))
        .floats("v", &[16, 10], &noise(4, 160))
        .initializer(integers("shape", &[0, 0, -1]))
        .node_with("Conv", &["x", "w"], &["c"], padded())
        .node_with("MaxPool", &["c"], &["p"], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
        .node("Reshape", &["p", "shape"], &["flat"])
        .node("MatMul", &["flat", "v"], &["y"]);
    let (_case, report, after) = quantized(&model, &[2, 4, 8, 8]);
    let scales: std::collections::BTreeSet<_> =
        ["c", "p", "flat"].map(|name| by_output(&after, name).input[1].clone()).into();
    assert_eq!(scales.len(), 1, "{scales:?}");
    let names: Vec<_> = report.activations.iter().map(|activation| activation.name.as_str()).collect();
    assert_eq!(names, ["c", "x"]);
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: Some(7),
        name: Some(name.to_owned()),
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

/// Two convolutions that are joined, and what the join gives to a third.
fn joined(op: &str, right: &str) -> ModelBuilder {
    ModelBuilder::new()
        .input("x", &[-1, 4, 8, 8])
        .output("y", &[-1, 4, 8, 8])
        .initializer(kernel("w", 4, 4))
        .initializer(kernel("vv", 4, 4))
        .initializer(kernel("uuu", 4, 4))
        .floats("constant", &[1, 4, 1, 1], &[0.5, 1.0, 100.0, 2.0])
        .node_with("Conv", &["x", "w"], &["a"], padded())
        .node_with("Conv", &["x", "vv"], &["b"], padded())
        .node(op, &["a", right], &["j"])
        .node_with("Conv", &["j", "uuu"], &["y"], padded())
}

#[test]
fn what_joins_integers_computes_in_integers_with_a_scale_of_its_own() {
    for op in ["Add", "Mul"] {
        let (_case, report, after) = quantized(&joined(op, "b"), &[2, 4, 8, 8]);
        let join = all(&after, op)[0];
        for place in [0, 1] {
            dequantized(&after, join, place);
        }
        assert_eq!(by_output(&after, "j").op_type(), "DequantizeLinear");
        let names: Vec<_> = report.activations.iter().map(|activation| activation.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "j", "x", "y"], "{op}");
    }
}

#[test]
fn a_join_with_a_constant_stays_in_floats() {
    let (_case, _report, after) = quantized(&joined("Mul", "constant"), &[2, 4, 8, 8]);
    let join = by_output(&after, "j");
    assert_eq!(join.op_type(), "Mul", "its result is floats under its own name");
    assert!(join.input.contains(&"constant".to_owned()));
}

#[test]
fn a_join_before_floats_is_not_rounded() {
    let mut model = joined("Add", "b");
    model.graph().node.last_mut().unwrap().op_type = Some("Neg".to_owned());
    model.graph().node.last_mut().unwrap().input.truncate(1);
    model.graph().node.last_mut().unwrap().attribute.clear();
    let (_case, report, after) = quantized(&model, &[2, 4, 8, 8]);
    assert_eq!(by_output(&after, "j").op_type(), "Add");
    assert!(report.activations.iter().all(|activation| activation.name != "j"));
}

#[test]
fn activations_are_multiplied_with_each_other() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 16, 16])
        .output("y", &[-1, 16, 16])
        .node_with("Transpose", &["x"], &["t"], vec![ints("perm", &[0, 2, 1])])
        .node("MatMul", &["x", "t"], &["y"]);
    let (_case, report, after) = quantized(&model, &[2, 16, 16]);
    let product = by_output(&after, "y");
    for place in [0, 1] {
        dequantized(&after, product, place);
    }
    assert_eq!(report.activations.len(), 1, "the transposed one has the scale of the other");
}

#[test]
fn a_rule_keeps_a_node_in_floats_and_the_report_says_so() {
    let case = Case::new(&joined("Add", "b"));
    let mut options = options(calibrate(&case, &[2, 4, 8, 8], 1), Granularity::PerChannel);
    options.rules = vec![Rule { matches: "node_b".to_owned(), keep_float: true }];
    let report = case.quantize(&options).unwrap();
    case.check_answers(&[2, 4, 8, 8]);
    let after = case.output_model();
    assert_eq!(by_output(&after, "b").input, ["x", "vv"]);
    assert_eq!(by_output(&after, "j").op_type(), "Add", "not all that goes in is integers any more");
    let skipped = report.skipped.iter().find(|skipped| skipped.node == "node_b").unwrap();
    assert!(skipped.reason.contains("a rule keeps it"), "{skipped:?}");
}

#[test]
fn a_large_bias_on_tiny_weights_raises_the_scale_of_its_channel_alone() {
    let mut weights = noise(8, 2 * 4 * 9);
    weights[..36].iter_mut().for_each(|weight| *weight *= 1e-9);
    let model = ModelBuilder::new()
        .input("x", &[-1, 4, 8, 8])
        .output("y", &[-1, 2, 8, 8])
        .floats("w", &[2, 4, 3, 3], &weights)
        .floats("b", &[2], &[5.0, 0.25])
        .node_with("Conv", &["x", "w", "b"], &["y"], padded());
    let (_case, report, after) = quantized(&model, &[2, 4, 8, 8]);
    let convolution = all(&after, "Conv")[0];
    let bias = dequantized(&after, convolution, 2);
    let steps: Vec<i32> = (tensor_bytes(&after, &bias.input[0]).as_chunks::<4>().0.iter())
        .map(|word| i32::from_le_bytes(*word))
        .collect();
    assert!(steps[0] > 1 << 29 && steps[0] <= 1 << 30, "{steps:?}");
    assert!(report.tensors[0].sqnr_db.unwrap() > 30.0, "the other channel is as exact as ever");
}

#[test]
fn a_bias_that_is_no_list_is_added_to_the_product() {
    let model = ModelBuilder::new()
        .input("x", &[16, 3])
        .output("y", &[3, 24])
        .floats("w", &[24, 16], &noise(9, 384))
        .floats("c", &[3, 1], &[1.0, -2.0, 3.0])
        .node_with(
            "Gemm",
            &["x", "w", "c"],
            &["y"],
            vec![
                int("transA", 1),
                int("transB", 1),
                slipway_model::onnx::build::float("alpha", 0.5),
                slipway_model::onnx::build::float("beta", -2.0),
            ],
        );
    let (_case, _report, after) = quantized(&model, &[16, 3]);
    let product = all(&after, "Gemm")[0];
    assert_eq!(product.input.len(), 2);
    assert_eq!(dequantized(&after, product, 1).attribute[0].i, Some(0), "transB: channels are rows");
}

#[test]
fn a_body_sees_the_floats_of_an_activation() {
    let value = |name: &str| ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() };
    let body = |out: &str, op: &str| GraphProto {
        name: Some(out.to_owned()),
        node: vec![node(op, &["h"], &[out], vec![])],
        output: vec![value(out)],
        ..GraphProto::default()
    };
    let yes = TensorProto {
        data_type: Some(9),
        name: Some("yes".to_owned()),
        raw_data: Some(vec![1_u8].into()),
        ..TensorProto::default()
    };
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .output("z", &[-1, 16])
        .floats("w", &[16, 16], &noise(10, 256))
        .initializer(yes)
        .node("Tanh", &["x"], &["h"])
        .node_with(
            "If",
            &["yes"],
            &["z"],
            vec![graph("then_branch", body("p", "Neg")), graph("else_branch", body("q", "Abs"))],
        )
        .node("MatMul", &["h", "w"], &["y"]);
    let (_case, _report, after) = quantized(&model, &[4, 16]);
    assert_eq!(by_output(&after, "h").op_type(), "Tanh");
    assert_eq!(by_output(&after, "y").op_type(), "MatMul");
}

#[test]
fn an_activation_without_a_range_leaves_its_node_in_floats_with_the_reason() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .output("z", &[-1, 16])
        .floats("w", &[16, 16], &noise(11, 256))
        .floats("v", &[16, 16], &noise(12, 256))
        .node("Log", &["x"], &["l"])
        .node("MatMul", &["x", "w"], &["y"])
        .node("MatMul", &["l", "v"], &["z"]);
    let (_case, report, after) = quantized(&model, &[4, 16]);
    assert_eq!(by_output(&after, "z").input[0], "l");
    let skipped = report.skipped.iter().find(|skipped| skipped.node == "node_z").unwrap();
    assert!(skipped.reason.contains("\"l\"") && skipped.reason.contains("sample 0"), "{skipped:?}");
}

/// Everything that opset 13 writes otherwise.
fn old(opset: i64) -> ModelBuilder {
    ModelBuilder::new()
        .opset(opset)
        .input("x", &[2, 4, 6])
        .output("y", &[2, 1, 8])
        .floats("w", &[3, 8], &noise(13, 24))
        .node_with("Softmax", &["x"], &["s"], vec![int("axis", 1)])
        .node_with("LogSoftmax", &["s"], &["ls"], vec![int("axis", -1)])
        .node_with("Unsqueeze", &["ls"], &["u"], vec![ints("axes", &[0])])
        .node_with("Squeeze", &["u"], &["q"], vec![ints("axes", &[0])])
        .node_with("Split", &["q"], &["left", "right"], vec![int("axis", 2), ints("split", &[3, 3])])
        .node("Sub", &["left", "right"], &["d"])
        .node_with("ReduceSum", &["d"], &["r"], vec![ints("axes", &[1]), int("keepdims", 1)])
        .node("MatMul", &["r", "w"], &["y"])
}

#[test]
fn an_old_opset_is_raised_with_the_nodes_that_changed() {
    // The oracle holds the answers: rten reads the axis of an old Softmax as a new one.
    let case = Case::new(&old(11));
    let options = options(calibrate(&case, &[2, 4, 6], 1), Granularity::PerChannel);
    let report = case.quantize(&options).unwrap();
    let after = case.output_model();
    assert_eq!(report.opset, 13);
    assert!(report.notes.iter().all(|note| !note.contains("opset")), "{:?}", report.notes);
    for op in ["Squeeze", "Unsqueeze", "Split", "ReduceSum"] {
        assert_eq!(all(&after, op)[0].input.len(), 2, "{op}");
    }
    assert_eq!(count(&after, "Flatten"), 1, "only where the axis is not the last");
}

#[test]
fn one_scale_a_tensor_is_a_scalar() {
    let case = Case::new(&joined("Add", "b"));
    let options = options(calibrate(&case, &[2, 4, 8, 8], 1), Granularity::PerTensor);
    case.quantize(&options).unwrap();
    case.check_answers(&[2, 4, 8, 8]);
    let after = case.output_model();
    let weight = dequantized(&after, all(&after, "Conv")[0], 1);
    assert!(weight.attribute.is_empty());
    assert!(tensor(&after, &weight.input[1]).unwrap().dims.is_empty());
}

#[test]
fn the_same_bytes_come_of_the_same_calibration_whatever_the_threads() {
    let case = Case::new(&joined("Add", "b"));
    let one = calibrate(&case, &[2, 4, 8, 8], 1);
    assert_eq!(one.to_json(), calibrate(&case, &[2, 4, 8, 8], 4).to_json());
    case.quantize(&options(one.clone(), Granularity::PerChannel)).unwrap();
    let first = std::fs::read(&case.output).unwrap();
    let read: Calibration = serde_json::from_str(&one.to_json()).unwrap();
    case.quantize(&options(read, Granularity::PerChannel)).unwrap();
    assert!(first == std::fs::read(&case.output).unwrap());
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let case = Case::new(&joined("Add", "b"));
    let other = Case::new(&joined("Mul", "b"));
    let foreign = options(calibrate(&other, &[2, 4, 8, 8], 1), Granularity::PerChannel);
    let error = case.quantize(&foreign).unwrap_err().to_string();
    assert!(error.contains("calibrate this one"), "{error}");
    let error = case.quantize(&Options { calibration: None, ..foreign }).unwrap_err().to_string();
    assert!(error.contains("needs a calibration"), "{error}");
    let nothing = ModelBuilder::new().input("x", &[-1, 4]).output("y", &[-1, 4]).node("Relu", &["x"], &["y"]);
    let error = Calibrator::open(&Case::new(&nothing).input, &CalibrateOptions::default()).unwrap_err();
    assert!(error.to_string().contains("nothing to calibrate"), "{error}");
}

#[test]
fn a_bias_does_not_spoil_its_weight_for_others() {
    let weights: Vec<f32> = noise(14, 256).iter().map(|weight| weight * 1e-7).collect();
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .output("z", &[-1, 16])
        .floats("w", &[16, 16], &weights)
        .floats("b", &[16], &[1e4; 16])
        .node("MatMul", &["x", "w"], &["y"])
        .node("Gemm", &["x", "w", "b"], &["z"]);
    let (_case, report, after) = quantized(&model, &[4, 16]);
    assert_eq!((report.tensors.len(), count(&after, "Add")), (1, 1));
    assert!(report.tensors[0].sqnr_db.unwrap() > 30.0);
}
