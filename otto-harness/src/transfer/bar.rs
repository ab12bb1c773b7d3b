//! A bar in the terminal: how far a transfer has come.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::progress::Progress;

/// A bar on the error stream; nothing at all if that is no terminal. It goes when it is dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(verb: &'static str, host: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let shape = "{prefix} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg}";
        // The shape is a constant; if it were wrong, the usual one would do.
        bar.set_style(ProgressStyle::with_template(shape).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("{host}: {verb}"));
        Self(bar)
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.bytes);
        self.0.set_message(format!("{}/{} files", progress.files_done, progress.files));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
