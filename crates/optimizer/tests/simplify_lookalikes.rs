//! Chains that only look like a `Gelu` or a `LayerNormalization`: each thing that makes one is noticed when it is missing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use common::chains::{ends, gelu, norm, simplified};
use slipway_model::onnx::build::{ModelBuilder, float_tensor, float_value, int, ints, node};
use slipway_model::onnx::proto::{AttributeProto, GraphProto, NodeProto};
use slipway_optimizer::stage::simplify::Change;

/// A model with one thing changed, and what it is called when it is fused all the same.
fn changed(of: fn() -> ModelBuilder, what: &str, change: impl Fn(&mut GraphProto)) -> (&str, ModelBuilder) {
    let mut model = of();
    change(model.graph());
    (what, model)
}

fn of_output<'a>(graph: &'a mut GraphProto, output: &str) -> &'a mut NodeProto {
    graph.node.iter_mut().find(|node| node.output[0] == output).unwrap()
}

/// The node with this output does something else.
fn another(op: &'static str, output: &'static str) -> impl Fn(&mut GraphProto) {
    move |graph| of_output(graph, output).op_type = Some(op.to_owned())
}

/// The node with this output takes something else.
fn takes(inputs: &'static [&'static str], output: &'static str) -> impl Fn(&mut GraphProto) {
    move |graph| of_output(graph, output).input = inputs.iter().map(ToString::to_string).collect()
}

/// A constant is something else.
fn constant(name: &'static str, dims: &'static [i64], value: f32) -> impl Fn(&mut GraphProto) {
    move |graph| {
        let count = usize::try_from(dims.iter().product::<i64>()).unwrap();
        let old = graph.initializer.iter_mut().find(|tensor| tensor.name() == name).unwrap();
        *old = float_tensor(name, dims, &vec![value; count]);
    }
}

/// The node with this output has this attribute.
fn with(value: fn() -> AttributeProto, output: &'static str) -> impl Fn(&mut GraphProto) {
    move |graph| {
        let node = of_output(graph, output);
        node.attribute.retain(|old| old.name() != value().name());
        node.attribute.push(value());
    }
}

/// A value is an output of the model, or another node takes it.
fn seen(name: &'static str, is_given: bool) -> impl Fn(&mut GraphProto) {
    move |graph| {
        let given = if is_given { name } else { "also" };
        graph.output.push(float_value(given, &[]));
        if !is_given {
            graph.node.push(node("Neg", &[name], &["also"], vec![]));
        }
    }
}

#[test]
fn whatever_is_no_gelu_stays() {
    let of = || gelu(ends().input("z", &[-1, 5, 16]), "x", "y");
    let mut cases = vec![
        changed(of, "another domain", |graph| {
            of_output(graph, "sum").domain = Some("org.example".to_owned());
        }),
        changed(of, "a second output", |graph| {
            of_output(graph, "product").output.push("more".to_owned());
            graph.output.push(float_value("more", &[]));
        }),
        changed(of, "another sum", constant("one", &[], 2.0)),
        changed(of, "another half", constant("half", &[], 0.25)),
        changed(of, "another slope", constant("root", &[], 1.414_22)),
        changed(of, "a half for each column", constant("half", &[16], 0.5)),
        changed(of, "a half that adds a dimension", constant("half", &[1, 1, 1, 1], 0.5)),
        changed(of, "a sum that adds a dimension", constant("one", &[1, 1, 1, 1], 1.0)),
        changed(
            of,
            "a slope that adds a dimension",
            constant("root", &[1, 1, 1, 1], std::f32::consts::SQRT_2),
        ),
        changed(of, "the curve of another value", takes(&["z", "root"], "slope")),
        changed(of, "a slope upside down", takes(&["root", "x"], "slope")),
        changed(of, "a half upside down", |graph| {
            constant("half", &[], 2.0)(graph);
            another("Div", "y")(graph);
            takes(&["half", "product"], "y")(graph);
        }),
        changed(of, "another curve", another("Tanh", "curve")),
        changed(of, "a difference", another("Sub", "sum")),
        changed(of, "a difference inside", another("Sub", "slope")),
        changed(of, "a quotient", another("Div", "product")),
        changed(of, "a sum at the end", another("Add", "y")),
        changed(of, "a slope with a fourth power", |graph| {
            graph.initializer.push(float_tensor("three", &[], &[3.0]));
            takes(&["x", "root"], "slope")(graph);
            of_output(graph, "slope").output[0] = "first".to_owned();
            graph.node.push(node("Pow", &["x", "three"], &["cube"], vec![]));
            graph.node.push(node("Mul", &["cube", "x"], &["fourth"], vec![]));
            graph.node.push(node("Add", &["first", "fourth"], &["slope"], vec![]));
            // The new nodes go before those that take them.
            graph.node.rotate_right(3);
            let first = graph.node.iter().position(|node| node.output[0] == "first").unwrap();
            let first = graph.node.remove(first);
            graph.node.insert(0, first);
        }),
        ("old operators", of().opset(6)),
    ];
    for name in ["slope", "curve", "sum", "product"] {
        cases.push(changed(of, name, seen(name, true)));
        cases.push(changed(of, name, seen(name, false)));
    }
    for (what, model) in cases {
        let (report, _) = simplified(&model);
        assert!(!report.changes.contains_key(&Change::GeluFused), "{what}");
    }
}

#[test]
fn whatever_is_no_norm_stays() {
    let of = || norm(ends().input("z", &[-1, 5, 16]), "x", "y");
    let mut cases = vec![
        changed(of, "the mean of another value", takes(&["z"], "mean")),
        changed(of, "a mean less a value", takes(&["mean", "x"], "center")),
        changed(of, "squares of another value", takes(&["x", "two"], "square")),
        changed(of, "squares of another value, and a center that two take", |graph| {
            takes(&["x", "two"], "square")(graph);
            seen("center", false)(graph);
        }),
        changed(of, "another power", constant("two", &[], 3.0)),
        changed(of, "a power that adds a dimension", constant("two", &[1, 1, 1, 1], 2.0)),
        changed(of, "an epsilon for each column", constant("epsilon", &[16], 1e-5)),
        changed(of, "an epsilon that adds a dimension", constant("epsilon", &[1, 1, 1, 1], 1e-5)),
        changed(of, "factors with more dimensions", constant("gamma", &[1, 16], 0.5)),
        changed(of, "one factor", constant("gamma", &[1], 0.5)),
        changed(of, "a mean of another axis", with(|| ints("axes", &[1]), "mean")),
        changed(of, "a mean of two axes", with(|| ints("axes", &[-1, 1]), "mean")),
        changed(of, "a mean without its axis", with(|| int("keepdims", 0), "mean")),
        changed(of, "a variance of another axis", with(|| ints("axes", &[0]), "variance")),
        changed(of, "a variance without its axis", with(|| int("keepdims", 0), "variance")),
        changed(of, "another mean", another("ReduceMax", "mean")),
        changed(of, "another center", another("Add", "center")),
        changed(of, "another square", another("Mul", "square")),
        changed(of, "another variance", another("ReduceMax", "variance")),
        changed(of, "another sum", another("Mul", "moved")),
        changed(of, "another root", another("Exp", "deviation")),
        changed(of, "another quotient", another("Mul", "normal")),
        changed(of, "a quotient upside down", takes(&["deviation", "center"], "normal")),
        changed(of, "another product", another("Div", "scaled")),
    ];
    for name in ["mean", "center", "square", "variance", "moved", "deviation", "normal"] {
        cases.push(changed(of, name, seen(name, true)));
        cases.push(changed(of, name, seen(name, false)));
    }
    for (what, model) in cases {
        let (report, _) = simplified(&model);
        assert!(!report.changes.contains_key(&Change::LayerNormFused), "{what}: {report:?}");
    }
}

#[test]
fn what_follows_a_norm_stays_behind_it_where_it_is_no_shift() {
    let of = || norm(ends(), "x", "y");
    for (what, model) in [
        changed(of, "one summand for all", constant("beta", &[1], 0.5)),
        changed(of, "a summand for each row", constant("beta", &[5, 1], 0.5)),
        changed(of, "a difference", another("Sub", "y")),
        changed(of, "another product", another("Mul", "y")),
        changed(of, "the product is an output", seen("scaled", true)),
        changed(of, "another takes the product", seen("scaled", false)),
    ] {
        let (report, model) = simplified(&model);
        assert_eq!(report.changes[&Change::LayerNormFused], 1, "{what}");
        let norm = model.graph().node.iter().find(|node| node.op_type() == "LayerNormalization").unwrap();
        assert_eq!((norm.input.len(), norm.output[0].as_str()), (2, "scaled"), "{what}");
    }
}
