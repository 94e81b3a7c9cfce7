//! What is shown while a guest is on its way: a progress bar for people, a line of JSON for each event.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use migration::event::{Event, Observer, Progress, Side, State, Summary};
use parking_lot::Mutex;
use serde::Serialize;

use super::summary;
use crate::output::print;
use crate::render::style::{BAD, DOUBTFUL, GOOD};
use crate::verb::Failure;

/// How often progress is shown, as JSON.
const EVERY: Duration = Duration::from_millis(250);

/// Shows events.
pub(crate) struct Watch {
    json: bool,
    bar: ProgressBar,
    started: Instant,
    /// When progress was last shown, and when the guest was stopped.
    shown: Mutex<Shown>,
    pause: Option<Pause>,
}

#[derive(Default)]
struct Shown {
    progress: Option<Instant>,
    stopped: Option<Instant>,
}

/// Where to wait, for tests of failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause {
    state: &'static str,
    seconds: f64,
}

impl FromStr for Pause {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (state, seconds) = text.split_once('=').ok_or("expected STATE=SECONDS")?;
        let states = [State::Setup, State::Active, State::Device, State::Completed];
        let state = states.into_iter().map(State::name).find(|name| *name == state);
        let state = state.ok_or("expected setup, active, device or completed before the =")?;
        let seconds = seconds.parse().map_err(|error| format!("seconds: {error}"))?;
        Ok(Self { state, seconds })
    }
}

/// An event, and when it was.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    #[serde(flatten)]
    event: &'a T,
    seconds: f64,
}

/// What is not needed was given up.
#[derive(Serialize)]
#[serde(tag = "event", rename = "sandboxed")]
struct Sandboxed {}

/// How it ended badly.
#[derive(Serialize)]
#[serde(tag = "event", rename = "failed")]
struct Failed {
    state: Option<State>,
    side: Option<Side>,
    error: String,
    code: Option<String>,
}

/// How it ended well.
#[derive(Serialize)]
#[serde(tag = "event", rename = "summary")]
struct Done<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
}

impl Watch {
    pub(crate) fn new(json: bool, pause: Option<Pause>) -> Self {
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{spinner} {prefix:8} {wide_bar} {percent}% {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { json, bar, started: Instant::now(), shown: Mutex::default(), pause }
    }

    /// Says what went wrong, for who reads JSON; the error itself goes to standard error as all do.
    pub(crate) fn failed(&self, failure: &Failure) {
        self.bar.finish_and_clear();
        if self.json {
            let (state, side) = match failure {
                Failure::Migration(error) => (Some(error.state), Some(error.side)),
                _ => (None, None),
            };
            let code = failure.code().map(|code| code.to_string());
            self.line(&Failed { state, side, error: failure.to_string(), code });
        }
    }

    /// Says, for who reads JSON, that what is not needed was given up.
    pub(crate) fn sandboxed(&self) {
        tracing::info!("in the sandbox");
        if self.json {
            self.line(&Sandboxed {});
        }
    }

    /// Says how it went.
    pub(crate) fn done(&self, summary: &Summary) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        if self.json {
            self.line(&Done { summary });
            return Ok(());
        }
        print(|out| summary::show(summary, out))
    }

    fn line<T: Serialize>(&self, event: &T) {
        let line = Line { event, seconds: self.started.elapsed().as_secs_f64() };
        let mut out = io::stdout().lock();
        // A migration goes on also when nobody reads of it any more.
        drop(serde_json::to_writer(&mut out, &line).map_err(io::Error::from).and_then(|()| writeln!(out)));
    }

    fn progress(&self, progress: &Progress) {
        let downtime = {
            let shown = self.shown.lock();
            shown.stopped.map(|stopped| stopped.elapsed())
        };
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate for people"
        )]
        let rate = (progress.bytes as f64 / seconds) as u64;
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.total - progress.remaining.min(progress.total));
        let downtime = downtime.map_or_else(String::new, |time| format!(", down {} ms", time.as_millis()));
        self.bar.set_message(format!(
            "{} at {}/s, {} left, {} pages again{downtime}",
            HumanBytes(progress.bytes),
            HumanBytes(rate),
            HumanBytes(progress.remaining),
            progress.again
        ));
    }

    /// Whether it is time to show progress again.
    fn is_due(&self) -> bool {
        let mut shown = self.shown.lock();
        let due = shown.progress.is_none_or(|last| last.elapsed() >= EVERY);
        if due {
            shown.progress = Some(Instant::now());
        }
        due
    }

    fn note_state(&self, state: State) {
        if state == State::Device {
            let mut shown = self.shown.lock();
            shown.stopped.get_or_insert_with(Instant::now);
        }
    }
}

impl Observer for Watch {
    fn event(&self, event: Event) {
        if let Event::State { state, .. } = event {
            self.note_state(state);
        }
        match (&event, self.json) {
            (Event::Progress { .. }, _) if !self.is_due() => {}
            (event, true) => self.line(event),
            (Event::Progress { progress, .. }, false) => self.progress(progress),
            (Event::State { state, .. }, false) => self.bar.set_prefix(state.name()),
            (Event::Listening { channel }, false) => {
                anstream::eprintln!("listening on {channel}");
            }
            (Event::Changed { what }, false) => {
                self.bar.suspend(|| anstream::eprintln!("{GOOD}changed{GOOD:#} {what}"));
            }
            (Event::Served { section, queues, again, left }, false) => {
                let what = served(queues, *again, *left);
                self.bar.suspend(|| anstream::eprintln!("{GOOD}served{GOOD:#} {section}: {what}"));
            }
            (Event::Warning { what }, false) => {
                self.bar.suspend(|| anstream::eprintln!("{DOUBTFUL}warning{DOUBTFUL:#} {what}"));
            }
            (Event::Round { gone, left, took, throttled, .. }, false) => self.bar.suspend(|| {
                let (gone, left, took) = (HumanBytes(*gone), HumanBytes(*left), took.as_millis());
                anstream::eprintln!(
                    "round: {gone} in {took} ms, {left} written meanwhile, throttled {throttled} %"
                );
            }),
            (other, false) => self.bar.suspend(|| anstream::eprintln!("{BAD}{other:?}{BAD:#}")),
        }
        if let (Event::State { state, .. }, Some(pause)) = (&event, self.pause)
            && state.name() == pause.state
        {
            sleep(Duration::from_secs_f64(pause.seconds));
        }
    }
}

/// Requests that were served, by queue and type, and those that were not.
fn served(queues: &BTreeMap<usize, BTreeMap<&'static str, u64>>, again: u64, left: u64) -> String {
    let queue = |(queue, kinds): (&usize, &BTreeMap<&'static str, u64>)| {
        let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        format!("queue {queue}: {}", kinds.join(", "))
    };
    let mut parts: Vec<_> = queues.iter().map(queue).collect();
    if parts.is_empty() {
        parts.push("nothing was to be done".to_owned());
    }
    if again > 0 {
        parts.push(format!("the destination does {again} of them again, to interrupt the guest"));
    }
    if left > 0 {
        parts.push(format!("{left} left for the destination, which alone can answer"));
    }
    parts.join("; ")
}
