//! The bounded queue between the protocol and the engine's thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::backend::RunError;
use crate::batch;
use crate::tensor::Tensor;

/// One request that waits for the engine. Dropping the receiving end of `reply` cancels it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) arrived: Instant,
    pub(crate) reply: oneshot::Sender<Result<Vec<Tensor>, RunError>>,
}

impl Job {
    fn size_bytes(&self) -> usize {
        self.inputs.iter().map(Tensor::size_bytes).sum()
    }
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many jobs or bytes wait as may.
    Full,
    /// The server has ended.
    Closed,
}

/// How requests may share a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Most rows of one run; 1 is off.
    pub max_size: usize,
    /// How long the first request of a run may wait for others.
    pub max_delay: Duration,
    /// Whether requests may share a run though they change each other's answers.
    pub allow_cross_request_effects: bool,
}

impl Batching {
    /// Every request runs alone.
    pub const OFF: Self = Self { max_size: 1, max_delay: Duration::ZERO, allow_cross_request_effects: false };
}

/// Bounds of what may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) jobs: usize,
    pub(crate) bytes: usize,
}

/// First in, first out, between many async producers and one blocking consumer.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    arrival: Condvar,
    capacity: Capacity,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    consumer_waits: bool,
    closed: bool,
}

impl State {
    fn take_first(&mut self) -> Option<Job> {
        while let Some(job) = self.jobs.pop_front() {
            self.bytes -= job.size_bytes();
            if !job.reply.is_closed() {
                return Some(job);
            }
        }
        None
    }

    fn take_joinable(&mut self, batch: &[Job], room: usize) -> Next {
        while self.jobs.front().is_some_and(|job| job.reply.is_closed()) {
            if let Some(job) = self.jobs.pop_front() {
                self.bytes -= job.size_bytes();
            }
        }
        let (Some(first), Some(next)) = (batch.first(), self.jobs.front()) else { return Next::Nothing };
        match batch::rows(&next.inputs) {
            Some(rows) if rows <= room && batch::joinable(&first.inputs, &next.inputs) => {
                self.take_first().map_or(Next::Nothing, |job| Next::Joins(job, rows))
            }
            _ => Next::Differs,
        }
    }
}

enum Next {
    Joins(Job, usize),
    Differs,
    Nothing,
}

impl Queue {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { state: Mutex::default(), arrival: Condvar::new(), capacity }
    }

    /// Adds a job at the end; refuses at once where there is no room.
    pub(crate) fn push(&self, job: Job) -> Result<(), Refusal> {
        let size = job.size_bytes();
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::Closed);
        }
        let bytes = state.bytes.saturating_add(size);
        let no_room = state.jobs.len() >= self.capacity.jobs || bytes > self.capacity.bytes;
        if no_room && !(state.jobs.is_empty() && self.capacity.jobs > 0) {
            return Err(Refusal::Full);
        }
        state.bytes = bytes;
        state.jobs.push_back(job);
        // Waking costs a system call: only where somebody sleeps.
        if std::mem::take(&mut state.consumer_waits) {
            drop(state);
            self.arrival.notify_one();
        }
        Ok(())
    }

    /// The jobs of the next run, oldest first, without the cancelled ones; nothing once the queue is closed and empty.
    ///
    /// Only consecutive jobs are joined, so the order is kept.
    pub(crate) fn next_batch(&self, batching: Batching) -> Option<Vec<Job>> {
        let mut state = self.lock();
        let first = loop {
            if let Some(job) = state.take_first() {
                break job;
            }
            if state.closed {
                return None;
            }
            state.consumer_waits = true;
            state = self.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        let Some(mut rows) = batch::rows(&first.inputs).filter(|rows| *rows < batching.max_size) else {
            return Some(vec![first]);
        };
        let deadline = first.arrived + batching.max_delay;
        let mut jobs = vec![first];
        while rows < batching.max_size {
            match state.take_joinable(&jobs, batching.max_size - rows) {
                Next::Joins(job, more) => {
                    rows += more;
                    jobs.push(job);
                }
                Next::Differs => break,
                Next::Nothing => {
                    let patience = deadline.saturating_duration_since(Instant::now());
                    if patience.is_zero() || state.closed {
                        break;
                    }
                    state.consumer_waits = true;
                    state = self
                        .arrival
                        .wait_timeout(state, patience)
                        .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
                    state.consumer_waits = false;
                }
            }
        }
        Some(jobs)
    }

    /// Takes no further job; those that wait are still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrival.notify_all();
    }

    /// Number of jobs that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock in a state that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorData;

    type Reply = oneshot::Receiver<Result<Vec<Tensor>, RunError>>;

    fn job(rows: usize, width: usize) -> (Job, Reply) {
        let data = TensorData::Fp32(vec![0.0; rows * width]);
        let (reply, receiver) = oneshot::channel();
        let inputs = vec![Tensor::new(vec![rows, width], data).unwrap()];
        (Job { inputs, arrived: Instant::now(), reply }, receiver)
    }

    fn queue(jobs: usize) -> Queue {
        Queue::new(Capacity { jobs, bytes: 1 << 20 })
    }

    fn sizes(batch: &[Job]) -> Vec<usize> {
        batch.iter().map(|job| job.inputs[0].shape()[0]).collect()
    }

    #[test]
    fn full_queue_refuses_by_count_and_by_bytes() {
        let queue = Queue::new(Capacity { jobs: 2, bytes: 40 });
        let (a, _a) = job(1, 4);
        let (b, _b) = job(1, 8);
        let (c, _c) = job(1, 1);
        let (d, _d) = job(1, 1);
        queue.push(a).unwrap();
        assert_eq!(queue.push(b), Err(Refusal::Full), "48 bytes would wait");
        queue.push(c).unwrap();
        assert_eq!(queue.push(d), Err(Refusal::Full), "three jobs would wait");
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn job_larger_than_the_byte_bound_still_runs_on_an_idle_server() {
        let queue = Queue::new(Capacity { jobs: 2, bytes: 4 });
        let (large, _reply) = job(8, 8);
        assert_eq!(queue.push(large), Ok(()));
    }

    #[test]
    fn jobs_join_up_to_the_size_and_keep_their_order() {
        let queue = queue(10);
        let pushed: Vec<Reply> = [1, 2, 1, 1]
            .map(|rows| {
                let (job, reply) = job(rows, 3);
                queue.push(job).unwrap();
                reply
            })
            .into();
        let batching = Batching { max_size: 4, ..Batching::OFF };
        assert_eq!(sizes(&queue.next_batch(batching).unwrap()), [1, 2, 1]);
        assert_eq!(sizes(&queue.next_batch(batching).unwrap()), [1]);
        drop(pushed);
    }

    #[test]
    fn job_of_another_width_ends_the_batch() {
        let queue = queue(10);
        let pushed: Vec<Reply> = [3, 5, 3]
            .map(|width| {
                let (job, reply) = job(1, width);
                queue.push(job).unwrap();
                reply
            })
            .into();
        let batching = Batching { max_size: 8, max_delay: Duration::from_mins(1), ..Batching::OFF };
        assert_eq!(queue.next_batch(batching).unwrap().len(), 1);
        assert_eq!(queue.next_batch(batching).unwrap().len(), 1);
        drop(pushed);
    }

    #[test]
    fn cancelled_jobs_are_never_handed_out() {
        let queue = queue(10);
        let (gone, reply) = job(1, 1);
        drop(reply);
        let (stays, _reply) = job(2, 1);
        queue.push(gone).unwrap();
        queue.push(stays).unwrap();
        assert_eq!(sizes(&queue.next_batch(Batching::OFF).unwrap()), [2]);
        queue.close();
        assert!(queue.next_batch(Batching::OFF).is_none());
        let (late, _late) = job(1, 1);
        assert_eq!(queue.push(late), Err(Refusal::Closed));
    }

    #[test]
    fn first_job_waits_no_longer_than_the_delay() {
        let queue = queue(10);
        let (only, _reply) = job(1, 1);
        queue.push(only).unwrap();
        let begin = Instant::now();
        let delay = Duration::from_millis(30);
        let batch = queue.next_batch(Batching { max_size: 8, max_delay: delay, ..Batching::OFF }).unwrap();
        assert_eq!(batch.len(), 1);
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert!(batch[0].arrived.elapsed() >= delay);
    }
}
