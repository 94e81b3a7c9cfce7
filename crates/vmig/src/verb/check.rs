//! `vmig check`: will a stream load on that destination, and if not, why?

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use compat::verdict::{self, Certainty, Incoming, Outcome as Answer, Reason, Verdict};

use super::{Outcome, profile};
use crate::fleet::Fleet;
use crate::input::Input;
use crate::output::show;
use crate::render::style::{BAD, DIM, DOUBTFUL, GOOD, HEADING};

/// Say whether a destination loads a stream, and every reason why not
///
/// Runs the load procedure against devices shaped like the destination's, and compares machine type, RAM,
/// sections, PCI configuration, features and queues. All reasons are shown, in the order QEMU would meet
/// them, with what QEMU says and what to change.
///
/// A stream alone does not tell which features a destination's devices offer. With a profile that was
/// also made over QMP nothing is left open.
///
/// With --fleet, every stream below a folder is checked with all cores, and each is a row: file, machine type,
/// QEMU as far as it is known, RAM, virtio devices, verdict, number of reasons, the first one's code and text,
/// seconds. The verdict is loads, refused, cannot-tell, unreadable, or no-stream for files that are something
/// else. --shard shares a fleet between machines; rows of several runs are joined by what queries them:
/// docs/fleet.md has examples.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig check guest.mig --onto fresh.mig           a stream the destination wrote right after start (-S)
  vmig check guest.mig --onto dest.json           a profile: vmig profile
  vmig check guest.mig --onto qmp:/run/vm1.qmp    a destination that waits
  vmig check guest.mig --onto fresh.mig --onto qmp:/run/vm1.qmp
  vmig check guest.mig --onto dest.json --json | jq '.reasons[].remedy'
  vmig check --fleet /srv/saved --onto dest.json                        a table of all guests
  vmig check --fleet /srv/saved --onto dest.json --parquet rows.parquet
  vmig check --fleet /srv/saved --onto dest.json --shard 3/16 --jsonl > 3.jsonl

Exit status: 0 it loads; 1 it does not; 2 that cannot be told, and what is missing is shown.
Of a fleet: 1 if a guest does not load, else 2 if one cannot be told or read, or there is none, else 0.")]
pub(crate) struct Check {
    /// The stream that is to be loaded; `-` for standard input
    #[arg(required_unless_present = "root", conflicts_with = "root")]
    file: Option<String>,
    /// The destination: a stream, a profile, recorded answers or qmp:PATH; may be given more than once
    #[arg(long, value_name = "DEST", required = true)]
    onto: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fleet: Fleet,
}

impl Check {
    pub(crate) fn run(&self) -> Outcome {
        let mut destination = compat::profile::Profile::default();
        for source in &self.onto {
            destination = destination.merge(profile::read(source)?);
        }
        if let Some(outcome) = self.fleet.run(&destination, self.json) {
            return outcome;
        }
        let input = Input::open(self.file.as_deref().unwrap_or("-"))?;
        let incoming =
            Incoming { stream: &input.stream, guest: &input.guest, stopped: input.stopped.as_ref() };
        let verdict = verdict::check(incoming, &destination);
        show(self.json, &verdict, |out| print(&verdict, out))?;
        Ok(ExitCode::from(match verdict.outcome {
            Answer::Loads => 0,
            Answer::Refused => 1,
            Answer::CannotTell => 2,
        }))
    }
}

fn print(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let Verdict { outcome, reasons, open, warnings } = verdict;
    match outcome {
        Answer::Loads => writeln!(out, "{GOOD}loads{GOOD:#}")?,
        Answer::Refused => {
            writeln!(out, "{BAD}will not load{BAD:#}: {}", count(reasons.len(), "reason", "reasons"))?;
        }
        Answer::CannotTell => {
            writeln!(
                out,
                "{DOUBTFUL}cannot tell{DOUBTFUL:#}: nothing refuses it, {} not known",
                count(open.len(), "thing is", "things are")
            )?;
        }
    }
    for (list, title) in [(reasons, ""), (open, "not known"), (warnings, "worth knowing")] {
        if !list.is_empty() && !title.is_empty() {
            writeln!(out, "\n{HEADING}{title}{HEADING:#}")?;
        }
        for reason in list {
            one(reason, out)?;
        }
    }
    Ok(())
}

fn one(reason: &Reason, out: &mut dyn Write) -> io::Result<()> {
    let style = match reason.certainty {
        Certainty::Refused => BAD,
        Certainty::Open | Certainty::Warning => DOUBTFUL,
    };
    let device = reason.device.as_deref().map(|device| format!("{device} › ")).unwrap_or_default();
    writeln!(out, "\n{style}{}{style:#} {device}{}", reason.code, reason.field)?;
    if !reason.features.is_empty() {
        writeln!(out, "  features     {}", reason.features.join(", "))?;
    }
    for (label, text) in [("stream", &reason.found), ("destination", &reason.expected)] {
        if !text.is_empty() {
            writeln!(out, "  {label:<12} {text}")?;
        }
    }
    if let Some(message) = &reason.qemu_message {
        writeln!(out, "  QEMU says    {DIM}{message}{DIM:#}")?;
    }
    writeln!(out, "  change       {}", reason.remedy)?;
    match reason.defect {
        Some(defect) => writeln!(out, "  known defect {DIM}vmig explain {defect}{DIM:#}"),
        None => Ok(()),
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}
