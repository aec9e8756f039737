//! Progress bars on long work, and none when nobody looks.

use std::{io::IsTerminal, sync::Arc, sync::Mutex, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use slipway_artifacts::{Progress, SharedProgress, silent};
use slipway_optimizer::progress as step;

use crate::local::signals;

/// A bar on standard error; silent where that is no terminal, or where JSON is asked for.
pub(crate) fn bar(json: bool) -> SharedProgress {
    if json || !std::io::stderr().is_terminal() {
        return silent();
    }
    Arc::new(Bar(Mutex::new(ProgressBar::hidden())))
}

/// Progress of a step that ends when the user or the system asks this process to end.
pub(crate) struct Ending<P>(pub(crate) P);

impl<P: step::Progress> step::Progress for Ending<P> {
    fn total(&self, units: u64) {
        self.0.total(units);
    }

    fn advance(&self, units: u64) {
        self.0.advance(units);
    }

    fn message(&self, what: &str) {
        self.0.message(what);
    }

    fn is_cancelled(&self) -> bool {
        signals::asked().is_some()
    }
}

#[derive(Debug)]
struct Bar(Mutex<ProgressBar>);

const BYTES: &str = "{msg:24} {bar:32} {bytes}/{total_bytes} {bytes_per_sec}";
const BYTES_WITHOUT_END: &str = "{msg:24} {spinner} {bytes}";
const COUNT: &str = "{msg:24} {bar:32} {pos}/{len} {per_sec}";
const COUNT_WITHOUT_END: &str = "{msg:24} {spinner} {pos}";

impl Bar {
    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        if let Ok(mut bar) = self.0.lock() {
            act(&mut bar);
        }
    }

    fn begin(&self, style: &str, what: &str, total: Option<u64>) {
        self.with(|bar| {
            bar.finish_and_clear();
            *bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
        });
    }
}

impl Progress for Bar {
    fn start(&self, what: &str, total: Option<u64>) {
        self.begin(if total.is_some() { BYTES } else { BYTES_WITHOUT_END }, what, total);
    }

    fn start_counting(&self, what: &str, total: Option<u64>) {
        self.begin(if total.is_some() { COUNT } else { COUNT_WITHOUT_END }, what, total);
    }

    fn advance(&self, bytes: u64) {
        self.with(|bar| bar.inc(bytes));
    }

    fn finish(&self) {
        self.with(|bar| bar.finish_and_clear());
    }
}
