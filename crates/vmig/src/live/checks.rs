//! What a guest has to pass before it goes on, and how it is changed on the way.

use clap::Args;
use compat::defect;
use compat::edit::{self, Change, EditError};
use compat::profile::Profile;
use compat::state::State;
use compat::verdict::{self, Outcome as Answer, Reason};
use migration::Cause;
use migration::event::{Event, Observer};
use migration::judge::Judge;
use virtio::finding::Severity;
use virtio::guest::{Content, Guest};
use vmstate::source::{FileSource, Source};
use vmstate::stream::{Configuration, Stream};

use super::complete::Disks;
use crate::verb::{Failure, profile};

/// What is checked and changed.
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckOptions {
    /// Change a field on the way, as `vmig edit` does; may be given more than once
    #[arg(long, value_name = "SECTION.FIELD=VALUE")]
    edit: Vec<String>,
    /// Mend on the way what known defects of QEMU left in the stream
    #[arg(long)]
    repair: bool,
    /// Refuse a guest that this destination would not load: as for `vmig check`
    #[arg(long, value_name = "DEST")]
    onto: Vec<String>,
}

/// What a guest has to pass.
pub(crate) struct Checks<'a> {
    changes: Vec<Change>,
    repair: bool,
    destination: Option<Profile>,
    disks: Disks,
    observer: &'a dyn Observer,
}

impl CheckOptions {
    /// Reads what it needs, before any guest comes.
    pub(crate) fn checks<'a>(&self, observer: &'a dyn Observer) -> Result<Checks<'a>, Failure> {
        let changes = self.edit.iter().map(|text| text.parse().map_err(EditError::Change));
        let mut destination = None;
        for source in &self.onto {
            let read = profile::read(source)?;
            destination = Some(destination.unwrap_or_else(Profile::default).merge(read));
        }
        let changes = changes.collect::<Result<_, _>>()?;
        Ok(Checks { changes, repair: self.repair, destination, disks: Disks::default(), observer })
    }
}

impl Checks<'_> {
    /// Serves what the guest's block devices have to do, too, while the guest is held.
    pub(crate) fn with_disks(self, disks: Disks) -> Self {
        Self { disks, ..self }
    }

    /// Makes the changes and repairs; `None` if there is nothing to change.
    fn change(
        &self,
        stream: &Stream,
        guest: &Guest,
        source: &dyn Source,
    ) -> Result<Option<Stream>, EditError> {
        let mut state = State::new(stream, guest);
        let repaired = if self.repair { defect::repair(&mut state) } else { Vec::new() };
        if repaired.is_empty() && self.changes.is_empty() {
            return Ok(None);
        }
        edit::change(&mut state, &self.changes)?;
        let changed = state.apply(stream)?;
        edit::check(&state, &changed, stream, guest, source)?;
        for repair in repaired {
            let what = format!("{} ({}): {}", repair.section, repair.defect, repair.done);
            self.observer.event(Event::Changed { what });
        }
        for change in &self.changes {
            self.observer.event(Event::Changed { what: change.to_string() });
        }
        Ok(Some(changed))
    }

    /// Every device has to load.
    fn devices(&self, stream: &Stream, guest: &Guest) -> Result<(), Cause> {
        let mut reasons = Vec::new();
        for section in stream.sections() {
            let (name, findings) = match guest.content(section) {
                Some(Ok(Content::Device(device))) => match &device.loaded {
                    Ok(loaded) => (&section.name, &loaded.findings),
                    Err(error) => {
                        reasons.push(error.to_string());
                        continue;
                    }
                },
                Some(Ok(Content::Companion(companion))) => (&section.name, &companion.findings),
                Some(Err(error)) => {
                    reasons.push(error.to_string());
                    continue;
                }
                _ => continue,
            };
            for finding in findings {
                let text = format!("{} {name}: {finding}", finding.code());
                match finding.severity() {
                    Severity::FailsLoad => reasons.push(text),
                    Severity::BreaksDevice | Severity::Warning => {
                        self.observer.event(Event::Warning { what: text });
                    }
                }
            }
        }
        refused(&reasons)
    }

    /// The destination has to take it, as far as is known of it.
    fn onto(&self, stream: &Stream, guest: &Guest) -> Result<(), Cause> {
        let Some(destination) = &self.destination else { return Ok(()) };
        let incoming = verdict::Incoming { stream, guest, stopped: None };
        let verdict = verdict::check(incoming, destination);
        let text = |reason: &Reason| {
            let device = reason.device.as_deref().unwrap_or_default();
            format!("{} {device} {}: {}", reason.code, reason.field, reason.remedy)
        };
        for reason in verdict.open.iter().chain(&verdict.warnings) {
            self.observer.event(Event::Warning { what: text(reason) });
        }
        match verdict.outcome {
            Answer::Refused => refused(&verdict.reasons.iter().map(text).collect::<Vec<_>>()),
            Answer::Loads | Answer::CannotTell => Ok(()),
        }
    }
}

impl Judge for Checks<'_> {
    fn start(&self, configuration: &mut Configuration) -> Result<bool, Cause> {
        let mut changed = false;
        for change in self.changes.iter().filter(|change| change.is_of_machine()) {
            change.make_in(configuration).map_err(|error| Cause::Refused(error.to_string()))?;
            changed = true;
        }
        Ok(changed)
    }

    fn finish(&self, stream: &Stream, held: &FileSource) -> Result<Option<Stream>, Cause> {
        self.disks.finish(stream, held, self.observer)
    }

    fn judge(&self, stream: &Stream, source: &dyn Source) -> Result<Option<Stream>, Cause> {
        let guest = Guest::decode(stream, source);
        let changed =
            self.change(stream, &guest, source).map_err(|error| Cause::Refused(error.to_string()))?;
        let (stream, guest) = match &changed {
            Some(changed) => (changed, Guest::decode(changed, source)),
            None => (stream, guest),
        };
        self.devices(stream, &guest)?;
        self.onto(stream, &guest)?;
        Ok(changed)
    }
}

fn refused(reasons: &[String]) -> Result<(), Cause> {
    if reasons.is_empty() { Ok(()) } else { Err(Cause::Refused(reasons.join("; "))) }
}
