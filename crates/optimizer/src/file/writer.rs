//! Writing the output: streamed, and aligned.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use prost::Message;
use slipway_artifacts::Hasher;
use slipway_model::onnx::Payload;
use slipway_model::onnx::proto::{ModelProto, TensorProto};
use tempfile::{NamedTempFile, SpooledTempFile};

use super::FileError;
use super::output::{
    ALIGNMENT, Output, OutputTensor, Streamed, model_prefix, tensor_field, tensor_field_len,
};
use super::producer::{MakeError, Part, Producer};
use super::target::{Data, Target, Written};
use crate::progress::Progress;

/// Protobuf's own limit for a message.
const MESSAGE_LIMIT: u64 = i32::MAX as u64;

/// Bytes copied at a time.
const COPY: usize = 256 << 10;

/// Bytes of parts that wait in memory, each; more wait in a file.
const SPOOL: usize = 4 << 20;

/// Writes the output under temporary names.
///
/// Tensors of more than `inline_limit` bytes in all go to a file of their own.
///
/// # Errors
/// When an input cannot be read or used, or a file cannot be written; nothing is left behind.
pub(crate) fn write<P: Producer>(
    mut output: Output<P>,
    target: &Target,
    inline_limit: u64,
    progress: &dyn Progress,
) -> Result<Written<P::Report>, FileError> {
    progress.total(output.tensors.iter().map(work).sum());
    let tensors = std::mem::take(&mut output.tensors);
    let bytes: u64 = tensors.iter().map(data_len).sum();
    let data = if bytes > inline_limit { Some(target.temporary()?) } else { None };
    let location =
        if data.is_some() { target.location(&digest(&output.model, &tensors)) } else { String::new() };
    let model = target.temporary()?;
    let mut writer = Writer { target, location, model, data, offset: 0, progress };
    writer.head(output, &tensors)?;
    let mut reports = Vec::new();
    for tensor in &tensors {
        reports.extend(writer.tensor(tensor)?);
    }
    if progress.is_cancelled() {
        return Err(FileError::Cancelled);
    }
    writer.finish(reports)
}

/// Bytes that are read for a tensor.
fn work<P: Producer>(tensor: &OutputTensor<P>) -> u64 {
    match tensor {
        OutputTensor::Whole(_) => 0,
        OutputTensor::Copied(_, payload) => payload.len(),
        OutputTensor::Made(producer) => producer.work(),
    }
}

/// Bytes of data that may go to a file of their own.
fn data_len<P: Producer>(tensor: &OutputTensor<P>) -> u64 {
    match tensor {
        OutputTensor::Whole(tensor) => tensor.raw_data.as_ref().map_or(0, |raw| raw.len() as u64),
        OutputTensor::Copied(_, payload) => payload.len(),
        OutputTensor::Made(producer) => producer.parts().iter().map(|part| part.length).sum(),
    }
}

/// The digest of a model without the bytes of its tensors: it says what they are made of and how, so that equal ones have
/// equal bytes.
fn digest<P: Producer>(model: &ModelProto, tensors: &[OutputTensor<P>]) -> String {
    let mut hasher = Hasher::new();
    let mut add = |header: &TensorProto, length: u64| {
        hasher.update(&header.encode_to_vec());
        hasher.update(&length.to_le_bytes());
    };
    for tensor in tensors {
        match tensor {
            OutputTensor::Whole(tensor) => add(tensor, 0),
            OutputTensor::Copied(header, payload) => add(header, payload.len()),
            OutputTensor::Made(producer) => {
                producer.parts().iter().for_each(|part| add(&part.header, part.length));
            }
        }
    }
    hasher.update(&model.encode_to_vec());
    hasher.finish().0.hex()
}

struct Writer<'a> {
    target: &'a Target,
    /// The data file's name, as the model writes it.
    location: String,
    model: BufWriter<NamedTempFile>,
    data: Option<BufWriter<NamedTempFile>>,
    offset: u64,
    progress: &'a dyn Progress,
}

impl Writer<'_> {
    /// Everything before the tensors.
    fn head<P: Producer>(
        &mut self,
        mut output: Output<P>,
        tensors: &[OutputTensor<P>],
    ) -> Result<(), FileError> {
        let graph = output.model.graph.take().unwrap_or_default();
        let mut offset = 0;
        let lengths = tensors.iter().map(|tensor| self.fields_len(tensor, &mut offset)).sum();
        let head = model_prefix(&output.model, &graph, lengths);
        let bytes = head.len() as u64 + lengths;
        if bytes > MESSAGE_LIMIT {
            return Err(FileError::TooLarge { bytes });
        }
        self.field(&head)
    }

    /// Bytes of a tensor's fields in the graph.
    fn fields_len<P: Producer>(&self, tensor: &OutputTensor<P>, offset: &mut u64) -> u64 {
        match tensor {
            OutputTensor::Whole(tensor) => tensor_field_len(tensor),
            OutputTensor::Copied(header, payload) => {
                self.field_len(Streamed::new(header, payload.len()), offset)
            }
            OutputTensor::Made(producer) => {
                producer.parts().iter().map(|part| self.field_len(part.into(), offset)).sum()
            }
        }
    }

    fn field_len(&self, mut streamed: Streamed, offset: &mut u64) -> u64 {
        if self.is_inline(&streamed) {
            return streamed.inline_len();
        }
        *offset = offset.next_multiple_of(ALIGNMENT as u64);
        streamed.externalize(&self.location, *offset);
        *offset += streamed.length();
        streamed.external_field().len() as u64
    }

    fn is_inline(&self, streamed: &Streamed) -> bool {
        self.data.is_none() || !streamed.is_large()
    }

    fn tensor<P: Producer>(&mut self, tensor: &OutputTensor<P>) -> Result<Option<P::Report>, FileError> {
        match tensor {
            OutputTensor::Whole(tensor) => self.field(&tensor_field(tensor)).map(|()| None),
            OutputTensor::Copied(header, payload) => {
                let progress = self.progress;
                progress.message(header.name());
                let mut sink = self.begin(Streamed::new(header, payload.len()))?;
                copy(header.name(), payload, &mut sink, progress).map(|()| None)
            }
            OutputTensor::Made(producer) => self.made(producer).map(Some),
        }
    }

    fn made<P: Producer>(&mut self, producer: &P) -> Result<P::Report, FileError> {
        self.progress.message(producer.name());
        let parts = producer.parts();
        let (first, rest) = parts.split_first().expect("a producer makes at least one tensor");
        let mut spools: Vec<_> =
            rest.iter().map(|_| tempfile::spooled_tempfile_in(SPOOL, &self.target.folder)).collect();
        let mut sink = self.begin(first.into())?;
        let report = make(producer, first, &mut sink, &mut spools)?;
        for (part, spool) in rest.iter().zip(&mut spools) {
            self.spooled(part, spool)?;
        }
        self.progress.advance(producer.work());
        Ok(report)
    }

    /// Copies a part that waited.
    fn spooled(&mut self, part: &Part, spool: &mut SpooledTempFile) -> Result<(), FileError> {
        let mut sink = self.begin(part.into())?;
        let copied = spool.seek(SeekFrom::Start(0)).and_then(|_| io::copy(spool, &mut sink));
        let written = copied.map_err(|source| sink.error(source))?;
        assert_eq!(written, part.length, "a producer keeps the lengths that it said");
        Ok(())
    }

    fn field(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let write = |source| FileError::Write { path: self.target.model.clone(), source };
        self.model.write_all(bytes).map_err(write)
    }

    /// Writes the header of a tensor, and gives the place for its data.
    fn begin(&mut self, mut streamed: Streamed) -> Result<Sink<'_>, FileError> {
        if self.is_inline(&streamed) {
            self.field(&streamed.inline_prefix())?;
            return Ok(Sink::new(&mut self.model, &self.target.model, self.progress));
        }
        let data = self.data.as_mut().expect("without a data file every tensor is inline");
        let start = self.offset.next_multiple_of(ALIGNMENT as u64);
        let padding = [0; ALIGNMENT];
        let gap = usize::try_from(start - self.offset).unwrap_or_default();
        let write = |source| FileError::Write { path: self.target.model.clone(), source };
        data.write_all(&padding[..gap]).map_err(write)?;
        streamed.externalize(&self.location, start);
        self.offset = start + streamed.length();
        self.model.write_all(&streamed.external_field()).map_err(write)?;
        Ok(Sink::new(data, &self.target.model, self.progress))
    }

    fn finish<R>(self, reports: Vec<R>) -> Result<Written<R>, FileError> {
        let model = flush(self.model, &self.target.model)?;
        let data = self.data.map(|data| flush(data, &self.target.model)).transpose()?;
        let len = |file: &NamedTempFile| {
            let read = |source| FileError::Write { path: file.path().to_path_buf(), source };
            file.as_file().metadata().map(|metadata| metadata.len()).map_err(read)
        };
        let bytes = len(&model)? + data.as_ref().map_or(Ok(0), len)?;
        let data = data.map(|file| Data { file, location: self.location });
        Ok(Written { model, data, reports, bytes })
    }
}

/// Where the data of one tensor goes.
struct Sink<'a> {
    file: &'a mut BufWriter<NamedTempFile>,
    path: &'a Path,
    progress: &'a dyn Progress,
    written: u64,
}

impl<'a> Sink<'a> {
    fn new(file: &'a mut BufWriter<NamedTempFile>, path: &'a Path, progress: &'a dyn Progress) -> Self {
        Self { file, path, progress, written: 0 }
    }

    fn error(&self, source: io::Error) -> FileError {
        if self.progress.is_cancelled() {
            return FileError::Cancelled;
        }
        FileError::Write { path: self.path.to_path_buf(), source }
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.progress.is_cancelled() {
            return Err(io::Error::other("called off"));
        }
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn make<P: Producer>(
    producer: &P,
    first: &Part,
    sink: &mut Sink<'_>,
    spools: &mut [SpooledTempFile],
) -> Result<P::Report, FileError> {
    let result = {
        let mut sinks: Vec<&mut dyn Write> = vec![sink];
        sinks.extend(spools.iter_mut().map(|spool| spool as &mut dyn Write));
        producer.make(&mut sinks)
    };
    let report = result.map_err(|error| match error {
        MakeError::Write(source) => sink.error(source),
        error => error.of_tensor(producer.name(), sink.path),
    })?;
    assert_eq!(sink.written, first.length, "a producer keeps the lengths that it said");
    Ok(report)
}

fn copy(
    name: &str,
    payload: &Payload,
    sink: &mut Sink<'_>,
    progress: &dyn Progress,
) -> Result<(), FileError> {
    let read = |source| FileError::Read { tensor: name.to_owned(), source };
    let file = payload.open().map_err(read)?;
    let mut buffer = vec![0; COPY];
    for position in (0..payload.len()).step_by(COPY) {
        let size = usize::try_from(payload.len() - position).unwrap_or(COPY).min(COPY);
        file.read_at(&mut buffer[..size], position).map_err(read)?;
        sink.write_all(&buffer[..size]).map_err(|source| sink.error(source))?;
        progress.advance(size as u64);
    }
    Ok(())
}

fn flush(writer: BufWriter<NamedTempFile>, path: &Path) -> Result<NamedTempFile, FileError> {
    writer
        .into_inner()
        .map_err(|error| FileError::Write { path: path.to_path_buf(), source: error.into_error() })
}
