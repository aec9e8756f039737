//! What the simplifier must not touch, must not be led into, and must leave for the quantizer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{count, noise, tensor, tensor_bytes};
use slipway_model::onnx::build::{
    ModelBuilder, external_tensor, float_value, graph, int, ints, node, tensor as tensor_attribute,
};
use slipway_model::onnx::proto::{GraphProto, NodeProto, TensorProto};
use slipway_model::onnx::{DataType, Dim, OnnxModel};
use slipway_optimizer::file::FileError;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{self, quantize};
use slipway_optimizer::stage::simplify::{Change, Options, SimplifyError, SimplifyReport, simplify};
use tempfile::TempDir;

struct Case {
    folder: TempDir,
    input: PathBuf,
    output: PathBuf,
}

impl Case {
    fn new(model: &ModelBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("input.onnx"), folder.path().join("output.onnx"));
        model.write(&input).unwrap();
        Self { folder, input, output }
    }

    fn simplify(&self) -> Result<SimplifyReport, SimplifyError> {
        simplify(&self.input, &self.output, &Options::default(), &Silent)
    }

    fn model(&self) -> OnnxModel {
        OnnxModel::open(&self.output).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = self.folder.path().read_dir().unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn longs(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: Some(DataType::INT64.code()),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// `y = relu(x)`, with an `Identity` that every simplification removes.
fn layer() -> ModelBuilder {
    ModelBuilder::new().input("x", &[-1, 16]).output("y", &[-1, 16]).node("Identity", &["x"], &["same"]).node(
        "Relu",
        &["same"],
        &["y"],
    )
}

#[test]
fn what_is_random_is_neither_merged_nor_computed() {
    let shape = || vec![ints("shape", &[16])];
    let model = layer()
        .node_with("RandomNormal", &[], &["a"], shape())
        .node_with("RandomNormal", &[], &["b"], shape())
        .node("Sub", &["a", "b"], &["z"])
        .output("z", &[16]);
    let case = Case::new(&model);
    case.simplify().unwrap();
    assert_eq!(count(&case.model(), "RandomNormal"), 2);
}

#[test]
fn operators_of_other_domains_stay_even_when_nothing_uses_them() {
    let mut model = layer().floats("w", &[4], &[1.0; 4]).node("Print", &["w"], &["printed"]);
    model.graph().node.last_mut().unwrap().domain = Some("org.example".to_owned());
    let case = Case::new(&model);
    let report = case.simplify().unwrap();
    assert!(case.model().graph().node.iter().any(|node| node.op_type() == "Print"));
    assert!(tensor(&case.model(), "w").is_some());
    assert_eq!(report.skipped.len(), 1, "{:?}", report.skipped);
}

#[test]
fn graphs_that_cannot_be_run_are_refused_with_the_name() {
    let mut cycle = layer();
    cycle.graph().node[0].input = vec!["y".to_owned()];
    let twice = layer().node("Neg", &["x"], &["same"]);
    let cases = [(cycle, "takes \"y\" before anything gives it"), (twice, "value \"same\" is given twice")];
    for (model, words) in cases {
        let case = Case::new(&model);
        let refused = case.simplify().unwrap_err();
        assert!(
            matches!(refused, SimplifyError::Graph { .. }) && refused.to_string().contains(words),
            "{refused}"
        );
        assert_eq!(case.files(), ["input.onnx"]);
    }
}

#[test]
fn nothing_is_made_of_sizes_that_no_memory_has() {
    let huge = &[1 << 31, 1 << 31];
    let model = layer()
        .initializer(longs("huge", huge))
        .initializer(longs("most", &[i64::MAX]))
        .floats("one", &[1], &[1.0])
        .node("ConstantOfShape", &["huge"], &["a"])
        .node("Expand", &["one", "huge"], &["b"])
        .node("Tile", &["one", "most"], &["c"])
        .node("ReduceMax", &["a"], &["ra"])
        .node("ReduceMax", &["b"], &["rb"])
        .node("ReduceMax", &["c"], &["rc"])
        .output("ra", &[1, 1])
        .output("rb", &[1, 1])
        .output("rc", &[1]);
    let case = Case::new(&model);
    let report = case.simplify().unwrap();
    let reasons: Vec<_> =
        report.skipped.iter().map(|skip| (skip.op.as_str(), skip.reason.as_str())).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().all(|(_, reason)| reason.contains("too many to compute ahead")), "{reasons:?}");
}

#[test]
fn what_is_not_read_keeps_nothing_else_from_being_computed() {
    // With a scale of four bytes, 2 GiB are 32 such weights to the byte.
    let (quantized, largest) = ((64 << 20) - 4, 64_i64 << 20);
    let other = |name: &str| NodeProto {
        domain: Some("com.example".to_owned()),
        ..node(name, &["w"], &["h"], vec![])
    };
    for (what, bytes, node) in [
        (
            "an operator that nobody computes",
            quantized,
            node("DequantizeLinear", &["w", "one"], &["h"], vec![]),
        ),
        ("an operator of another domain", largest, other("Transpose")),
        ("a tensor that is too large", largest + 1, node("Transpose", &["w"], &["h"], vec![])),
    ] {
        let length = bytes.to_string();
        let mut w = external_tensor("w", &[1, bytes], &[("location", "w.bin"), ("length", &length)]);
        w.data_type = Some(DataType::INT8.code());
        let mut model = layer().initializer(w).floats("one", &[], &[1.0]);
        for index in 0..40 {
            let mut reader = node.clone();
            reader.output = vec![format!("h{index}")];
            model.graph().node.push(reader);
            let (read, given) = (format!("h{index}"), format!("y{index}"));
            model = model.node("MatMul", &["x", &read], &[&given]).output(&given, &[-1, bytes]);
        }
        let model = model
            .floats("v", &[2, 16], &noise(3, 32))
            .node("Transpose", &["v"], &["turned"])
            .node("MatMul", &["x", "turned"], &["z"])
            .output("z", &[-1, 2]);
        let case = Case::new(&model);
        fs::File::create(case.folder.path().join("w.bin"))
            .unwrap()
            .set_len(u64::try_from(bytes).unwrap())
            .unwrap();
        let report = case.simplify().unwrap();
        assert!(tensor(&case.model(), "turned").is_some(), "{what}: {:?}", report.skipped.last());
    }
}

#[test]
fn a_large_tensor_is_moved_and_not_read() {
    let (rows, columns) = (1_i64 << 13, 1_i64 << 12);
    let bytes = u64::try_from(rows * columns * 4).unwrap();
    let w = external_tensor("w", &[columns, rows], &[("location", "w.bin"), ("length", &bytes.to_string())]);
    let model = ModelBuilder::new()
        .input("x", &[-1, rows])
        .output("y", &[-1, columns])
        .initializer(w)
        .initializer(longs("shape", &[rows, columns]))
        .node("Reshape", &["w", "shape"], &["matrix"])
        .node("MatMul", &["x", "matrix"], &["y"]);
    let case = Case::new(&model);
    let data = fs::File::create(case.folder.path().join("w.bin")).unwrap();
    data.set_len(bytes).unwrap();
    let options = Options { inline_limit: 1 << 20, ..Options::default() };
    let report = simplify(&case.input, &case.output, &options, &Silent).unwrap();
    assert!(report.external_data && report.changes[&Change::NodeFolded] == 1, "{report:?}");
    let files = case.files();
    assert!(
        files.len() == 4 && files[2].strip_prefix("output.onnx.").is_some_and(|rest| rest.contains(".data")),
        "{files:?}"
    );
    assert_eq!(tensor(&case.model(), "matrix").unwrap().dims, [rows, columns]);
    assert!(tensor(&case.model(), "w").is_none());
}

#[test]
fn the_output_is_never_a_file_of_the_input() {
    let case = Case::new(&layer());
    let refused = simplify(&case.input, &case.input, &Options::default(), &Silent).unwrap_err();
    assert!(matches!(refused, SimplifyError::File(FileError::OutputIsInput { .. })), "{refused}");
}

#[test]
fn the_same_input_gives_the_same_bytes_with_their_origin() {
    let case = Case::new(&layer().floats("a", &[300], &noise(1, 300)).floats("b", &[300], &noise(1, 300)));
    let options = Options { source: Some("sha256:12".to_owned()), ..Options::default() };
    let bytes: Vec<Vec<u8>> = (0..3)
        .map(|_| {
            simplify(&case.input, &case.output, &options, &Silent).unwrap();
            fs::read(&case.output).unwrap()
        })
        .collect();
    assert!(bytes[0] == bytes[1] && bytes[1] == bytes[2]);
    let model = case.model();
    let origin: BTreeMap<&str, &str> =
        model.proto().metadata_props.iter().map(|entry| (entry.key(), entry.value())).collect();
    assert_eq!(origin["slipway.source"], "sha256:12");
    assert_eq!(origin["slipway.simplify"], r#"{"dims":{}}"#);
    assert!(origin["slipway.tool"].starts_with("slipway/"));

    let input = slipway_artifacts::Digest::of(&fs::read(&case.input).unwrap()).to_string();
    simplify(&case.input, &case.output, &Options::default(), &Silent).unwrap();
    let own = case.model();
    let source = own.proto().metadata_props.iter().find(|entry| entry.key() == "slipway.source");
    assert_eq!(source.unwrap().value(), input);
}

#[test]
fn sizes_that_are_asked_for_let_more_be_computed() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 4])
        .output("y", &[-1, 4])
        .initializer(longs("zero", &[0]))
        .node("Shape", &["x"], &["shape"])
        .node("Gather", &["shape", "zero"], &["rows"])
        .node_with("Cast", &["rows"], &["float"], vec![int("to", 1)])
        .node("Add", &["x", "float"], &["y"]);
    let case = Case::new(&model);
    assert!(matches!(case.simplify(), Err(SimplifyError::NothingChanged)));
    let fix =
        |name: &str, size| Options { dims: BTreeMap::from([(name.to_owned(), size)]), ..Options::default() };
    for (name, size, words) in [("rows", 1, "open dimensions: batch"), ("batch", 0, "cannot have the size 0")]
    {
        let refused = simplify(&case.input, &case.output, &fix(name, size), &Silent).unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let report = simplify(&case.input, &case.output, &fix("batch", 7), &Silent).unwrap();
    assert_eq!((report.nodes_before, report.nodes_after), (4, 1));
    assert_eq!(tensor_bytes(&case.model(), "float"), 7.0_f32.to_le_bytes());
    assert_eq!(case.model().facts().inputs[0].dims, Some(vec![Dim::Fixed(7), Dim::Fixed(4)]));
}

#[test]
fn a_default_that_a_caller_may_replace_is_no_constant() {
    let model =
        layer().input("w", &[4]).floats("w", &[4], &[1.0; 4]).node("Neg", &["w"], &["n"]).output("n", &[4]);
    let case = Case::new(&model);
    case.simplify().unwrap();
    assert_eq!((count(&case.model(), "Neg"), case.model().graph().input.len()), (1, 2));
}

/// An `LSTM` in each branch of an `If`, whose weights are put together from slices of the same tensors.
fn hidden_lstm() -> ModelBuilder {
    let body = |name: &str| {
        let named = |part: &str| format!("{name}_{part}");
        let mut nodes = Vec::new();
        for weight in ["w", "r"] {
            let (first, second) = (named(&format!("{weight}1")), named(&format!("{weight}2")));
            nodes.push(node("Slice", &[weight, "zero", "half", "zero"], &[&first], vec![]));
            nodes.push(node("Slice", &[weight, "half", "whole", "zero"], &[&second], vec![]));
            let (joined, deep) = (named(&format!("{weight}3")), named(&format!("{weight}4")));
            nodes.push(node("Concat", &[&second, &first], &[&joined], vec![int("axis", 0)]));
            nodes.push(node("Unsqueeze", &[&joined, "zero"], &[&deep], vec![]));
        }
        let inputs = ["x", &named("w4"), &named("r4")];
        nodes.push(node("LSTM", &inputs, &[&named("y")], vec![int("hidden_size", 16)]));
        let output = vec![float_value(&named("y"), &[5, 1, 2, 16])];
        GraphProto { node: nodes, output, ..GraphProto::default() }
    };
    let branches = vec![graph("then_branch", body("then")), graph("else_branch", body("else"))];
    ModelBuilder::new()
        .input("x", &[5, 2, 16])
        .output("y", &[5, 1, 2, 16])
        .floats("w", &[64, 16], &noise(1, 1024))
        .floats("r", &[64, 16], &noise(2, 1024))
        .floats("level", &[1], &[0.0])
        .initializer(longs("zero", &[0]))
        .initializer(longs("half", &[32]))
        .initializer(longs("whole", &[64]))
        .node("ReduceMax", &["x"], &["most"])
        .node("Greater", &["most", "level"], &["flag"])
        .node_with("If", &["flag"], &["y"], branches)
}

#[test]
fn weights_of_an_lstm_come_out_once_and_the_quantizer_finds_them() {
    let case = Case::new(&hidden_lstm());
    let quantized = case.folder.path().join("small.onnx");
    let quantize_it = |from: &Path| {
        let options = quantize::Options { allow_bigger: true, ..quantize::Options::default() };
        quantize(from, &quantized, &options, &Silent)
    };
    assert!(quantize_it(&case.input).is_err(), "the quantizer sees through slices: this proves nothing");
    let report = case.simplify().unwrap();
    assert_eq!(report.nodes_after, 5, "{report:?}");
    assert!(report.size_after < report.size_before);
    let weights: Vec<String> =
        quantize_it(&case.output).unwrap().tensors.into_iter().map(|tensor| tensor.name).collect();
    assert_eq!(weights.len(), 2, "{weights:?}");
}

#[test]
fn constants_in_nodes_become_initializers() {
    let value = slipway_model::onnx::build::float_tensor("", &[16, 16], &noise(3, 256));
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .node_with("Constant", &[], &["w"], vec![tensor_attribute("value", value)])
        .node("MatMul", &["x", "w"], &["y"]);
    let case = Case::new(&model);
    let report = case.simplify().unwrap();
    assert_eq!(report.changes, BTreeMap::from([(Change::ConstantHoisted, 1)]));
    assert_eq!(tensor(&case.model(), "w").unwrap().dims, [16, 16]);
}
