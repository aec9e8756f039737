//! Writing the output: streamed, and aligned.

use std::io::{BufWriter, Write};
use std::path::Path;

use slipway_kernels::quantize::Quality;
use slipway_model::onnx::Payload;
use tempfile::NamedTempFile;

use super::output::{
    ALIGNMENT, Output, OutputTensor, QuantizedWeight, Streamed, model_prefix, tensor_field, tensor_field_len,
};
use super::target::{Target, Written};
use super::tensor::{Stream, StreamError};
use super::{DynamicOptions, QuantizeError, TensorReport, WeightType};
use crate::progress::Progress;

/// Protobuf's own limit for a message.
const MESSAGE_LIMIT: u64 = i32::MAX as u64;

/// Bytes copied at a time.
const COPY: usize = 256 << 10;

/// Writes the output under temporary names.
pub(super) fn write(
    mut output: Output,
    target: &Target,
    options: &DynamicOptions,
    progress: &dyn Progress,
) -> Result<Written, QuantizeError> {
    progress.total(output.tensors.iter().map(work).sum());
    let tensors = std::mem::take(&mut output.tensors);
    let bytes: u64 = tensors.iter().map(data_len).sum();
    let external = bytes > options.inline_limit;
    let data = if external { Some(target.temporary()?) } else { None };
    let model = target.temporary()?;
    let mut writer = Writer { target, model, data, offset: 0, reports: Vec::new(), progress };
    writer.head(output, &tensors)?;
    for tensor in &tensors {
        writer.tensor(tensor)?;
    }
    writer.finish()
}

/// Bytes that are read for a tensor.
fn work(tensor: &OutputTensor) -> u64 {
    match tensor {
        OutputTensor::Whole(_) => 0,
        OutputTensor::Copied { payload, .. } => payload.len(),
        OutputTensor::Quantized(weight) => weight.payload.len(),
    }
}

/// Bytes of data that may go to a file of their own.
fn data_len(tensor: &OutputTensor) -> u64 {
    match tensor {
        OutputTensor::Whole(tensor) => tensor.raw_data.as_ref().map_or(0, |raw| raw.len() as u64),
        OutputTensor::Copied { payload, .. } => payload.len(),
        OutputTensor::Quantized(weight) => weight.layout.elements() as u64,
    }
}

struct Writer<'a> {
    target: &'a Target,
    model: BufWriter<NamedTempFile>,
    data: Option<BufWriter<NamedTempFile>>,
    offset: u64,
    reports: Vec<TensorReport>,
    progress: &'a dyn Progress,
}

impl Writer<'_> {
    /// Everything before the tensors.
    fn head(&mut self, mut output: Output, tensors: &[OutputTensor]) -> Result<(), QuantizeError> {
        let graph = output.model.graph.take().unwrap_or_default();
        let mut offset = 0;
        let lengths = tensors.iter().map(|tensor| self.field_len(tensor, &mut offset)).sum();
        let head = model_prefix(&output.model, &graph, lengths);
        let bytes = head.len() as u64 + lengths;
        if bytes > MESSAGE_LIMIT {
            return Err(QuantizeError::TooLarge { bytes });
        }
        self.model.write_all(&head).map_err(|source| self.model_error(source))
    }

    /// Bytes of a tensor's fields in the graph.
    fn field_len(&self, tensor: &OutputTensor, offset: &mut u64) -> u64 {
        let mut streamed = match tensor {
            OutputTensor::Whole(tensor) => return tensor_field_len(tensor),
            OutputTensor::Copied { header, payload } => Streamed::new(header.clone(), payload.len()),
            OutputTensor::Quantized(weight) => {
                Streamed::new(weight.header(), weight.layout.elements() as u64)
            }
        };
        let data = if self.data.is_some() {
            *offset = offset.next_multiple_of(ALIGNMENT as u64);
            streamed.externalize(&self.target.location, *offset);
            *offset += data_len(tensor);
            streamed.external_field().len() as u64
        } else {
            streamed.inline_len()
        };
        data + scales_len(tensor)
    }

    fn tensor(&mut self, tensor: &OutputTensor) -> Result<(), QuantizeError> {
        match tensor {
            OutputTensor::Whole(tensor) => self.field(&tensor_field(tensor)),
            OutputTensor::Copied { header, payload } => {
                self.progress.message(header.name());
                self.begin(Streamed::new(header.clone(), payload.len()), payload.len())?;
                self.copy(header.name(), payload)
            }
            OutputTensor::Quantized(weight) => self.quantized(weight),
        }
    }

    fn field(&mut self, bytes: &[u8]) -> Result<(), QuantizeError> {
        self.model.write_all(bytes).map_err(|source| self.model_error(source))
    }

    /// Writes the header of a tensor whose data comes next, and pads the data file.
    fn begin(&mut self, mut streamed: Streamed, length: u64) -> Result<(), QuantizeError> {
        let Some(data) = &mut self.data else {
            return self.field(&streamed.inline_prefix());
        };
        let start = self.offset.next_multiple_of(ALIGNMENT as u64);
        let padding = [0; ALIGNMENT];
        let gap = usize::try_from(start - self.offset).unwrap_or_default();
        data.write_all(&padding[..gap])
            .map_err(|source| QuantizeError::Write { path: self.target.data.clone(), source })?;
        streamed.externalize(&self.target.location, start);
        self.offset = start + length;
        self.field(&streamed.external_field())
    }

    fn copy(&mut self, name: &str, payload: &Payload) -> Result<(), QuantizeError> {
        let read = |source| QuantizeError::Read { tensor: name.to_owned(), source };
        let file = payload.open().map_err(read)?;
        let mut buffer = vec![0; COPY];
        for position in (0..payload.len()).step_by(COPY) {
            let size = usize::try_from(payload.len() - position).unwrap_or(COPY).min(COPY);
            file.read_at(&mut buffer[..size], position).map_err(read)?;
            self.sink().write_all(&buffer[..size]).map_err(|source| self.sink_error(source))?;
            self.progress.advance(size as u64);
        }
        Ok(())
    }

    fn quantized(&mut self, weight: &QuantizedWeight) -> Result<(), QuantizeError> {
        self.progress.message(&weight.name);
        let read = |source| QuantizeError::Read { tensor: weight.name.clone(), source };
        let file = weight.payload.open().map_err(read)?;
        self.begin(
            Streamed::new(weight.header(), weight.layout.elements() as u64),
            weight.layout.elements() as u64,
        )?;
        let mut stream = Stream::new(&file, weight.layout, weight.weights.scheme());
        let result = stream.scales().and_then(|scales| {
            let quality = stream.quantize(&scales, self.sink())?;
            Ok((scales, quality))
        });
        let (scales, quality) = result.map_err(|error| match error {
            StreamError::NotFinite => QuantizeError::NotFinite { tensor: weight.name.clone() },
            StreamError::Read(source) => read(source),
            StreamError::Write(source) => self.sink_error(source),
        })?;
        for tensor in weight.scales(&scales) {
            self.field(&tensor_field(&tensor))?;
        }
        self.reports.push(report(weight, &scales, quality));
        self.progress.advance(weight.payload.len());
        Ok(())
    }

    fn sink(&mut self) -> &mut BufWriter<NamedTempFile> {
        self.data.as_mut().unwrap_or(&mut self.model)
    }

    fn sink_error(&self, source: std::io::Error) -> QuantizeError {
        let path = if self.data.is_some() { &self.target.data } else { &self.target.model };
        QuantizeError::Write { path: path.clone(), source }
    }

    fn model_error(&self, source: std::io::Error) -> QuantizeError {
        QuantizeError::Write { path: self.target.model.clone(), source }
    }

    fn finish(self) -> Result<Written, QuantizeError> {
        let model = flush(self.model, &self.target.model)?;
        let data = self.data.map(|data| flush(data, &self.target.data)).transpose()?;
        let len = |file: &NamedTempFile| {
            let read = |source| QuantizeError::Write { path: file.path().to_path_buf(), source };
            file.as_file().metadata().map(|metadata| metadata.len()).map_err(read)
        };
        let bytes = len(&model)? + data.as_ref().map_or(Ok(0), len)?;
        Ok(Written { model, data, tensors: self.reports, bytes })
    }
}

fn flush(writer: BufWriter<NamedTempFile>, path: &Path) -> Result<NamedTempFile, QuantizeError> {
    writer
        .into_inner()
        .map_err(|error| QuantizeError::Write { path: path.to_path_buf(), source: error.into_error() })
}

fn scales_len(tensor: &OutputTensor) -> u64 {
    match tensor {
        OutputTensor::Quantized(weight) => {
            let zeros = vec![0.0; weight.layout.channels()];
            weight.scales(&zeros).iter().map(tensor_field_len).sum()
        }
        OutputTensor::Whole(_) | OutputTensor::Copied { .. } => 0,
    }
}

fn report(weight: &QuantizedWeight, scales: &[f32], quality: Quality) -> TensorReport {
    let WeightType::Int8 { reduce_range } = weight.weights;
    TensorReport {
        name: weight.name.clone(),
        shape: weight.dims.iter().map(|dim| dim.unsigned_abs()).collect(),
        scheme: if reduce_range { "int8/7" } else { "int8/8" }.to_owned(),
        granularity: weight.layout.granularity(),
        scale_min: scales.iter().copied().fold(f32::INFINITY, f32::min),
        scale_max: scales.iter().copied().fold(0.0, f32::max),
        max_error: quality.max_error,
        sqnr_db: quality.sqnr_db(),
        saturated: quality.saturated,
        float_kept: weight.float_kept,
    }
}
