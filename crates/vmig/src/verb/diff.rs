//! `vmig diff`: what changed between two streams.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use compat::diff::{SectionDifference, Side, states};
use serde::Serialize;
use serde_json::Value;
use virtio::companion::Companion;
use virtio::section::SectionName;

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::show;
use crate::render::style::{BAD, DIM, GOOD, HEADING, LABEL};

/// Show what differs between the states of two streams, field by field
///
/// Sections are matched by name, fields by theirs. Virtio devices and what belongs to them are shown in
/// full; other sections (processors, timers, …) are counted, and shown with --all. What carries no meaning
/// is ignored: section numbers, order, offsets, how often a page was sent.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig diff before.mig after.mig
  vmig diff before.mig after.mig --section 0000:00:03.0/virtio-net
  vmig diff before.mig after.mig --all --json

Exit status, as of diff(1):
  0  nothing differs
  1  something differs
  2  a stream could not be read")]
pub(crate) struct Diff {
    /// The first stream
    a: String,
    /// The second stream
    b: String,
    /// Compare only the section with this name; may be given more than once
    #[arg(long, value_name = "NAME")]
    section: Vec<String>,
    /// Show the fields of every section
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    identical: bool,
    sections: Vec<SectionDifference>,
}

impl Diff {
    pub(crate) fn run(&self) -> Outcome {
        let (a, b) = (Input::open_whole(&self.a)?, Input::open_whole(&self.b)?);
        let (a, b) = (a.state(), b.state());
        let has =
            |name: &String| a.sections.iter().chain(&b.sections).any(|section| section.title() == *name);
        if let Some(name) = self.section.iter().find(|name| !has(name)) {
            let hint = "list them with: vmig inspect --json FILE | jq '.sections[].name'";
            return Err(Failure::NotThere(format!("neither stream has a section {name}; {hint}")));
        }
        let mut sections = states(&a, &b);
        if !self.section.is_empty() {
            sections.retain(|section| self.section.contains(&section.section));
        }
        let report = Report { identical: sections.is_empty(), sections };
        show(self.json, &report, |out| self.print(&report, out))?;
        Ok(if report.identical { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn print(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let mut counted = 0;
        for section in &report.sections {
            let name = section.section.as_str();
            let is_virtio = SectionName::parse(name).is_some() || Companion::of_section(name).is_some();
            let is_shown = self.all || !self.section.is_empty() || is_virtio || name == "configuration";
            match section.missing_in {
                Some(Side::A) => writeln!(out, "{GOOD}+ {name}{GOOD:#}  only in {}", self.b)?,
                Some(Side::B) => writeln!(out, "{BAD}- {name}{BAD:#}  only in {}", self.a)?,
                None if is_shown => {
                    writeln!(out, "{HEADING}{name}{HEADING:#}")?;
                    for difference in &section.differences {
                        let [a, b] = [&difference.a, &difference.b].map(|value| shown(value.as_ref()));
                        writeln!(
                            out,
                            "  {LABEL}{}{LABEL:#}  {BAD}{a}{BAD:#} → {GOOD}{b}{GOOD:#}",
                            difference.path
                        )?;
                    }
                }
                None => counted += 1,
            }
        }
        if counted > 0 {
            writeln!(out, "{DIM}{counted} other sections differ too (--all shows them){DIM:#}")?;
        }
        Ok(())
    }
}

/// A value in a line.
fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 72;
    let text = match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => {
            format!("{}… ({} characters)", text.get(..at).unwrap_or_default(), text.chars().count())
        }
        None => text,
    }
}
