//! A row of the table of a fleet. Its fields are the columns: for people, in JSON and in Parquet.

use std::time::{Duration, Instant};

use compat::profile::{Profile, QemuVersion};
use compat::verdict::{self, Incoming, Outcome as Answer, Reason, Verdict};
use image::Entry;
use parquet_derive::ParquetRecordWriter;
use serde::Serialize;
use vmstate::ErrorKind;

use crate::input::Input;
use crate::verb::Failure;

/// The verdict on a file that cannot be opened, or not be read as what it begins as.
pub(super) const UNREADABLE: &str = "unreadable";
/// The verdict on a file that is no stream.
pub(super) const NO_STREAM: &str = "no-stream";

/// What became of one file.
#[derive(Debug, Clone, Serialize, ParquetRecordWriter)]
pub(crate) struct Row {
    /// Its path from the folder on; `FILE#ID` is a snapshot in a qcow2 image.
    pub(super) file: String,
    /// The machine type.
    pub(super) machine: Option<String>,
    /// Which QEMU wrote it, as far as its form tells.
    pub(super) qemu: Option<String>,
    /// All blocks of RAM.
    pub(super) ram_bytes: Option<u64>,
    /// Sections of virtio devices.
    pub(super) devices: Option<u32>,
    /// `loads`, `refused` or `cannot-tell`, as `vmig check` says it; [`UNREADABLE`], [`NO_STREAM`].
    pub(super) verdict: &'static str,
    /// Why it is refused; if it is not, what is not known.
    pub(super) reasons: u32,
    /// How long the check took.
    pub(super) seconds: f64,
    /// The code of the first reason.
    pub(super) code: Option<String>,
    /// The first reason.
    pub(super) reason: Option<String>,
}

/// Checks a file: one row, or one for each snapshot in it.
pub(super) fn check(entry: &Entry, destination: &Profile) -> Vec<Row> {
    let path = match &entry.file {
        Ok(path) => path,
        Err(error) => {
            let verdict = if matches!(error, image::Error::NoFile { .. }) { NO_STREAM } else { UNREADABLE };
            return vec![Row::unread(&entry.name, verdict, None, error.to_string(), Duration::ZERO)];
        }
    };
    let start = Instant::now();
    match Input::read(path, &mut |_, _| ()) {
        Ok(input) => vec![Row::checked(&entry.name, &input, destination, start)],
        Err(failure) => match snapshots(&failure) {
            Some(ids) => ids.map(|id| snapshot(entry, path, id, destination)).collect(),
            None => vec![Row::failed(&entry.name, &failure, start)],
        },
    }
}

/// The snapshots that there are to choose from, if that was the failure.
fn snapshots(failure: &Failure) -> Option<impl Iterator<Item = &str>> {
    let Failure::Open(image::Error::Snapshot { snapshots, .. }) = failure else { return None };
    let usable = snapshots.iter().filter(|snapshot| snapshot.vm_state_bytes > 0);
    usable.clone().next()?;
    Some(usable.map(|snapshot| snapshot.id.as_str()))
}

fn snapshot(entry: &Entry, path: &str, id: &str, destination: &Profile) -> Row {
    let (name, start) = (format!("{}#{id}", entry.name), Instant::now());
    match Input::read(&format!("{path}#{id}"), &mut |_, _| ()) {
        Ok(input) => Row::checked(&name, &input, destination, start),
        Err(failure) => Row::failed(&name, &failure, start),
    }
}

impl Row {
    /// A stream that could be read, to its end or not.
    fn checked(name: &str, input: &Input, destination: &Profile, start: Instant) -> Self {
        let Input { stream, guest, stopped, .. } = input;
        let verdict = verdict::check(Incoming { stream, guest, stopped: stopped.as_ref() }, destination);
        let Verdict { outcome, reasons, open, .. } = &verdict;
        let reasons = if *outcome == Answer::CannotTell { open } else { reasons };
        let description = stream.description.as_ref().map(|found| &found.desc);
        let qemu = QemuVersion::inferred(guest.machine.as_deref(), description);
        Self {
            file: name.to_owned(),
            machine: guest.machine.clone(),
            qemu: (qemu != QemuVersion::default()).then(|| qemu.to_string()),
            ram_bytes: stream.ram.as_ref().map(|ram| ram.bytes),
            devices: Some(saturated(guest.devices(stream).count())),
            verdict: outcome.name(),
            reasons: saturated(reasons.len()),
            seconds: start.elapsed().as_secs_f64(),
            code: reasons.first().map(|reason| reason.code.to_string()),
            reason: reasons.first().map(Reason::to_string),
        }
    }

    /// A file that could not be read as a stream.
    fn failed(name: &str, failure: &Failure, start: Instant) -> Self {
        let is_other = match failure {
            Failure::Stream { error, .. } => match error.kind() {
                ErrorKind::Magic { .. } => true,
                // Not even room for how a stream begins.
                ErrorKind::Truncated { left, .. } => error.offset() + left < 4,
                _ => false,
            },
            // A disk that nobody saved a guest to.
            Failure::Open(image::Error::Snapshot { .. }) => true,
            _ => false,
        };
        let verdict = if is_other { NO_STREAM } else { UNREADABLE };
        let code = failure.code().map(|code| code.to_string());
        Self::unread(name, verdict, code, failure.to_string(), start.elapsed())
    }

    fn unread(name: &str, verdict: &'static str, code: Option<String>, why: String, took: Duration) -> Self {
        Self {
            file: name.to_owned(),
            machine: None,
            qemu: None,
            ram_bytes: None,
            devices: None,
            verdict,
            reasons: u32::from(verdict == UNREADABLE),
            seconds: took.as_secs_f64(),
            code,
            reason: Some(why),
        }
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
