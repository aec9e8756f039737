//! Where the output goes: temporary names first, the real ones when it is whole.

use std::fs::{self, File, Permissions};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slipway_model::onnx::OnnxModel;
use tempfile::NamedTempFile;

use super::FileError;

const BUFFER: usize = 256 << 10;

/// Digits of a digest in the name of a data file.
const DIGITS: usize = 16;

/// Where the output goes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(super) folder: PathBuf,
    pub(crate) model: PathBuf,
    name: String,
}

impl Target {
    /// Refuses an output that would overwrite a file of the input, or replace an output whose data the input uses.
    pub(crate) fn beside(input: &OnnxModel, output: &Path) -> Result<Self, FileError> {
        let name = output.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| FileError::OutputName { path: output.to_path_buf() })?;
        let folder = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let target = Self { model: folder.join(name), folder, name: name.to_owned() };
        for file in [target.model.clone()].into_iter().chain(target.replaced()) {
            let same = |input: &PathBuf| matches!((input.canonicalize(), file.canonicalize()), (Ok(a), Ok(b)) if a == b);
            if input.files().iter().any(same) {
                return Err(FileError::OutputIsInput { path: file });
            }
        }
        Ok(target)
    }

    /// The name of the data file of an output that is known by a digest: two runs to one output take different names
    /// unless they write the same bytes, and no file of another model has it.
    pub(super) fn location(&self, digest: &str) -> String {
        format!("{}.{}.data", self.name, &digest[..DIGITS])
    }

    /// Data files of the output that is there, which go when the new one is whole.
    fn replaced(&self) -> Vec<PathBuf> {
        let files = OnnxModel::open(&self.model).map(|model| model.files()).unwrap_or_default();
        files.into_iter().filter(|file| self.is_data(file)).collect()
    }

    /// Whether a file has a name that the data of this output gets.
    fn is_data(&self, file: &Path) -> bool {
        let found = file.file_name().and_then(|found| found.to_str());
        let digest =
            found.and_then(|found| found.strip_prefix(&self.name)?.strip_prefix('.')?.strip_suffix(".data"));
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_digest = |digest: &str| digest.len() == DIGITS && digest.bytes().all(is_digit);
        digest.is_some_and(is_digest) && file.parent() == Some(&self.folder)
    }

    /// Keeps other runs from giving files of this folder their names until the lock is dropped; nothing where the file
    /// system has no locks.
    fn lock(&self) -> Option<File> {
        File::open(&self.folder).ok().filter(|folder| folder.lock().is_ok())
    }

    /// Where the output lies, and what is kept aside for it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Brings the names in the folder to disk.
    fn sync(&self) -> Result<(), FileError> {
        let failed = |source| FileError::Write { path: self.folder.clone(), source };
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// A file in the same folder that goes away unless it is kept.
    pub(crate) fn temporary(&self) -> Result<BufWriter<NamedTempFile>, FileError> {
        let file = tempfile::Builder::new()
            .prefix(".slipway-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.folder)
            .map_err(|source| FileError::Write { path: self.folder.clone(), source })?;
        Ok(BufWriter::with_capacity(BUFFER, file))
    }
}

/// Bytes of all files of a model.
pub(crate) fn total_len(model: &OnnxModel) -> Result<u64, FileError> {
    let len = |path: &PathBuf| {
        let read = |source| FileError::Read { tensor: path.display().to_string(), source };
        fs::metadata(path).map(|metadata| metadata.len()).map_err(read)
    };
    model.files().iter().map(len).sum()
}

/// A data file under a temporary name, and the name that the model knows it by.
pub(crate) struct Data {
    pub(super) file: NamedTempFile,
    pub(super) location: String,
}

/// A finished output under temporary names; dropping it removes the files.
pub(crate) struct Written<R> {
    pub(crate) model: NamedTempFile,
    pub(crate) data: Option<Data>,
    /// What the producers told, in the order of the output.
    pub(crate) reports: Vec<R>,
    /// Bytes of all files.
    pub(crate) bytes: u64,
}

impl<R> Written<R> {
    /// Whether tensors lie in a file of their own.
    pub(crate) fn is_external(&self) -> bool {
        self.data.is_some()
    }

    /// Gives the files their names, so that at every moment the old output is there or the new one, and whole.
    ///
    /// The data goes first, under a name that no other output uses; the model's new name, which is one step for the file
    /// system, decides; then the old data goes.
    ///
    /// # Errors
    /// When a file cannot be renamed or brought to disk: then the old output stays.
    pub(crate) fn keep(self, target: &Target) -> Result<Vec<R>, FileError> {
        let _lock = target.lock();
        let mut old = target.replaced();
        if let Some(Data { file, location }) = self.data {
            let path = target.folder.join(location);
            persist(file, &path)?;
            // An output of the same bytes uses it already, and goes on to do so.
            let is_new = !old.contains(&path);
            old.retain(|file| *file != path);
            let named = target.sync().and_then(|()| persist(self.model, &target.model));
            if let Err(error) = named {
                if is_new {
                    let _ = fs::remove_file(&path);
                }
                return Err(error);
            }
        } else {
            persist(self.model, &target.model)?;
        }
        target.sync()?;
        // Whatever cannot be removed is a file that nothing refers to.
        for file in old {
            let _ = fs::remove_file(file);
        }
        Ok(self.reports)
    }
}

fn persist(file: NamedTempFile, path: &Path) -> Result<(), FileError> {
    let write = |source| FileError::Write { path: path.to_path_buf(), source };
    file.as_file().sync_all().map_err(write)?;
    file.persist(path).map(drop).map_err(|error| write(error.error))
}

#[cfg(test)]
mod tests {
    use slipway_model::onnx::build::ModelBuilder;

    use super::*;
    use crate::file::{Nothing, Output, describe, kept, source_of, write};
    use crate::progress::Silent;

    const ROWS: usize = 1024;

    /// A folder with two models of one weight each, and where their copies go.
    struct Room(tempfile::TempDir);

    impl Room {
        fn new() -> Self {
            let room = Self(tempfile::tempdir().unwrap());
            for value in [1.0, 2.0] {
                let dims = [i64::try_from(ROWS).unwrap()];
                let model = ModelBuilder::new().output("w", &dims).floats("w", &dims, &[value; ROWS]);
                model.write(&room.path(&format!("{value}.onnx"))).unwrap();
            }
            room
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        /// A copy of a model with its weight in a file of its own, under temporary names.
        fn written(&self, value: f32) -> (Target, Written<()>) {
            let model = OnnxModel::open(self.path(&format!("{value}.onnx"))).unwrap();
            let target = Target::beside(&model, &self.path("out.onnx")).unwrap();
            let mut proto = model.proto().clone();
            let source = source_of(&model, None).unwrap();
            describe(&mut proto, "copy", String::new(), Some(&source));
            let tensors = std::mem::take(&mut proto.graph.as_mut().unwrap().initializer);
            let tensors = tensors.into_iter().map(|tensor| kept(&model, tensor).unwrap()).collect();
            let output: Output<Nothing> = Output { model: proto, tensors };
            let written = write(output, &target, 0, &Silent).unwrap();
            (target, written)
        }

        /// The first value of the output's weight.
        fn value(&self) -> f32 {
            let model = OnnxModel::open(self.path("out.onnx")).unwrap();
            let payload = model.payload(&model.graph().initializer[0]).unwrap();
            let mut bytes = [0; 4];
            payload.open().unwrap().read_at(&mut bytes, 0).unwrap();
            f32::from_le_bytes(bytes)
        }

        fn files(&self) -> usize {
            self.0.path().read_dir().unwrap().count()
        }
    }

    #[test]
    fn two_runs_to_one_output_leave_one_of_them_whole_at_every_moment() {
        for order in [[1.0, 2.0], [2.0, 1.0]] {
            let room = Room::new();
            let [(one, first), (other, second)] = order.map(|value| room.written(value));
            first.keep(&one).unwrap();
            assert!((room.value() - order[0]).abs() < f32::EPSILON);
            // A run that is killed here has named its data alone.
            let data = second.data.as_ref().unwrap();
            fs::copy(data.file.path(), room.path(&data.location)).unwrap();
            assert!((room.value() - order[0]).abs() < f32::EPSILON);
            second.keep(&other).unwrap();
            assert!((room.value() - order[1]).abs() < f32::EPSILON);
            assert_eq!(room.files(), 4, "the data of the first is gone");
        }
    }

    #[test]
    fn the_same_work_again_keeps_its_data() {
        let room = Room::new();
        for value in [1.0, 1.0, 2.0, 1.0] {
            let (target, written) = room.written(value);
            written.keep(&target).unwrap();
            assert!((room.value() - value).abs() < f32::EPSILON);
            assert_eq!(room.files(), 4);
        }
    }

    #[test]
    fn a_file_of_another_model_is_never_replaced_or_removed() {
        let room = Room::new();
        let foreign = room.path("out.onnx.data");
        fs::write(&foreign, [7; 4 * ROWS]).unwrap();
        let old = ModelBuilder::new().initializer(slipway_model::onnx::build::external_tensor(
            "w",
            &[i64::try_from(ROWS).unwrap()],
            &[("location", "out.onnx.data")],
        ));
        old.output("w", &[]).write(&room.path("out.onnx")).unwrap();
        let (target, written) = room.written(1.0);
        written.keep(&target).unwrap();
        assert_eq!((fs::read(&foreign).unwrap(), room.files()), (vec![7; 4 * ROWS], 5));
    }
}
