//! The program under test, what it printed, and files that go wrong.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::npz::unlabelled;

/// A folder that a test works in; it is the home of the program that runs in it.
pub(crate) struct Room(tempfile::TempDir);

/// What a call printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A file of this repository's example.
pub(crate) fn example(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits").join(file);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// Where the scripts put the ONNX Runtime library.
pub(crate) fn library() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/slipway");
    let library = std::env::var_os("SLIPWAY_CACHE").map_or_else(home, PathBuf::from).join("onnxruntime");
    assert!(library.exists(), "there is no {}: run scripts/onnxruntime.sh", library.display());
    library
}

impl Room {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Writes a file; its whole path as an argument.
    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(file), content).unwrap();
        self.argument(file)
    }

    pub(crate) fn argument(&self, file: &str) -> String {
        self.path(file).to_str().unwrap().to_owned()
    }

    /// The names of all that lies in it.
    pub(crate) fn files(&self) -> BTreeSet<OsString> {
        std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    /// The example's model deployment with one piece of its text replaced, beside its `ConfigMap`s.
    pub(crate) fn deployment(&self, from: &str, to: &str) -> String {
        let text = std::fs::read_to_string(example("modeldeployment.yaml")).unwrap();
        assert!(text.contains(from), "{from}");
        for file in ["configmap-model.yaml", "configmap-holdout.yaml"] {
            std::fs::copy(example(file), self.path(file)).unwrap();
        }
        self.write("modeldeployment.yaml", text.replacen(from, to, 1));
        self.argument(".")
    }

    /// As [`Room::deployment`], with a data set `usual` beside the gate's, for stages to look at.
    pub(crate) fn deployment_with_usual(&self, from: &str, to: &str) -> String {
        let folder = self.deployment(from, to);
        self.write("usual.npz", unlabelled(&example("holdout.npz")));
        let text = std::fs::read_to_string(self.path("modeldeployment.yaml")).unwrap();
        let usual = "  data:\n    - { name: usual, source: { uri: \"file://usual.npz\" } }\n";
        self.write("modeldeployment.yaml", text.replacen("  data:\n", usual, 1));
        folder
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command.args(arguments).current_dir(self.0.path()).env("HOME", self.0.path());
        command.env("SLIPWAY_ONNXRUNTIME", library());
        for name in ["SLIPWAY_CACHE", "XDG_CACHE_HOME", "SLIPWAY_ARTIFACTS", "DOCKER_CONFIG", "RUST_LOG"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn slipway(&self, arguments: &[&str]) -> Done {
        Self::done(&mut self.command(arguments), arguments)
    }

    /// As [`Room::slipway`], where no ONNX Runtime library is to be found.
    pub(crate) fn slipway_without_library(&self, arguments: &[&str]) -> Done {
        self.slipway_where(arguments, &[])
    }

    /// As [`Room::slipway`], where these variables alone say where an ONNX Runtime library is.
    pub(crate) fn slipway_where(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
        let mut command = self.command(arguments);
        for name in ["SLIPWAY_ONNXRUNTIME", "VIRTUAL_ENV", "CONDA_PREFIX", "PATH", "ORT_DISABLE_TELEMETRY"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        Self::done(&mut command, arguments)
    }

    fn done(command: &mut Command, arguments: &[&str]) -> Done {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Done {
            code: status.code().unwrap_or_else(|| panic!("{arguments:?} ended by a signal: {status}")),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }
}

impl Done {
    /// Its output, where it went well and said nothing beside it.
    pub(crate) fn text(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out
    }

    /// Its output as JSON, where it went well and said nothing beside it.
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// Asserts that it failed with this code and these words, and printed nothing that could be taken for a result.
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        let told = self.error();
        for word in words {
            assert!(told.contains(word), "{word}: {self:?}");
        }
    }

    /// What it said went wrong, in a line or as JSON.
    pub(crate) fn error(&self) -> String {
        let json = serde_json::from_str::<Value>(&self.err).ok();
        let message = json.and_then(|error| error["error"]["message"].as_str().map(str::to_owned));
        let line = || self.err.strip_prefix("error: ").map(str::to_owned);
        message.or_else(line).unwrap_or_else(|| panic!("no error: {self:?}"))
    }
}
