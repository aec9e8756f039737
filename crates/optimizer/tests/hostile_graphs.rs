//! Graphs that no exporter writes: circles, and calls without end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use common::{Case, count, layer, noise, options};
use slipway_model::onnx::build::node;
use slipway_model::onnx::proto::{FunctionProto, NodeProto, OperatorSetIdProto};
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
    assert_eq!(count(&case.output_model(), "own::f"), 1 + 1);
    simplify(&case).unwrap();
}
