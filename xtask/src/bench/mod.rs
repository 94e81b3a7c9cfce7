//! `cargo xtask bench`: vmig and its peers do the same work in turn, and what is printed are ratios.

mod live;
mod still;

use clap::{Args, Subcommand};
use miette::Result;

/// Measure vmig against its peers, on the same work, in the same run
///
/// Numbers of one machine say little; what counts are the ratios, of medians of runs taken in turn.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Live(live::Live),
}

impl Bench {
    /// Measures, and prints what came of it.
    pub(crate) fn run(&self) -> Result<()> {
        match &self.what {
            What::Live(live) => live.run(),
        }
    }
}

/// The median of measurements; there is at least one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
