//! Every state that a model deployment was seen in, for the judgement of kstatus.

use std::{
    io::BufReader,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Deserializer, Value};

use crate::{
    command::{program, run},
    object::{RESOURCE, condition},
};

/// A watch of all model deployments.
pub struct Recorder {
    seen: Arc<Mutex<Vec<Value>>>,
    process: Child,
}

impl Recorder {
    /// Starts to watch.
    ///
    /// # Panics
    /// When kubectl is missing.
    pub fn start(kubeconfig: &std::path::Path) -> Self {
        let mut command = Command::new(program("kubectl"));
        command.arg("--kubeconfig").arg(kubeconfig).args(["get", RESOURCE, "-A", "--watch", "-o", "json"]);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("kubectl is built by `make setup`");
        let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let store = Arc::clone(&seen);
        thread::spawn(move || {
            for object in Deserializer::from_reader(stdout).into_iter::<Value>().map_while(Result::ok) {
                store.lock().expect("nobody panics with it").push(object);
            }
        });
        Self { seen, process }
    }

    /// Ends the watch; every state with kstatus' word for it.
    ///
    /// # Panics
    /// When kstatus cannot judge one.
    pub fn judged(mut self) -> Vec<(Value, String)> {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
        let seen = self.seen.lock().expect("nobody panics with it").clone();
        let lines: Vec<_> = seen.iter().map(Value::to_string).collect();
        let words = run(&mut Command::new(program("kstatus")), Some(&(lines.join("\n") + "\n")))
            .unwrap_or_else(|complaint| panic_with(&complaint));
        let words: Vec<_> = words.lines().map(str::to_owned).collect();
        assert_eq!(words.len(), seen.len(), "kstatus judged every state");
        seen.into_iter().zip(words).collect()
    }
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn panic_with(complaint: &str) -> ! {
    panic!("{complaint}")
}

/// Whether kstatus' word says the same as the object's own conditions.
pub fn agrees(object: &Value, word: &str) -> bool {
    let is = |name: &str| condition(object, name).is_some_and(|(status, _, _)| status == "True");
    let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    if object["metadata"].get("deletionTimestamp").is_some() {
        return word == "Terminating";
    }
    match word {
        "Current" => current && is("Ready"),
        "Failed" => current && is("Stalled") && !is("Ready"),
        "InProgress" => !current || (!is("Ready") && !is("Stalled")),
        _ => false,
    }
}
