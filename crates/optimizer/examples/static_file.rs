//! Calibrates a model on data and quantizes it statically, for benchmarks.
//!
//! `static_file MODEL DATA.npz OUTPUT PERCENT|minMax|entropy|mse [SAMPLES]`: the arrays of the data are named as the
//! model's inputs.

use std::error::Error;
use std::path::Path;

use slipway_api::DataSet;
use slipway_model::npz::NpzFile;
use slipway_optimizer::calibrate::{CalibrateOptions, Calibrator, Range};
use slipway_optimizer::evaluate::Samples;
use slipway_optimizer::progress::Silent;
use slipway_optimizer::stage::quantize::{Engine, Granularity, Method, Options, quantize};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, data, output, range, rest @ ..] = arguments.as_slice() else {
        return Err("usage: static_file MODEL DATA.npz OUTPUT RANGE [SAMPLES]".into());
    };
    let range = match range.as_str() {
        "minMax" => Range::MinMax,
        "entropy" => Range::Entropy,
        "mse" => Range::Mse,
        percent => Range::Percentile(percent.parse()?),
    };
    let samples = rest.first().map_or(Ok(128), |count| count.parse())?;
    let options = CalibrateOptions { range, samples, ..CalibrateOptions::default() };
    let calibrator = Calibrator::open(Path::new(model), &options)?;
    let binding: DataSet = serde_json::from_value(
        serde_json::json!({ "name": "data", "source": { "uri": "file:///data.npz" } }),
    )?;
    let samples = Samples::bind(&mut NpzFile::open(data)?, &binding, &calibrator.inputs())?;
    let calibration = calibrator.run(&samples, "sha256:unknown", &Silent)?;
    drop(calibrator);
    let method = Method::Static { granularity: Granularity::PerChannel, reduce_range: true };
    let options = Options {
        method,
        engine: Engine::OnnxRuntime,
        calibration: Some(calibration),
        allow_bigger: true,
        ..Options::default()
    };
    let report = quantize(Path::new(model), Path::new(output), &options, &Silent)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
