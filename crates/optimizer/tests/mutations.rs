//! Broken files: real models with a few bytes changed, cut or repeated, thousands of times.
//!
//! Whatever the bytes, the quantizer gives a typed error or a model that opens, never a panic, and leaves nothing
//! else behind. The seeds are fixed, so a failure comes again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, helpers included")]

mod common;

use std::path::Path;

use slipway_model::onnx::OnnxModel;
use slipway_model::onnx::build::{ModelBuilder, graph, int, ints, node, tensor};
use slipway_model::onnx::proto::GraphProto;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Fit, Granularity, HalfFloat, Method, Options, quantize};

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

fn methods() -> [Method; 4] {
    [
        Method::default(),
        Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: false },
        Method::Four { block: 16, zero_points: false, fit: Fit::Nearest },
        Method::Half { float: HalfFloat::Float16 },
    ]
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn broken_models_are_refused_or_come_out_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.onnx"), folder.path().join("out.onnx"));
    let seed = seed();
    let (mut refused, mut made) = (0, 0);
    for round in 0..3000_u64 {
        let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut bytes = seed.clone();
        if round > 0 {
            mutate(&mut bytes, &mut dice);
        }
        std::fs::write(&input, &bytes).unwrap();
        let method = methods()[dice.roll(4)];
        let options = Options { method, allow_bigger: true, ..Options::default() };
        match quantize(&input, &output, &options, &Silent) {
            Ok(_) => {
                made += 1;
                OnnxModel::open(&output).unwrap_or_else(|error| panic!("round {round}: {error}"));
                std::fs::remove_file(&output).unwrap();
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
        assert_eq!(names(folder.path()), ["in.onnx"], "round {round}");
        assert_eq!(std::fs::read(&input).unwrap(), bytes, "round {round}: the input was touched");
    }
    assert!(made > 100 && refused > 100, "{made} made, {refused} refused: the mutations prove too little");
}
