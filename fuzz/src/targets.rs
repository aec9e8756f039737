//! One function a target: whatever the bytes, it gives a result or a typed error that says something, and panics only where
//! a promise is broken.

use std::error::Error;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use slipway_artifacts::{Digest, Manifest, RelPath};
use slipway_model::npz::{NpzFile, NpzLimits};
use slipway_model::onnx::OnnxModel;
use slipway_optimizer::calibrate::{Calibration, Data};
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Fit, Granularity, HalfFloat, Method, Options};
use slipway_optimizer::stage::{quantize as quantizer, simplify as simplifier, smooth as smoother};
use slipway_server::{BackendChoice, DataType, Tensor, TensorData};

/// What became of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They were taken.
    Taken,
    /// They were refused with an error.
    Refused,
}

/// A refusal, which has to have words.
fn refused(error: &dyn Error) -> Outcome {
    assert!(!error.to_string().is_empty(), "an error says something: {error:?}");
    Outcome::Refused
}

/// Opens a model, and asks it everything that can be asked.
pub fn open_model(data: &[u8]) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, data).expect("the file can be written");
    match OnnxModel::open(&path) {
        Ok(model) => {
            let (facts, operators) = (model.facts(), model.operators());
            assert_eq!(facts.operators.is_empty(), operators.is_empty());
            for tensor in &model.graph().initializer {
                if let Ok(payload) = model.payload(tensor) {
                    let last = payload.len().saturating_sub(1);
                    let file = payload.open().expect("a checked payload can be opened");
                    let mut byte = vec![0; usize::from(!payload.is_empty())];
                    file.read_at(&mut byte, last).expect("a checked payload can be read to its end");
                }
            }
            Outcome::Taken
        }
        Err(error) => refused(&error),
    }
}

/// Quantizes a model by the method that the first byte says.
pub fn quantize(data: &[u8]) -> Outcome {
    let Some((first, model)) = data.split_first() else { return Outcome::Refused };
    let methods = methods();
    let method = methods[usize::from(*first) % methods.len()];
    stage(model, |input, output| {
        let calibration = Some(calibration(model));
        let options = Options { method, calibration, allow_bigger: true, ..Options::default() };
        quantizer::quantize(input, output, &options, &Silent).map(drop)
    })
}

/// Applies one of the stages that run their model on data, which the first byte says.
pub fn observe(data: &[u8]) -> Outcome {
    let Some((first, model)) = data.split_first() else { return Outcome::Refused };
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let seen = samples(scratch.path());
    let options = Options { allow_bigger: true, least_elements: 16, ..Options::default() };
    let gptq = Method::Four { block: 16, zero_points: false, fit: Fit::Gptq };
    let outcome = stage(model, |input, output| match first % 3 {
        0 => smoother::smooth(input, output, &seen, &smoother::Options::default(), &Silent)
            .map(drop)
            .map_err(Box::<dyn Error>::from),
        1 => {
            let options = Options { method: gptq, data: Some(seen.clone()), ..options.clone() };
            quantizer::quantize(input, output, &options, &Silent).map(drop).map_err(Into::into)
        }
        _ => {
            let options = Options { bias_correction: Some(seen.clone()), ..options.clone() };
            quantizer::quantize(input, output, &options, &Silent).map(drop).map_err(Into::into)
        }
    });
    let left = scratch.path().read_dir().expect("the folder is there").count();
    assert_eq!(left, 0, "no copy is left behind");
    outcome
}

/// Two samples of 16 numbers, and a folder for copies.
fn samples(scratch: &Path) -> Data {
    let sample = |by: f32| {
        let values = (0_u8..16).map(|index| (f32::from(index) - 7.5) * by).collect();
        vec![Tensor::new(vec![1, 16], TensorData::Fp32(values)).expect("there are 16 numbers")]
    };
    let mut data = Data::new(Arc::new(vec![sample(0.25), sample(-1.0)]), "none");
    scratch.clone_into(&mut data.capture.scratch);
    data.capture.engine.threads = 1;
    data.capture.engine.backend = BackendChoice::Rten;
    data
}

/// Simplifies a model.
pub fn simplify(data: &[u8]) -> Outcome {
    let options = simplifier::Options { allow_unchanged: true, ..simplifier::Options::default() };
    stage(data, |input, output| simplifier::simplify(input, output, &options, &Silent).map(drop))
}

/// Applies a stage to a file: it leaves a model that opens, or nothing, and never touches its input.
fn stage<E: Into<Box<dyn Error>>>(model: &[u8], apply: impl Fn(&Path, &Path) -> Result<(), E>) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (input, output) = (folder.path().join("in.onnx"), folder.path().join("out.onnx"));
    std::fs::write(&input, model).expect("the file can be written");
    let outcome = match apply(&input, &output) {
        Ok(()) => {
            OnnxModel::open(&output).expect("what a stage wrote is a model");
            std::fs::remove_file(&output).expect("the output is a file");
            Outcome::Taken
        }
        Err(error) => refused(&*error.into()),
    };
    let left = folder.path().read_dir().expect("the folder is there").count();
    assert_eq!(left, 1, "nothing is left behind");
    assert!(std::fs::read(&input).is_ok_and(|bytes| bytes == model), "the input is not touched");
    outcome
}

fn methods() -> [Method; 7] {
    [
        Method::default(),
        Method::Dynamic { granularity: Granularity::PerTensor, reduce_range: false },
        Method::Eight { granularity: Granularity::PerChannel },
        Method::Four { block: 16, zero_points: false, fit: Fit::Nearest },
        Method::Four { block: 32, zero_points: false, fit: Fit::LeastSquares },
        Method::Half { float: HalfFloat::Float16 },
        Method::Static { granularity: Granularity::PerChannel, reduce_range: true },
    ]
}

/// Ranges for every activation of the corpus, said to be of a model that cannot even be run.
fn calibration(model: &[u8]) -> Calibration {
    let spans: Map<String, Value> = ["x", "picture", "a", "b", "c", "rows", "h"]
        .map(|name| (name.to_owned(), json!(["-1", "1"])))
        .into_iter()
        .collect();
    let text = json!({
        "version": 1, "tool": "test", "engine": "none", "data": "none", "range": "minMax", "samples": 1,
        "model": Digest::of(model), "spans": spans,
    });
    serde_json::from_value(text).expect("this is a calibration")
}

/// Opens an archive of arrays, and reads each.
pub fn open_npz(data: &[u8]) -> Outcome {
    let limits = NpzLimits { max_bytes: 1 << 20, ..NpzLimits::default() };
    let mut file = match NpzFile::from_reader(Cursor::new(data), limits) {
        Ok(file) => file,
        Err(error) => return refused(&error),
    };
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    for name in names {
        if let Err(error) = file.array(&name) {
            return refused(&error);
        }
    }
    Outcome::Taken
}

/// Decodes a tensor as the server takes it, of the type and the length that the first two bytes say.
pub fn decode_tensor(data: &[u8]) -> Outcome {
    let [datatype, elements, data @ ..] = data else { return Outcome::Refused };
    let types = [
        DataType::Bool,
        DataType::Int8,
        DataType::UInt8,
        DataType::Int32,
        DataType::Int64,
        DataType::Fp16,
        DataType::Fp32,
        DataType::Fp64,
        DataType::Bytes,
    ];
    let datatype = types[usize::from(*datatype) % types.len()];
    let Some(values) = TensorData::from_le_bytes(datatype, data) else { return Outcome::Refused };
    let mut again = Vec::new();
    values.write_le_bytes(&mut again);
    assert_eq!(again.len(), values.size_bytes());
    assert!(datatype == DataType::Bool || again == data, "what was decoded is what was sent");
    match Tensor::new(vec![usize::from(*elements)], values) {
        Some(_) => Outcome::Taken,
        None => Outcome::Refused,
    }
}

/// Parses the manifest of an artifact; no path in it leaves the folder that it is unpacked to.
pub fn parse_manifest(data: &[u8]) -> Outcome {
    let manifest = match Manifest::parse(data) {
        Ok(manifest) => manifest,
        Err(error) => return refused(&error),
    };
    let folder = Path::new("/folder");
    for file in manifest.files() {
        let path: &RelPath = &file.path;
        let joined = path.join_to(folder);
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        assert!(joined.strip_prefix(folder).is_ok_and(|inside| inside.components().all(plain)), "{path}");
    }
    let _ = (manifest.kind(), manifest.format(), manifest.facts(), manifest.lineage());
    Outcome::Taken
}
