//! The engine's own thread: warm-up, self-check, then batch after batch.

use std::sync::Arc;
use std::time::Instant;

use crate::backend::RunError;
use crate::batch;
use crate::config::SelfCheck;
use crate::engine::Engine;
use crate::golden::GoldenSamples;
use crate::health::{Health, HealthCell};
use crate::metrics::Metrics;
use crate::queue::{Batching, Job, Queue};
use crate::tensor::Tensor;
use crate::warm_up::WarmUpError;

/// What helps against a failed self-check.
const REMEDY: &str = "this processor or engine answers otherwise than the gate's: let jobs.pod.nodeSelector and \
    serving.pod.nodeSelector choose alike nodes, or accept it with serving.runtime.slipway.selfCheck.onMismatch: Warn";

/// What helps against a failed warm-up.
const UNFIT: &str = "a server that cannot compute does not become ready: take another engine with \
    serving.runtime.slipway.backend, or, where only made-up inputs are refused, declare the sizes of the model's inputs, \
    give the object a gate, whose samples are tried instead, or set serving.runtime.slipway.selfCheck.onMismatch to Warn";

/// Everything that the thread uses.
pub(crate) struct Worker {
    pub(crate) engine: Arc<Engine>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) health: Arc<HealthCell>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) golden: Option<GoldenSamples>,
    pub(crate) self_check: SelfCheck,
    pub(crate) batching: Batching,
}

impl Worker {
    /// Starts the thread; it ends once the queue is closed and empty.
    pub(crate) fn spawn(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
            let engine = Arc::clone(&self.engine);
            engine.on_worker(&mut || self.work());
        })
    }

    fn work(&self) {
        let begin = Instant::now();
        let health = self.prepare();
        self.health.set(health.clone());
        // Once this is said, a request is answered.
        tracing::info!(seconds = begin.elapsed().as_secs_f64(), state = health.reason(), "model prepared");
        while let Some(jobs) = self.queue.next_batch(self.batching) {
            let crashed = self.serve(jobs);
            if crashed && !self.recovers() {
                tracing::error!("the engine crashed and did not recover");
                self.health.set(Health::Broken);
            }
        }
    }

    /// Warms up, and replays the golden samples. Samples that pass are proof enough for a model that refused every made-up
    /// input, since only the engine's own failures show nothing of the model's.
    fn prepare(&self) -> Health {
        let warm_up = self.engine.warm_up();
        let replayed = match (&self.golden, self.self_check) {
            (None, _) | (Some(_), SelfCheck::Off) => None,
            (Some(golden), SelfCheck::NotReady | SelfCheck::Warn) => Some(self.check(golden)),
        };
        let health = match (warm_up, replayed) {
            (Err(error), replayed) if error.is_of_the_engine() || replayed.is_none() => self.unfit(&error),
            (_, replayed) => replayed.unwrap_or(Health::Ready),
        };
        self.rows_that_mix().filter(|_| health.is_ready()).unwrap_or(health)
    }

    /// Why requests may not share a run, where they would.
    fn rows_that_mix(&self) -> Option<Health> {
        let Batching { max_size, allow_cross_request_effects, max_delay: _ } = self.batching;
        if max_size == 1 || allow_cross_request_effects {
            return None;
        }
        let output = self.engine.output_that_mixes_rows()?;
        let reason = format!(
            "requests that share a run change each other's answers, as output {output:?} shows: leave serving.batching \
             out, or accept it with serving.batching.allowCrossRequestEffects: true"
        );
        tracing::error!("{reason}");
        Some(Health::WarmUpFailed(reason))
    }

    fn unfit(&self, error: &WarmUpError) -> Health {
        if self.self_check == SelfCheck::Warn && !error.is_of_the_engine() {
            tracing::warn!("{error}; serving all the same");
            return Health::Ready;
        }
        tracing::error!("{error}");
        Health::WarmUpFailed(format!("{error}; {UNFIT}"))
    }

    fn check(&self, golden: &GoldenSamples) -> Health {
        match golden.replay(&self.engine) {
            Ok(()) => {
                self.metrics.self_check_passed(true);
                tracing::info!(samples = golden.samples.len(), "self-check passed");
                Health::Ready
            }
            Err(mismatch) => {
                self.metrics.self_check_passed(false);
                let reason = format!("self-check failed: {mismatch}");
                if self.self_check == SelfCheck::Warn {
                    tracing::warn!("{reason}; serving all the same");
                    return Health::Ready;
                }
                tracing::error!("{reason}");
                Health::SelfCheckFailed(format!("{reason}; {REMEDY}"))
            }
        }
    }

    /// Whether the engine still computes after a crash.
    fn recovers(&self) -> bool {
        match &self.golden {
            Some(golden) => golden.replay(&self.engine).is_ok(),
            None => !matches!(self.engine.warm_up(), Err(error) if error.is_of_the_engine()),
        }
    }

    /// Answers every job; says whether the engine crashed.
    fn serve(&self, jobs: Vec<Job>) -> bool {
        let now = Instant::now();
        for job in &jobs {
            self.metrics.waited(now.saturating_duration_since(job.arrived));
        }
        if jobs.len() > 1
            && let Some(answers) = self.run_joined(&jobs)
        {
            for (job, answer) in jobs.into_iter().zip(answers) {
                reply(job.reply, Ok(answer));
            }
            return false;
        }
        let mut crashed = false;
        for job in jobs {
            self.metrics.ran_batch(batch::rows(&job.inputs).unwrap_or(1));
            let answer = self.engine.run_checked(job.inputs);
            crashed |= answer == Err(RunError::Panicked);
            if let Err(error @ (RunError::Engine(_) | RunError::Panicked)) = &answer {
                tracing::warn!(%error, "a request failed");
            }
            reply(job.reply, answer);
        }
        crashed
    }

    /// Answers from one run, or nothing where the run fails: each job then runs alone, so that one bad request
    /// never spoils its neighbours.
    fn run_joined(&self, jobs: &[Job]) -> Option<Vec<Vec<Tensor>>> {
        let inputs: Vec<&[Tensor]> = jobs.iter().map(|job| job.inputs.as_slice()).collect();
        let rows: Vec<usize> = inputs.iter().map(|inputs| batch::rows(inputs)).collect::<Option<_>>()?;
        let outputs = self.engine.run_checked(batch::join(&inputs)?).ok()?;
        let answers = batch::split(&outputs, &rows)?;
        self.metrics.ran_batch(rows.iter().sum());
        Some(answers)
    }
}

type Reply = tokio::sync::oneshot::Sender<Result<Vec<Tensor>, RunError>>;

fn reply(to: Reply, answer: Result<Vec<Tensor>, RunError>) {
    // The client may have gone meanwhile.
    drop(to.send(answer));
}
