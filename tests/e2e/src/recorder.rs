//! Every state that a model deployment was seen in, for the judgement of kstatus.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufReader,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Deserializer, Value};

use crate::{
    command::{program, run},
    object::condition,
    wait,
};

const WATCH: &str = "/apis/slipway.dev/v1alpha1/modeldeployments?watch=true";
/// How long to wait before a watch that ended is begun again: the API ends it when the CRD changes.
const PAUSE: Duration = Duration::from_millis(200);

/// A watch of all model deployments of a cluster, for as long as the cluster lives.
pub struct Recorder {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// In the order in which they came.
    objects: Vec<Value>,
    /// Their uids and resource versions; a watch that begins anew tells some again.
    known: BTreeSet<(String, u64)>,
}

impl Recorder {
    /// Starts to watch.
    pub fn start(kubeconfig: &Path) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (store, kubeconfig) = (Arc::clone(&seen), kubeconfig.to_owned());
        thread::spawn(move || follow(&kubeconfig, &store));
        Self { seen }
    }

    /// How many states were seen until now.
    pub fn count(&self) -> usize {
        self.lock().objects.len()
    }

    /// Waits until the watch has told of these objects what they are now.
    pub fn catch_up(&self, objects: &[Value]) {
        wait::until("the recorder has seen what is there", Duration::from_secs(30), || {
            let mut newest = BTreeMap::new();
            for (uid, version) in &self.lock().known {
                newest.insert(uid.clone(), *version);
            }
            let missing = |object: &&Value| {
                let (uid, version) = identity(object);
                newest.get(&uid).is_none_or(|seen| *seen < version)
            };
            match objects.iter().find(missing) {
                Some(object) => Err(format!("{:#}", object["metadata"])),
                None => Ok(()),
            }
        });
    }

    /// Every state from a place on, with kstatus' word for it.
    ///
    /// # Panics
    /// When kstatus cannot judge one.
    pub fn judged(&self, from: usize) -> Vec<(Value, String)> {
        let seen = self.lock().objects[from..].to_vec();
        let lines: Vec<_> = seen.iter().map(|object| format!("{object}\n")).collect();
        let words = run(&mut Command::new(program("kstatus")), Some(&lines.concat()))
            .expect("kstatus judges every object");
        let words: Vec<_> = words.lines().map(str::to_owned).collect();
        assert_eq!(words.len(), seen.len(), "kstatus judged every state");
        seen.into_iter().zip(words).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches until this process ends, each time from where the last watch ended.
fn follow(kubeconfig: &Path, store: &Mutex<Seen>) {
    let mut since = None;
    loop {
        since = watch(kubeconfig, since, store);
        thread::sleep(PAUSE);
    }
}

/// One watch; the version to go on from, none where it told nothing or the API no longer knows its version.
fn watch(kubeconfig: &Path, since: Option<u64>, store: &Mutex<Seen>) -> Option<u64> {
    let from = since.map(|version| format!("&resourceVersion={version}")).unwrap_or_default();
    let mut command = Command::new(program("kubectl"));
    command.arg("--kubeconfig").arg(kubeconfig).args(["get", "--raw", &format!("{WATCH}{from}")]);
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut process = spawned.expect("kubectl is built by `make setup`");
    let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
    let mut last = None;
    for event in Deserializer::from_reader(stdout).into_iter::<Value>().map_while(Result::ok) {
        if event["type"] == "ERROR" {
            last = None;
            break;
        }
        last = Some(note(&event["object"], store));
    }
    let _gone = process.kill();
    let _reaped = process.wait();
    last
}

fn note(object: &Value, store: &Mutex<Seen>) -> u64 {
    let (uid, version) = identity(object);
    let mut seen = store.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.known.insert((uid, version)) {
        seen.objects.push(object.clone());
    }
    version
}

fn identity(object: &Value) -> (String, u64) {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    (text("uid").to_owned(), text("resourceVersion").parse().unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(generation: u64, ready: &str, stalled: &str) -> Value {
        json!({
            "metadata": { "generation": generation },
            "status": { "observedGeneration": 2, "conditions": [
                { "type": "Ready", "status": ready }, { "type": "Stalled", "status": stalled },
            ] },
        })
    }

    #[test]
    fn a_word_agrees_with_one_state_alone() {
        let words = ["Current", "Failed", "InProgress", "Terminating", "NotFound", "Unknown"];
        let mut going = object(2, "True", "False");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        for (object, right) in [
            (object(2, "True", "False"), "Current"),
            (object(2, "False", "True"), "Failed"),
            (object(2, "False", "False"), "InProgress"),
            (object(3, "True", "False"), "InProgress"),
            (going, "Terminating"),
        ] {
            let agreed: Vec<_> = words.into_iter().filter(|word| agrees(&object, word)).collect();
            assert_eq!(agreed, [right], "{object}");
        }
    }
}
