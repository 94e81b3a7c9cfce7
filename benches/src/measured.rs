//! What a measurement gives: this is also what `cargo xtask bench` reads.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What was measured, a JSON object a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measured {
    Row(Row),
    Curve(Curve),
}

/// Two things that do the same work, and what one costs as a multiple of the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What it is about: rows of an area stand together.
    pub(crate) area: String,
    /// What was measured.
    pub(crate) what: String,
    /// What it is compared with.
    pub(crate) against: String,
    /// The cost of the one divided by that of the other: below 1 it is cheaper.
    pub(crate) ratio: f64,
    /// The most that the ratio should be, if there is an aim.
    pub(crate) aim: Option<f64>,
    /// What a reader has to know of it.
    pub(crate) note: String,
}

impl Row {
    /// What one costs as a multiple of another.
    pub(crate) fn new(area: &str, what: &str, against: &str, ratio: f64) -> Self {
        let (area, what, against) = (area.to_owned(), what.to_owned(), against.to_owned());
        Self { area, what, against, ratio, aim: None, note: String::new() }
    }

    /// The most that the ratio should be.
    pub(crate) fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    /// What a reader has to know.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// How a cost grows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// The name of its file.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What grows, and what it costs, with their units.
    pub(crate) x: String,
    pub(crate) y: String,
    /// Points of each line, with its name.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// A guest that moved from one machine to another.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Seconds that it took.
    pub(crate) seconds: f64,
    /// Seconds that the source's processor worked.
    pub(crate) out_cpu: f64,
    /// Seconds that the destination's did.
    pub(crate) in_cpu: f64,
}

/// A stream in a file, made to be looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// What is in it.
    pub(crate) what: String,
    /// Whether most of it is pages with content: then reading it is most of the work.
    pub(crate) is_read_through: bool,
    /// Its file.
    pub(crate) file: PathBuf,
}

/// The median of measurements; there is at least one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
