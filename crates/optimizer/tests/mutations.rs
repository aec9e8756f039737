//! Broken files: real models with a few bytes changed, cut or repeated, thousands of times.
//!
//! Whatever the bytes, a stage gives a typed error or a model that opens, never a panic, and leaves nothing
//! else behind. The seeds are fixed, so a failure comes again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use std::path::Path;

use serde_json::{Map, Value, json};
use slipway_model::onnx::build::{ModelBuilder, graph, int, ints, node, tensor};
use slipway_model::onnx::proto::{GraphProto, TensorProto};
use slipway_model::onnx::{DataType, OnnxModel};
use slipway_optimizer::calibrate::Calibration;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Fit, Granularity, HalfFloat, Method, Options, quantize};
use slipway_optimizer::stage::simplify;

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

/// A model in which every kind of simplification occurs.
fn too_much() -> Vec<u8> {
    let long = |name: &str, values: &[i64]| TensorProto {
        name: Some(name.to_owned()),
        dims: vec![i64::try_from(values.len()).unwrap()],
        data_type: Some(DataType::INT64.code()),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    };
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

fn methods() -> [Method; 5] {
    [
        Method::default(),
        Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: false },
        Method::Four { block: 16, zero_points: false, fit: Fit::Nearest },
        Method::Half { float: HalfFloat::Float16 },
        Method::Static { granularity: Granularity::PerChannel, reduce_range: true },
    ]
}

/// Ranges for every activation of the seed, said to be of a model that cannot even be run.
fn calibration(model: &[u8]) -> Calibration {
    let spans: Map<String, Value> = ["x", "picture", "a", "b", "c", "rows", "h"]
        .map(|name| (name.to_owned(), json!(["-1", "1"])))
        .into_iter()
        .collect();
    let text = json!({
        "version": 1, "tool": "test", "engine": "none", "data": "none", "range": "minMax", "samples": 1,
        "model": slipway_artifacts::Digest::of(model), "spans": spans,
    });
    serde_json::from_value(text).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Gives a stage a seed and thousands of mutations of it.
fn break_and_run(seed: &[u8], stage: impl Fn(&Path, &Path, &mut Dice) -> Result<(), String>) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.onnx"), folder.path().join("out.onnx"));
    let (mut refused, mut made) = (0, 0);
    for round in 0..3000_u64 {
        let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut bytes = seed.to_vec();
        if round > 0 {
            mutate(&mut bytes, &mut dice);
        }
        std::fs::write(&input, &bytes).unwrap();
        match stage(&input, &output, &mut dice) {
            Ok(()) => {
                made += 1;
                OnnxModel::open(&output).unwrap_or_else(|error| panic!("round {round}: {error}"));
                std::fs::remove_file(&output).unwrap();
            }
            Err(error) => {
                refused += 1;
                assert!(!error.is_empty());
            }
        }
        assert_eq!(names(folder.path()), ["in.onnx"], "round {round}");
        assert_eq!(std::fs::read(&input).unwrap(), bytes, "round {round}: the input was touched");
    }
    assert!(made > 100 && refused > 100, "{made} made, {refused} refused: the mutations prove too little");
}

#[test]
fn broken_models_are_refused_or_quantized_whole() {
    break_and_run(&seed(), |input, output, dice| {
        let calibration = Some(calibration(&std::fs::read(input).unwrap()));
        let method = methods()[dice.roll(5)];
        let options = Options { method, calibration, allow_bigger: true, ..Options::default() };
        quantize(input, output, &options, &Silent).map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn broken_models_are_refused_or_simplified_whole() {
    let options = simplify::Options { allow_unchanged: true, ..simplify::Options::default() };
    for seed in [seed(), too_much()] {
        break_and_run(&seed, |input, output, _| {
            simplify::simplify(input, output, &options, &Silent).map(drop).map_err(|error| error.to_string())
        });
    }
}
