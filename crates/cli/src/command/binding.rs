//! Which arrays of a data file go to which inputs of a model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use slipway_api::DataSet;
use slipway_artifacts::digest_file;
use slipway_model::npz::NpzFile;
use slipway_optimizer::{
    calibrate::{Data, inputs},
    evaluate::{Samples, TensorSpec},
};

use super::engine::EngineArgs;
use crate::error::Error;

/// Which arrays of a file go to which inputs of a model.
#[derive(Args, Clone)]
pub(crate) struct Binding {
    /// A model input and the array of the data for it, where the names differ: INPUT=ARRAY.
    #[arg(long = "input", value_name = "INPUT=ARRAY", value_parser = pair)]
    inputs: Vec<(String, String)>,
    /// A model input whose samples are padded, and the array of the data that says how much of each counts, along the last axis that the
    /// model leaves open: INPUT=ARRAY.
    #[arg(long = "length", value_name = "INPUT=ARRAY", value_parser = pair)]
    lengths: Vec<(String, String)>,
}

impl Binding {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { inputs, lengths } = self;
        inputs.is_empty() && lengths.is_empty()
    }

    /// A file's samples for the inputs of a model.
    pub(crate) fn samples(&self, model: &Path, data: &Path) -> Result<Samples, Error> {
        let inputs = inputs(model).map_err(|error| Error::file(model, &error))?;
        self.bound(data, &inputs)
    }

    /// A file for a stage that runs the model on so many of its samples.
    pub(crate) fn data(
        &self,
        model: &Path,
        data: &Path,
        samples: i32,
        engine: EngineArgs,
    ) -> Result<Data, Error> {
        let samples = usize::try_from(samples).unwrap_or_default();
        let feeds = Arc::new(self.samples(model, data)?);
        let (digest, _) = digest_file(data)?;
        let capture = engine.capture();
        Ok(Data { samples, capture, ..Data::new(feeds, digest.to_string()) })
    }

    /// The samples of a file.
    pub(crate) fn bound(&self, data: &Path, inputs: &[TensorSpec]) -> Result<Samples, Error> {
        let mut file = NpzFile::open(data).map_err(|error| Error::file(data, &error))?;
        Samples::bind(&mut file, &self.spec(data)?, inputs).map_err(|error| Error::file(data, &error))
    }

    /// What a user would write under `data:`.
    pub(crate) fn spec(&self, data: &Path) -> Result<DataSet, Error> {
        let map = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
        let binding = json!({
            "name": "data",
            "source": { "uri": format!("file://{}", data.display()) },
            "inputs": map(&self.inputs),
            "lengths": map(&self.lengths),
        });
        serde_json::from_value(binding).map_err(|error| Error::Usage(error.to_string()))
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (input, array) = text.split_once('=').ok_or("write INPUT=ARRAY")?;
    Ok((input.to_owned(), array.to_owned()))
}
