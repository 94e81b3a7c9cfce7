//! Contestants do the same work in turn, so that whatever else the machine does meets them all alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::measured::{Row, median};

/// Does the work once, and says how long that took.
type Go<'a> = Box<dyn FnMut() -> Duration + 'a>;

/// Some who do the same work.
pub(crate) struct Contest<'a> {
    goes: Vec<(&'a str, Go<'a>)>,
}

/// The median time of each, in seconds.
pub(crate) struct Medians<'a>(Vec<(&'a str, f64)>);

impl<'a> Contest<'a> {
    pub(crate) fn new() -> Self {
        Self { goes: Vec::new() }
    }

    /// One more takes part: `go` does the work once, and says how long that took.
    pub(crate) fn enter(mut self, name: &'a str, go: impl FnMut() -> Duration + 'a) -> Self {
        self.goes.push((name, Box::new(go)));
        self
    }

    /// Everybody goes so many times, in turn; a first time does not count.
    pub(crate) fn run(mut self, rounds: usize) -> Medians<'a> {
        let mut times = vec![Vec::with_capacity(rounds); self.goes.len()];
        for round in 0..=rounds {
            for ((_, go), times) in self.goes.iter_mut().zip(&mut times) {
                let took = go();
                if round > 0 {
                    times.push(took.as_secs_f64());
                }
            }
        }
        let names = self.goes.iter().map(|(name, _)| *name);
        Medians(names.zip(times.into_iter().map(median)).collect())
    }
}

impl Medians<'_> {
    /// The median of one of them.
    pub(crate) fn of(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(it, _)| *it == name);
        found.map_or(f64::NAN, |(_, seconds)| *seconds)
    }

    /// What one costs as a multiple of another.
    pub(crate) fn row(&self, area: &str, what: &str, against: &str) -> Row {
        Row::new(area, what, against, self.of(what) / self.of(against))
    }
}

/// How long it takes to do something once.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    black_box(work());
    started.elapsed()
}
