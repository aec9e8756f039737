//! Whether the server is ready, and why not.

use tokio::sync::watch;

/// What the server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The model is loaded; warm-up and self-check have not ended.
    WarmingUp,
    /// Requests are answered.
    Ready,
    /// The model computes none of the inputs that were made up for it; the reason in words.
    WarmUpFailed(String),
    /// The golden samples gave other answers than the gate saw, or the engine cannot run them; the reason in words.
    SelfCheckFailed(String),
    /// The engine crashed and did not recover; only a restart helps.
    Broken,
    /// The server was told to stop; it still answers, but wants no new clients.
    Draining,
}

impl Health {
    /// Whether new clients should come.
    pub fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// Whether the process is worth keeping.
    pub fn is_live(&self) -> bool {
        *self != Self::Broken
    }

    /// Whether an inference is answered: also while draining, for clients that have not heard.
    pub fn answers(&self) -> bool {
        matches!(self, Self::Ready | Self::Draining)
    }

    /// The state in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::WarmingUp => "warming up",
            Self::Ready => "ready",
            Self::WarmUpFailed(reason) | Self::SelfCheckFailed(reason) => reason,
            Self::Broken => "the engine crashed and did not recover",
            Self::Draining => "shutting down",
        }
    }
}

/// The shared state: one writer at a time, many readers.
#[derive(Debug)]
pub(crate) struct HealthCell(watch::Sender<Health>);

impl HealthCell {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Health::WarmingUp))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    pub(crate) fn get(&self) -> Health {
        self.0.borrow().clone()
    }

    pub(crate) fn with<T>(&self, read: impl FnOnce(&Health) -> T) -> T {
        read(&self.0.borrow())
    }

    /// Moves on; a server that drains or is broken stays so.
    pub(crate) fn set(&self, next: Health) {
        self.0.send_if_modified(|now| {
            let stays = matches!(now, Health::Draining | Health::Broken) || *now == next;
            if !stays {
                *now = next;
            }
            !stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_server_never_becomes_ready_again() {
        let cell = HealthCell::new();
        cell.set(Health::Ready);
        cell.set(Health::Draining);
        cell.set(Health::Ready);
        assert_eq!(cell.get(), Health::Draining);
        assert!(cell.get().answers() && !cell.get().is_ready() && cell.get().is_live());
    }
}
