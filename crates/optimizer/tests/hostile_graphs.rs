//! Graphs that no exporter writes: circles, calls without end, sizes that multiply to nothing and axes by the million.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use std::sync::mpsc;
use std::time::Duration;

use common::{Case, count, layer, noise, options};
use slipway_model::onnx::DataType;
use slipway_model::onnx::build::{ModelBuilder, int, ints, node};
use slipway_model::onnx::proto::{FunctionProto, NodeProto, OperatorSetIdProto, TensorProto};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::Granularity;
use slipway_optimizer::stage::simplify;

fn simplify(case: &Case) -> Result<simplify::SimplifyReport, simplify::SimplifyError> {
    let options = simplify::Options { allow_unchanged: true, ..simplify::Options::default() };
    simplify::simplify(&case.input, &case.output, &options, &Silent)
}

fn function(name: &str, node: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: Some(name.to_owned()),
        domain: Some("own".to_owned()),
        input: vec!["a".to_owned()],
        output: vec!["b".to_owned()],
        node,
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        ..FunctionProto::default()
    }
}

fn call(name: &str, from: &str, to: &str) -> NodeProto {
    NodeProto { domain: Some("own".to_owned()), name: None, ..node(name, &[from], &[to], vec![]) }
}

#[test]
fn graphs_that_go_in_circles_end() {
    for op in ["Identity", "Transpose", "Add", "Relu"] {
        let model = layer()
            .floats("v", &[16, 16], &noise(2, 256))
            .node(op, &["two", "v"], &["one"])
            .node(op, &["one", "v"], &["two"])
            .node(op, &["self", "v"], &["self"])
            .node("MatMul", &["x", "one"], &["z"])
            .node("MatMul", &["self", "self"], &["s"]);
        let case = Case::new(&model);
        let report = case.quantize(&options(Granularity::PerChannel)).unwrap();
        assert_eq!(report.tensors[0].name, "w", "{op}");
        let _ = simplify(&case);
    }
}

#[test]
fn chains_without_end_end() {
    for op in ["Mul", "Add"] {
        let mut model = layer().output("out", &[-1, 16]).floats("c", &[], &[1.5]);
        let mut value = "y".to_owned();
        for index in 0..20_000 {
            let next = format!("v{index}");
            model.graph().node.push(node(op, &[&value, "c"], &[&next], vec![]));
            value = next;
        }
        model.graph().node.push(node("Erf", &[&value], &["z"], vec![]));
        let case = Case::new(&model.node("Mul", &["z", "z"], &["out"]));
        // Threads of a runtime have no more of a stack.
        let simplifies =
            std::thread::Builder::new().stack_size(1 << 20).spawn(move || simplify(&case).map(drop));
        simplifies.unwrap().join().unwrap().unwrap();
    }
}

#[test]
fn functions_that_call_themselves_stay_calls() {
    let mut model = layer();
    model.graph().node.push(call("f", "y", "z"));
    model.proto.functions =
        vec![function("f", vec![call("g", "a", "b")]), function("g", vec![call("f", "a", "b")])];
    let case = Case::new(&model);
    case.quantize(&options(Granularity::PerChannel)).unwrap();
    assert_eq!(count(&case.output_model(), "own.f"), 1 + 1);
    simplify(&case).unwrap();
}

/// Simplifies a small file within seconds: what takes longer would take years, or all memory there is.
fn simplifies(model: &ModelBuilder) {
    let case = Case::new(model);
    let (done, waits) = mpsc::channel();
    std::thread::spawn(move || done.send(simplify(&case).map(drop)));
    waits.recv_timeout(Duration::from_mins(1)).expect("it ends").unwrap();
}

#[test]
fn rows_of_nothing_end() {
    let long = 1 << 31;
    let empty = || layer().floats("empty", &[long, long, 0], &[]).output("z", &[]);
    // What a graph gives is not computed ahead, what another operator takes is.
    let joined = empty().node_with("Concat", &["empty", "empty"], &["c"], vec![int("axis", 2)]);
    simplifies(&joined.node("Sign", &["c"], &["z"]));
    let none = empty().floats("none", &[0], &[]).node_with("Cast", &["none"], &["at"], vec![int("to", 7)]);
    let picked = none.node_with("Gather", &["empty", "at"], &["c"], vec![int("axis", 2)]);
    simplifies(&picked.node("Sign", &["c"], &["z"]));
}

#[test]
fn axes_by_the_million_end() {
    let zeros = vec![0; 2 << 20];
    for input in ["x", "w"] {
        let deep = layer().opset(11).node_with("Unsqueeze", &[input], &["c"], vec![ints("axes", &zeros)]);
        simplifies(&deep.node("Sign", &["c"], &["z"]).output("z", &[]));
    }
}

#[test]
fn ranks_that_double_end() {
    let mut model = layer().output("z", &[]);
    let mut value = "x".to_owned();
    for index in 0..60 {
        let next = format!("v{index}");
        model.graph().node.push(node("Gather", &[&value, &value], &[&next], vec![]));
        value = next;
    }
    simplifies(&model.node("Identity", &[&value], &["z"]));
}

#[test]
fn an_input_of_a_million_axes_is_not_copied_for_every_node() {
    let mut model = ModelBuilder::new().input("x", &vec![1; 1 << 20]).output("z", &[]);
    let mut value = "x".to_owned();
    for index in 0..2000 {
        let next = format!("v{index}");
        model.graph().node.push(node("Relu", &[&value], &[&next], vec![]));
        value = next;
    }
    simplifies(&model.node("Identity", &[&value], &["z"]));
}

#[test]
fn large_constants_are_not_read_for_every_small_result() {
    let size = TensorProto {
        name: Some("size".to_owned()),
        dims: vec![1],
        data_type: Some(DataType::INT64.code()),
        int64_data: vec![8 << 20],
        ..TensorProto::default()
    };
    let mut model = layer().initializer(size).node("ConstantOfShape", &["size"], &["c"]).output("z", &[]);
    let mut value = "y".to_owned();
    for index in 0..3000 {
        let (least, next) = (format!("m{index}"), format!("v{index}"));
        let reduced = node("ReduceMin", &["c"], &[&least], vec![int("keepdims", index % 2)]);
        model.graph().node.extend([reduced, node("Add", &[&value, &least], &[&next], vec![])]);
        value = next;
    }
    simplifies(&model.node("Sign", &[&value], &["z"]));
}
