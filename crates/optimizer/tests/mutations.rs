//! The fuzz targets over their corpus, with a few bytes changed, cut or repeated, thousands of times.
//!
//! The seeds are fixed, so a failure comes again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;
#[path = "../../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, reason = "for the fuzz crate they are public")]
mod targets;

use std::path::{Path, PathBuf};

use slipway_model::onnx::DataType;
use slipway_model::onnx::build::{ModelBuilder, graph, int, ints, node, tensor};
use slipway_model::onnx::proto::{FunctionProto, GraphProto, NodeProto, TensorProto};

use targets::Outcome;

/// A model in which every form and every way to hide a weight occurs.
fn seed() -> Vec<u8> {
    let noise = |seed, count| common::noise(seed, count);
    let body = GraphProto {
        node: vec![node("MatMul", &["c", "inner"], &["z"], vec![])],
        initializer: vec![slipway_model::onnx::build::float_tensor("inner", &[16, 16], &noise(1, 256))],
        output: vec![slipway_model::onnx::build::float_value("z", &[-1, 16])],
        ..GraphProto::default()
    };
    let constant = slipway_model::onnx::build::float_tensor("", &[16, 16], &noise(2, 256));
    ModelBuilder::new()
        .input("x", &[-1, 16])
        .input("picture", &[-1, 4, 8, 8])
        .output("y", &[-1, 16])
        .output("h", &[-1, 8, 8, 8])
        .floats("w", &[16, 16], &noise(3, 256))
        .floats("table", &[32, 16], &noise(4, 512))
        .floats("kernel", &[8, 4, 3, 3], &noise(5, 288))
        .floats("bias", &[8], &noise(6, 8))
        .node_with("Constant", &[], &["v"], vec![tensor("value", constant)])
        .node_with("Gemm", &["x", "w"], &["a"], vec![int("transB", 1)])
        .node_with("Transpose", &["v"], &["t"], vec![ints("perm", &[1, 0])])
        .node("MatMul", &["a", "t"], &["b"])
        .node("ArgMax", &["b"], &["ids"])
        .node("Gather", &["table", "ids"], &["rows"])
        .node("Add", &["b", "b"], &["c"])
        .node_with(
            "If",
            &["flag"],
            &["y"],
            vec![graph("then_branch", body.clone()), graph("else_branch", body)],
        )
        .node_with("Conv", &["picture", "kernel", "bias"], &["h"], vec![ints("pads", &[1, 1, 1, 1])])
        .bytes()
}

/// Integers of 64 bits.
fn long(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: Some(DataType::INT64.code()),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A small model that asks for work without end: rows of nothing, axes by the million, steps as long as integers are, ranks
/// that double.
fn endless() -> Vec<u8> {
    let side = 1 << 31;
    let mut model = ModelBuilder::new()
        .input("x", &[-1, 4])
        .floats("empty", &[side, side, 0], &[])
        .initializer(long("nothing", &[]))
        .initializer(long("million", &[1 << 20]))
        .initializer(long("zero", &[0]))
        .initializer(long("one", &[1]))
        .initializer(long("two", &[2]))
        .initializer(TensorProto { dims: vec![], ..long("least", &[i64::MIN]) })
        .initializer(TensorProto { dims: vec![], ..long("far", &[1 << 62]) })
        .initializer(TensorProto { dims: vec![], ..long("most", &[i64::MAX]) })
        .initializer(long("end", &[i64::MAX]))
        .node_with("Concat", &["empty", "empty"], &["rows"], vec![int("axis", 2)])
        .node_with("Gather", &["empty", "nothing"], &["picked"], vec![int("axis", 2)])
        .node_with("ConstantOfShape", &["million"], &["axes"], vec![tensor("value", long("", &[0]))])
        .node("Unsqueeze", &["two", "axes"], &["deep"])
        .node("Range", &["least", "most", "far"], &["steps"])
        .node("Slice", &["steps", "one", "end", "zero", "end"], &["last"])
        .node("Gather", &["x", "x"], &["twice"])
        .node("Gather", &["twice", "twice"], &["ranks"])
        .node("Gather", &["ranks", "ranks"], &["more"]);
    // What a graph gives is not computed ahead, what another operator takes is.
    for value in ["rows", "picked", "deep", "last", "more"] {
        let output = format!("{value}_sign");
        model = model.node("Sign", &[value], &[&output]).output(&output, &[]);
    }
    model.bytes()
}

/// A model in which every kind of simplification occurs.
fn too_much() -> Vec<u8> {
    let body = |name: &str| GraphProto {
        node: vec![
            node("Slice", &["w", "one", "two"], &["part"], vec![]),
            node("Add", &["x", "part"], &[name], vec![]),
        ],
        output: vec![slipway_model::onnx::build::float_value(name, &[-1, 4])],
        ..GraphProto::default()
    };
    let branches = || vec![graph("then_branch", body("t")), graph("else_branch", body("e"))];
    ModelBuilder::new()
        .input("x", &[-1, 4])
        .input("flag", &[])
        .output("y", &[-1, 4])
        .output("known", &[-1, 4])
        .floats("w", &[4, 4], &common::noise(1, 16))
        .floats("again", &[4, 4], &common::noise(1, 16))
        .initializer(long("one", &[1]))
        .initializer(long("two", &[2]))
        .initializer(long("shape", &[2, 2, 4]))
        .node("Reshape", &["w", "shape"], &["cube"])
        .node_with("Transpose", &["cube"], &["turned"], vec![ints("perm", &[2, 0, 1])])
        .node_with("Unsqueeze", &["turned"], &["deep"], vec![])
        .node("ReduceMax", &["turned"], &["most"])
        .node("Expand", &["most", "shape"], &["wide"])
        .node("Tile", &["one", "two"], &["tiled"])
        .node_with("Concat", &["tiled", "two"], &["joined"], vec![int("axis", 0)])
        .node("ConstantOfShape", &["joined"], &["zeros"])
        .node("Shape", &["x"], &["sizes"])
        .node_with("Gather", &["sizes", "one"], &["size"], vec![int("axis", 0)])
        .node("Range", &["one", "size", "one"], &["range"])
        .node("Equal", &["size", "two"], &["is"])
        .node_with("Split", &["again", "two"], &["left", "right"], vec![int("axis", 1)])
        .node_with("If", &["is"], &["known"], branches())
        .node_with("If", &["flag"], &["h"], branches())
        .node("Add", &["h", "again"], &["a"])
        .node("Add", &["h", "w"], &["b"])
        .node("Identity", &["b"], &["c"])
        .node_with("Cast", &["c"], &["d"], vec![int("to", 1)])
        .node("Sub", &["a", "d"], &["y"])
        .bytes()
}

/// A model that can be run on 16 numbers, with a product in a function beside a graph of its own.
fn observed() -> Vec<u8> {
    let branch = |op: &str| GraphProto {
        node: vec![node(op, &["a"], &["z"], vec![])],
        output: vec![slipway_model::onnx::build::float_value("z", &[-1, 16])],
        ..GraphProto::default()
    };
    let is = TensorProto { data_type: Some(9), int32_data: vec![1], ..TensorProto::default() };
    let branches = vec![graph("then_branch", branch("Relu")), graph("else_branch", branch("Tanh"))];
    let mut model = ModelBuilder::new()
        .input("x", &[-1, 16])
        .output("y", &[-1, 16])
        .floats("w", &[16, 16], &common::noise(1, 256))
        .floats("b", &[16], &common::noise(2, 16))
        .floats("v", &[16, 16], &common::noise(3, 256))
        .node("Gemm", &["x", "w", "b"], &["h"]);
    let call = node("Block", &["h", "v"], &["c"], vec![]);
    model.graph().node.push(NodeProto { domain: Some("own".to_owned()), ..call });
    model.proto.functions = vec![FunctionProto {
        name: Some("Block".to_owned()),
        domain: Some("own".to_owned()),
        input: vec!["a".to_owned(), "m".to_owned()],
        output: vec!["p".to_owned()],
        node: vec![
            node("Constant", &[], &["is"], vec![tensor("value", is)]),
            node("If", &["is"], &["chosen"], branches),
            node("MatMul", &["chosen", "m"], &["p"], vec![]),
        ],
        ..FunctionProto::default()
    }];
    model.node("Tanh", &["c"], &["y"]).bytes()
}

/// Numbers that are the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.roll(4) {
        let place = dice.roll(bytes.len());
        match dice.roll(6) {
            0 => bytes[place] ^= 1 << dice.roll(8),
            1 => bytes[place] = u8::try_from(dice.roll(256)).unwrap(),
            2 => bytes[place] = [0x00, 0x7f, 0x80, 0xff][dice.roll(4)],
            3 => bytes.truncate(place.max(1)),
            4 => drop(bytes.remove(place)),
            _ => {
                let end = (place + dice.roll(64)).min(bytes.len());
                let piece = bytes[place..end].to_vec();
                let target = dice.roll(bytes.len());
                bytes.splice(target..target, piece);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// The models of the corpus, by target and name; the quantizer's begin with a byte that says the method.
fn models() -> Vec<(&'static str, String, Vec<u8>)> {
    let plain = |target, name: &str, model: Vec<u8>| (target, name.to_owned(), model);
    let mut all = vec![
        plain("open_model", "every_form", seed()),
        plain("simplify", "every_form", seed()),
        plain("simplify", "every_change", too_much()),
        plain("simplify", "endless", endless()),
    ];
    all.extend(
        (0..7_u8)
            .map(|method| plain("quantize", &format!("method_{method}"), [vec![method], seed()].concat())),
    );
    all.extend(
        (0..3_u8)
            .map(|stage| plain("observe", &format!("stage_{stage}"), [vec![stage], observed()].concat())),
    );
    all
}

/// `UPDATE_CORPUS=1` writes them.
#[test]
fn the_corpus_has_the_models_that_are_built_here() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    for (target, name, model) in models() {
        let file = corpus(target).join(name);
        if update {
            std::fs::create_dir_all(corpus(target)).unwrap();
            std::fs::write(&file, &model).unwrap();
        }
        let found = std::fs::read(&file).unwrap();
        assert!(found == model, "{} is stale: run this test with UPDATE_CORPUS=1", file.display());
    }
}

/// Gives a target its corpus as it is, which it takes, and so many mutations of each file.
fn run(name: &str, target: fn(&[u8]) -> Outcome, rounds: u64) {
    let mut files: Vec<_> = corpus(name).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut taken, mut refused) = (0, 0);
    for file in &files {
        let whole = std::fs::read(file).unwrap();
        assert_eq!(target(&whole), Outcome::Taken, "{}", file.display());
        for round in 1..=rounds {
            let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let mut bytes = whole.clone();
            mutate(&mut bytes, &mut dice);
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            match outcome.unwrap_or_else(|_| panic!("{}, round {round}", file.display())) {
                Outcome::Taken => taken += 1,
                Outcome::Refused => refused += 1,
            }
        }
    }
    assert!(taken > 20 && refused > 20, "{taken} taken, {refused} refused: the mutations prove too little");
}

#[test]
fn broken_models_are_refused_or_opened() {
    run("open_model", targets::open_model, 3000);
}

#[test]
fn broken_models_are_refused_or_quantized_whole() {
    run("quantize", targets::quantize, 500);
}

#[test]
fn broken_models_are_refused_or_run_on_data_and_made_whole() {
    run("observe", targets::observe, 300);
}

#[test]
fn broken_models_are_refused_or_simplified_whole() {
    run("simplify", targets::simplify, 2000);
}

#[test]
fn broken_archives_are_refused_or_read() {
    run("open_npz", targets::open_npz, 3000);
}

#[test]
fn broken_tensors_are_refused_or_decoded() {
    run("decode_tensor", targets::decode_tensor, 3000);
}

#[test]
fn broken_manifests_are_refused_or_lead_nowhere_else() {
    run("parse_manifest", targets::parse_manifest, 3000);
}
