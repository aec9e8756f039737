//! Nothing stays float in silence: every large float constant of a model is in the report.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::oracle::{names, python};
use common::{Case, layer, noise, options};
use slipway_model::onnx::build::{
    ModelBuilder, float_tensor, float_value, graph, node, string, tensor as tensor_attribute,
};
use slipway_model::onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, SparseTensorProto, TensorProto,
};
use slipway_model::onnx::{OnnxModel, attribute_tensors, graphs, subgraphs};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{
    Engine, Fit, Granularity, HalfFloat, Method, Options, QuantizeError, QuantizeReport, Rule, Skipped,
    quantize,
};

/// Every float constant of at least as many elements as the quantizer looks at, by name.
fn large_floats(model: &OnnxModel) -> BTreeSet<String> {
    let bodies = model.proto().functions.iter().flat_map(|function| &function.node);
    let inner: Vec<&GraphProto> = bodies.clone().flat_map(subgraphs).flat_map(graphs).collect();
    let all: Vec<&GraphProto> = graphs(model.graph()).into_iter().chain(inner).collect();
    let nodes = all.iter().flat_map(|graph| &graph.node).chain(bodies);
    let initializers = all.iter().flat_map(|graph| &graph.initializer);
    let named = initializers.map(|tensor| (tensor.name().to_owned(), tensor));
    let is_large = |tensor: &TensorProto| {
        let floats = [1, 10, 11, 16].contains(&tensor.data_type());
        floats && tensor.dims.iter().product::<i64>().unsigned_abs() >= Options::default().least_elements
    };
    let constants = nodes.flat_map(attribute_tensors);
    named.chain(constants).filter(|(_, tensor)| is_large(tensor)).map(|(name, _)| name).collect()
}

/// Every name that a report gives to something that is or stays in floats.
fn told<'a>(tensors: &'a [String], skipped: &'a [Skipped], vectors: &'a [String]) -> BTreeSet<&'a str> {
    let kept = skipped.iter().flat_map(|skipped| &skipped.tensors);
    tensors.iter().chain(kept).chain(vectors).map(String::as_str).collect()
}

/// The constants that a quantization says nothing of.
fn silent(input: &Path, output: &Path, options: &Options) -> BTreeSet<String> {
    let (tensors, skipped, vectors) = match quantize(input, output, options, &Silent) {
        Ok(QuantizeReport { tensors, skipped, vectors, .. }) => {
            (tensors.into_iter().map(|tensor| tensor.name).collect(), skipped, vectors)
        }
        // An error tells of operators; what is no operator's stays out of it.
        Err(QuantizeError::NothingChanged { skipped }) if !skipped.is_empty() => (vec![], skipped, vec![]),
        Err(_) => return BTreeSet::new(),
    };
    let told = told(&tensors, &skipped, &vectors);
    let model = OnnxModel::open(input).unwrap();
    // What is written out in place of a call has the call's name before its own.
    let inlined = !model.proto().functions.is_empty();
    let is_told = |name: &String| {
        told.contains(name.as_str()) || inlined && told.iter().any(|told| told.ends_with(name.as_str()))
    };
    large_floats(&model).into_iter().filter(|name| !is_told(name)).collect()
}

fn methods() -> Vec<Method> {
    vec![
        Method::Dynamic { granularity: Granularity::PerChannel, reduce_range: true },
        Method::Eight { granularity: Granularity::PerTensor },
        Method::EightInBlocks { block: 32, fit: Fit::Nearest },
        Method::Four { block: 32, zero_points: false, fit: Fit::Nearest },
        Method::Half { float: HalfFloat::Float16 },
    ]
}

fn check(models: &[PathBuf], methods: &[Method]) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output.onnx");
    for input in models {
        for engine in [Engine::Rten, Engine::OnnxRuntime] {
            for method in methods {
                let options = Options { method: *method, engine, allow_bigger: true, ..Options::default() };
                let silent = silent(input, &output, &options);
                assert!(silent.is_empty(), "{} {method:?}: {silent:?}", input.display());
            }
        }
    }
}

#[test]
fn every_large_float_of_a_hard_model_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().to_path_buf();
    python("models.py", &[&models]).unwrap();
    let files: Vec<_> = names(&models).iter().map(|name| models.join(format!("{name}.onnx"))).collect();
    assert!(files.len() >= 27, "{} models", files.len());
    check(&files, &methods());
}

/// Small weights at other places than those that have a form, each with what is said of it.
#[test]
fn each_place_without_a_form_is_named_with_a_reason() {
    let odd = |name: &str| float_tensor(name, &[16, 16], &noise(3, 256));
    let foreign = NodeProto {
        domain: Some("mine".to_owned()),
        ..node("Op", &["y", "foreign"], &["f"], vec![tensor_attribute("table", odd(""))])
    };
    let double = TensorProto {
        data_type: Some(11),
        raw_data: None,
        float_data: vec![],
        double_data: vec![0.5; 256],
        ..odd("double")
    };
    // A few values, which stand for many.
    let sparse = |name: &str| SparseTensorProto {
        values: Some(float_tensor(name, &[3], &noise(4, 3))),
        dims: vec![16, 16],
        ..SparseTensorProto::default()
    };
    let sparse_value = AttributeProto {
        name: Some("sparse_value".to_owned()),
        sparse_tensor: Some(sparse("")),
        ..AttributeProto::default()
    };
    let body = GraphProto {
        node: vec![node("Mul", &["y", "inner"], &["t"], vec![])],
        initializer: vec![odd("inner")],
        output: vec![float_value("t", &[-1, 16])],
        ..GraphProto::default()
    };
    let mut model = layer()
        .initializer(double)
        .floats("cube", &[2, 16, 16], &noise(5, 512))
        .floats("bias", &[256], &noise(6, 256))
        .floats("row", &[1, 256, 1], &noise(6, 256))
        .node_with("Constant", &[], &["constant"], vec![tensor_attribute("value", odd(""))]);
    for name in ["einsum", "left", "matrix", "foreign", "called", "unused", "moved"] {
        model = model.initializer(odd(name));
    }
    model = model
        .node_with("Einsum", &["y", "einsum"], &["e"], vec![string("equation", "ij,jk->ik")])
        .node("Gemm", &["left", "y", "matrix"], &["g"])
        .node("Identity", &["moved"], &["moves"])
        .node("Max", &["y", "moves"], &["m"])
        .node("MatMul", &["y", "double"], &["d"])
        .node("Transpose", &["cube"], &["turned"])
        .node("Add", &["y", "constant"], &["a"])
        .node("Mul", &["bias", "row"], &["v"])
        .node_with(
            "If",
            &["flag"],
            &["i"],
            vec![graph("then_branch", body.clone()), graph("else_branch", body)],
        );
    let call = NodeProto { domain: Some("own".to_owned()), ..node("Call", &["y", "called"], &["c"], vec![]) };
    model.graph().node.extend([foreign, call]);
    model.graph().sparse_initializer.push(sparse("sparse"));
    model.graph().node.push(node("Constant", &[], &["thin"], vec![sparse_value]));
    model.proto.functions = vec![FunctionProto {
        name: Some("Call".to_owned()),
        domain: Some("own".to_owned()),
        input: vec!["p".to_owned(), "q".to_owned()],
        output: vec!["r".to_owned()],
        node: vec![
            node("Constant", &[], &["within"], vec![tensor_attribute("value", odd(""))]),
            node("Sum", &["p", "q", "within"], &["r"], vec![]),
        ],
        // Another operator set than the model's, so that it cannot be written out.
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(9) }],
        ..FunctionProto::default()
    }];
    let report = Case::new(&model).quantize(&options(Granularity::PerChannel)).unwrap();
    let mut found: Vec<_> = report
        .skipped
        .iter()
        .map(|skipped| {
            let Skipped { node, op, reason, tensors } = skipped;
            format!("{node} ({op}) {}: {reason}", tensors.join(", "))
        })
        .collect();
    found.sort();
    let twice = "node_t (Mul) inner: Mul has no quantized form";
    assert_eq!(
        found,
        [
            "node_a (Add) constant: Add has no quantized form",
            "node_c (Call) called: function \"Call\" cannot be written out in place of its calls",
            "node_d (MatMul) double: the weight is not of a float type of 16 or 32 bits",
            "node_e (Einsum) einsum: Einsum has no quantized form",
            "node_f (Op) foreign, f.table: operators of domain \"mine\" have no quantized form",
            "node_g (Gemm) left, matrix: input 0 of Gemm has no quantized form",
            "node_m (Max) moved: Max has no quantized form",
            twice,
            twice,
            "node_thin (Constant) thin: it is stored sparse",
            "node_turned (Transpose) cube: Transpose has no quantized form",
            "sparse () sparse: it is stored sparse",
            "unused () unused: no operator takes it",
            "within () within: function \"Call\" cannot be written out in place of its calls",
        ]
    );
    assert_eq!(report.vectors, ["bias", "row"]);
}

#[test]
fn a_constant_that_no_operator_takes_is_told_by_its_name_alone() {
    let unused = |model: ModelBuilder| model.floats("unused", &[16, 16], &noise(2, 256));
    let bare = ModelBuilder::new().input("x", &[-1, 16]).output("y", &[-1, 16]).node("Relu", &["x"], &["y"]);
    let error = |model: ModelBuilder, options: &Options| {
        Case::new(&unused(model)).quantize(options).unwrap_err().to_string()
    };
    let options = options(Granularity::PerChannel);
    assert_eq!(error(bare, &options), "nothing changed: \"unused\": no operator takes it");
    let kept = Options { rules: vec![Rule::keep_float("w")], ..options };
    assert_eq!(
        error(layer(), &kept),
        "nothing changed: MatMul \"node_y\": a rule keeps it; \"unused\": no operator takes it"
    );
}
