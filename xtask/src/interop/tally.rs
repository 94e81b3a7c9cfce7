//! Cases one after the other: a line for each, and what came of all together.

use std::time::Instant;

use miette::{Report, Result, miette};

use crate::tools;

/// How a case ended.
pub(crate) enum Outcome {
    Passed(String),
    Failed(Report),
    Skipped(Report),
}

/// What came of the cases so far.
pub(crate) struct Tally {
    /// The word for a case that went well, and for all of them.
    words: (&'static str, &'static str),
    /// The length of the longest name.
    width: usize,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Tally {
    /// Cases that prove something of vmig, or (without it) of the guests and QEMU only.
    pub(crate) fn new<'a>(proves: bool, names: impl Iterator<Item = &'a str>) -> Self {
        let width = names.map(str::len).max().unwrap_or_default();
        let words =
            if proves { ("passed", "passed") } else { ("carried", "carried without vmig (no proof)") };
        Self { words, width, passed: 0, failed: 0, skipped: 0 }
    }

    /// Runs a case and prints its line.
    pub(crate) fn case(&mut self, name: &str, case: impl FnOnce() -> Outcome) {
        let start = Instant::now();
        let outcome = case();
        let (seconds, width) = (start.elapsed().as_secs(), self.width);
        match outcome {
            Outcome::Passed(detail) => {
                self.passed += 1;
                println!("{:7} {name:width$} {detail} ({seconds} s)", self.words.0);
            }
            Outcome::Failed(error) => {
                self.failed += 1;
                println!("FAILED  {name:width$} {} ({seconds} s)", tools::words(&error));
            }
            Outcome::Skipped(reason) => {
                self.skipped += 1;
                println!("SKIPPED {name:width$} {}", tools::words(&reason));
            }
        }
    }

    /// Prints the summary; an error unless all passed, but for skipped ones if that is not asked for.
    pub(crate) fn finish(self, strict: bool) -> Result<()> {
        let Self { words, passed, failed, skipped, .. } = self;
        println!("{passed} {}, {failed} failed, {skipped} skipped", words.1);
        match (failed, skipped) {
            (0, 0) => Ok(()),
            (0, _) if !strict && passed > 0 => Ok(()),
            (0, _) => {
                Err(miette!(help = "cargo xtask fetch", "{skipped} cases were skipped (reasons above)"))
            }
            _ => Err(miette!("{failed} cases failed (reasons above)")),
        }
    }
}
