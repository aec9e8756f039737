//! A steady load of requests over kept connections, bounded in rate and time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::inference::{client, predict};

/// The longest that a load runs, whatever a test forgets.
const MOST: Duration = Duration::from_mins(4);

/// What a load saw.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that failed, in words.
    pub failed: Vec<String>,
    /// How long requests were sent.
    pub lasted: Duration,
}

impl Seen {
    /// Requests a second.
    #[expect(clippy::cast_precision_loss, reason = "a load of minutes has few requests")]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.lasted.as_secs_f64()
    }
}

/// A load that goes on until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
    began: Instant,
}

impl Load {
    /// Starts to send so many requests a second to an address on this machine.
    ///
    /// # Panics
    /// When no runtime can be made.
    pub fn start(address: &str, model: &str, per_second: u64) -> Self {
        let (stop, answered, failed) = (Arc::default(), Arc::default(), Arc::default());
        let load = Self { stop, answered, failed, thread: None, began: Instant::now() };
        let (stop, answered, failed) = (load.stop.clone(), load.answered.clone(), load.failed.clone());
        let (address, model) = (address.to_owned(), model.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(send(address, model, per_second, stop, answered, failed));
        });
        Self { thread: Some(thread), ..load }
    }

    /// How many requests were answered until now.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it; what it saw.
    ///
    /// # Panics
    /// When the load itself panicked.
    pub fn stop(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the load does not panic");
        }
        let failed = self.failed.lock().expect("nobody panics with it").clone();
        Seen { answered: self.answered(), failed, lasted: self.began.elapsed().min(MOST) }
    }
}

async fn send(
    address: String,
    model: String,
    per_second: u64,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<String>>>,
) {
    let client = client();
    let mut beat = tokio::time::interval(Duration::from_micros(1_000_000 / per_second));
    // Late requests are caught up with: the rate is what was asked for, however busy this machine is.
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let end = tokio::time::Instant::now() + MOST;
    let mut requests = tokio::task::JoinSet::new();
    let mut seed = 0;
    while !stop.load(Ordering::Relaxed) && tokio::time::Instant::now() < end {
        beat.tick().await;
        seed += 1;
        let (client, address, model) = (client.clone(), address.clone(), model.clone());
        let (answered, failed) = (answered.clone(), failed.clone());
        requests.spawn(async move {
            match predict(&client, &address, &model, seed).await {
                Ok(_) => {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(complaint) => failed.lock().expect("nobody panics with it").push(complaint),
            }
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}
