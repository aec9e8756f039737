//! What the simplifier says of chains that it makes one operator of; `simplify_lookalikes.rs` has those that it leaves,
//! and `simplify_oracle.rs` holds the answers of every form.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use common::chains::{ends, gelu, norm, simplified};
use common::{Case, count, noise};
use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::build::{ModelBuilder, int};
use slipway_model::onnx::proto::{NodeProto, TensorProto};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{self, Granularity, Method};
use slipway_optimizer::stage::simplify::{Change, Options, simplify};

fn imports(model: &OnnxModel) -> Vec<(&str, i64)> {
    model.proto().opset_import.iter().map(|import| (import.domain(), import.version())).collect()
}

#[test]
fn fused_operators_have_the_name_of_the_last_node_and_are_counted() {
    let (report, model) = simplified(&gelu(norm(ends(), "x", "h"), "h", "y").opset(14));
    assert_eq!((report.changes[&Change::GeluFused], report.changes[&Change::LayerNormFused]), (1, 1));
    let told = serde_json::to_value(&report).unwrap();
    assert_eq!((&told["changes"]["geluFused"], &told["changes"]["layerNormFused"]), (&1.into(), &1.into()));
    let shown = |node: &NodeProto| format!("{}:{} {}", node.domain(), node.op_type(), node.name());
    let nodes: Vec<String> = model.graph().node.iter().map(shown).collect();
    assert_eq!(nodes, [":LayerNormalization node_h", "com.microsoft:Gelu node_y"]);
    assert_eq!((report.opset, imports(&model)), (17, vec![("", 17), ("com.microsoft", 1)]));
    assert!(report.skipped.is_empty(), "{:?}", report.skipped);
}

#[test]
fn a_gelu_alone_raises_no_opset_and_a_norm_alone_needs_no_other_domain() {
    let (report, model) = simplified(&gelu(ends(), "x", "y").opset(9));
    assert_eq!((report.opset, imports(&model)), (9, vec![("", 9), ("com.microsoft", 1)]));
    let (report, model) = simplified(&norm(ends(), "x", "y").opset(13));
    assert_eq!((report.opset, imports(&model)), (17, vec![("", 17)]));
    assert_eq!(model.proto().ir_version(), 8);
    let (report, _) = simplified(&norm(ends(), "x", "y").opset(19));
    assert_eq!(report.opset, 19);
    let (_, model) = simplified(&gelu(ends(), "x", "y").opset(20));
    assert_eq!((count(&model, "Gelu"), imports(&model)), (1, vec![("", 20)]));
}

#[test]
fn what_multiplies_a_gelu_by_one_in_two_steps_belongs_to_it_and_is_fused_once() {
    let model = gelu(ends(), "x", "g").floats("double", &[], &[2.0]);
    let model = model.node("Mul", &["g", "double"], &["twice"]).node("Mul", &["twice", "half"], &["y"]);
    let (report, _) = simplified(&model);
    assert_eq!((report.changes[&Change::GeluFused], report.nodes_after), (1, 1));
}

#[test]
fn a_norm_of_other_channels_stays_and_one_of_unknown_channels_is_named() {
    let of = |size| ModelBuilder::new().input("x", &[-1, size]).output("y", &[-1, 16]);
    let (report, model) = simplified(&norm(of(1), "x", "y"));
    assert_eq!((count(&model, "LayerNormalization"), report.skipped), (0, vec![]));
    let (report, model) = simplified(&norm(of(-1), "x", "y"));
    assert_eq!(count(&model, "LayerNormalization"), 0);
    let [skip] = report.skipped.as_slice() else { panic!("{:?}", report.skipped) };
    assert_eq!((skip.node.as_str(), skip.op.as_str()), ("node_y", "Add"));
    assert_eq!(skip.reason, "not fused to LayerNormalization: the size of its last axis is not known");
}

/// What is said of a normalization beside other operators, in an opset before 17.
fn refused(model: ModelBuilder, opset: i64) -> String {
    let (report, model) = simplified(&norm(model, "x", "y").opset(opset));
    assert_eq!((count(&model, "LayerNormalization"), report.opset), (0, opset));
    let [skip] = report.skipped.as_slice() else { panic!("{:?}", report.skipped) };
    skip.reason.clone()
}

#[test]
fn an_operator_that_means_something_else_in_opset_17_keeps_norms_as_they_are() {
    let boxes = || {
        ends().input("boxes", &[3, 4]).output("crops", &[3, 1, 1, 1]).input("maps", &[1, 1, 4, 4]).node(
            "RoiAlign",
            &["maps", "boxes", "which"],
            &["crops"],
        )
    };
    let which = |model: ModelBuilder| {
        model.initializer(TensorProto {
            name: Some("which".to_owned()),
            dims: vec![3],
            data_type: Some(7),
            int64_data: vec![0; 3],
            ..TensorProto::default()
        })
    };
    let reason = refused(which(boxes()), 15);
    assert!(
        reason.ends_with("it needs opset 17, and in opset 15 RoiAlign \"node_crops\" means something else"),
        "{reason}"
    );
    let (report, _) = simplified(&norm(which(boxes()), "x", "y").opset(16));
    assert_eq!(report.opset, 17);

    let trained = ends().output("m", &[5]).floats("s", &[5], &[1.0; 5]).node(
        "BatchNormalization",
        &["x", "s", "s", "s", "s"],
        &["n", "m", "v"],
    );
    assert!(refused(trained, 13).contains("BatchNormalization"));
    let clipped = ends().output("c", &[-1, 5, 16]).node_with("Clip", &["x"], &["c"], vec![]);
    assert!(refused(clipped, 10).ends_with("in opset 10 an operator may mean something else"));
}

#[test]
fn an_old_softmax_is_raised_where_it_looks_at_one_axis_and_keeps_norms_where_it_does_not() {
    let softmax = |axis: Option<i64>| {
        let axis = axis.map(|axis| int("axis", axis)).into_iter().collect();
        ends().output("s", &[-1, 5, 16]).node_with("Softmax", &["x"], &["s"], axis)
    };
    assert!(refused(softmax(Some(1)), 12).contains("Softmax \"node_s\" means something else"));
    assert!(refused(softmax(None), 12).contains("Softmax \"node_s\" means something else"));
    for axis in [2, -1] {
        let (report, model) = simplified(&norm(softmax(Some(axis)), "x", "y").opset(12));
        assert_eq!(report.opset, 17);
        let softmax = model.graph().node.iter().find(|node| node.op_type() == "Softmax").unwrap();
        assert_eq!(softmax.attribute, [int("axis", -1)]);
        assert_eq!(report.nodes_after, 2);
    }
}

#[test]
fn the_quantizer_knows_what_a_gelu_gives() {
    let model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .floats("w", &[16, 16], &noise(3, 256))
        .floats("v", &[16, 16], &noise(4, 256))
        .node("MatMul", &["x", "w"], &["h"])
        .node("MatMul", &["g", "v"], &["y"]);
    let mut model = gelu(model, "h", "g");
    let last = model.graph().node.remove(1);
    model.graph().node.push(last);
    let case = Case::new(&model);
    let simple = case.folder.path().join("simple.onnx");
    simplify(&case.input, &simple, &Options::default(), &Silent).unwrap();
    let method = Method::Dynamic { granularity: Granularity::PerChannel, reduce_range: true };
    let options = quantize::Options { method, allow_bigger: true, ..quantize::Options::default() };
    quantize::quantize(&simple, &case.output, &options, &Silent).unwrap();
    let model = case.output_model();
    assert!(model.graph().node.iter().any(|node| node.op_type() == "Gelu"));
    assert_eq!(count(&model, "MatMulInteger"), 2);
}

#[test]
fn sizes_are_known_behind_a_gelu_and_an_expand_to_open_sizes() {
    let model = ends()
        .floats("table", &[1, 16], &noise(5, 16))
        .node("Shape", &["x"], &["sizes"])
        .node("Expand", &["table", "sizes"], &["wide"])
        .node("Add", &["x", "wide"], &["h"]);
    let (report, model) = simplified(&norm(gelu(model, "h", "g"), "g", "y"));
    assert_eq!((report.changes[&Change::LayerNormFused], count(&model, "LayerNormalization")), (1, 1));
    let mut bent = ends().node("Gelu", &["x"], &["g"]);
    bent.graph().node[0].domain = Some("com.microsoft".to_owned());
    let (report, _) = simplified(&norm(bent, "g", "y"));
    assert_eq!(report.changes[&Change::LayerNormFused], 1);
    let table = ModelBuilder::new()
        .input("sizes", &[2])
        .output("y", &[-1, -1, 16])
        .floats("table", &[1, 16], &noise(5, 16))
        .node_with("Cast", &["sizes"], &["whole"], vec![int("to", 7)])
        .node("Expand", &["table", "whole"], &["wide"]);
    let (report, _) = simplified(&norm(table, "wide", "y"));
    assert_eq!(report.changes[&Change::LayerNormFused], 1);
}
