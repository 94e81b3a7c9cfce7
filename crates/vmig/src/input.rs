//! The input of a verb: opened, scanned and decoded, with a progress bar on a terminal.

use std::time::Duration;

use compat::state::State;
use image::Container;
use indicatif::{ProgressBar, ProgressStyle};
use report::Reading;
use virtio::guest::Guest;
use vmstate::Error;
use vmstate::source::Source;
use vmstate::stream::Stream;

use crate::verb::Failure;

/// A stream, decoded as far as it could be read.
pub(crate) struct Input {
    pub(crate) file: String,
    pub(crate) container: Container,
    pub(crate) source: Box<dyn Source>,
    pub(crate) stream: Stream,
    pub(crate) guest: Guest,
    /// What ended the stream early, if something did.
    pub(crate) stopped: Option<Error>,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(file: &str) -> Result<Self, Failure> {
        let progress = Progress::new();
        let input = Self::read(file, &mut |what, bytes| progress.set(what, bytes));
        progress.finish();
        input
    }

    /// The same; `progress` is told what is being done, and to how many bytes.
    pub(crate) fn read(file: &str, progress: &mut dyn FnMut(&'static str, u64)) -> Result<Self, Failure> {
        let image = image::open(file, &mut |bytes| progress("unpacking", bytes))?;
        let scan = Stream::scan(image.source.as_ref(), &mut |bytes| progress("reading", bytes));
        let guest = Guest::decode(&scan.stream, image.source.as_ref());
        let name = if file == "-" { "standard input" } else { file };
        match scan.stopped {
            // Nothing was read that could be shown.
            Some(error) if scan.stream.records.is_empty() && scan.stream.configuration.is_none() => {
                Err(Failure::Stream { file: name.to_owned(), error })
            }
            stopped => Ok(Self {
                file: name.to_owned(),
                container: image.container,
                source: image.source,
                stream: scan.stream,
                guest,
                stopped,
            }),
        }
    }
}

impl Input {
    /// Opens a stream that must be there to its end.
    pub(crate) fn open_whole(file: &str) -> Result<Self, Failure> {
        let mut input = Self::open(file)?;
        match input.stopped.take() {
            Some(error) => Err(Failure::Stream { file: input.file, error }),
            None => Ok(input),
        }
    }

    /// The state of the guest, for changing and comparing.
    pub(crate) fn state(&self) -> State {
        State::new(&self.stream, &self.guest)
    }
}

impl Input {
    /// What was read, for a document of it.
    pub(crate) fn reading(&self) -> Reading<'_> {
        Reading {
            container: &self.container,
            stream: &self.stream,
            guest: &self.guest,
            stopped: self.stopped.as_ref(),
        }
    }
}

/// A bar on standard error, if that is a terminal and the work is long enough to be waited for.
struct Progress(ProgressBar);

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{spinner} {msg} {bytes} ({bytes_per_sec})");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    fn set(&self, what: &'static str, bytes: u64) {
        if self.0.message() != what {
            self.0.set_message(what);
        }
        self.0.set_position(bytes);
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}
