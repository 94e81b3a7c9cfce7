//! `vmig inspect`: what state each device is in.

use std::process::ExitCode;

use clap::Args;
use report::Document;

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::show;
use crate::render;

/// Show the state of each device in a migration stream
///
/// Reads a stream that QEMU wrote (migrate to a file, or `-` for a pipe), plain or compressed with zstd,
/// gzip, xz or lz4. Each virtio device goes through the documented load procedure; what is wrong with it
/// is a finding with a stable code.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig inspect guest.mig                            all virtio devices
  vmig inspect guest.mig --device 0000:00:03.0      one device, by its path
  vmig inspect guest.mig --section globalstate      one section of any kind
  vmig inspect guest.mig --all                      every section
  vmig inspect guest.mig --json | jq '.devices[].findings'
  zstdcat guest.mig.zst | vmig inspect -

Exit status:
  0  the stream was read to its end
  1  it ends early or a section cannot be read; what was read is shown
  2  nothing could be read")]
pub(crate) struct Inspect {
    /// The stream; `-` for standard input
    file: String,
    /// Show only the device with this path (or path and name); may be given more than once
    #[arg(long, value_name = "PATH")]
    device: Vec<String>,
    /// Show the state of the section with this name; may be given more than once
    #[arg(long, value_name = "NAME")]
    section: Vec<String>,
    /// Show the state of every section, also of those that are not virtio
    #[arg(long, conflicts_with_all = ["device", "section"])]
    all: bool,
    /// Print JSON (described in docs/json.md)
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(&self) -> Outcome {
        let input = Input::open(&self.file)?;
        let mut document = Document::new(&input.reading());
        let is_whole = document.error.is_none()
            && document.devices.iter().all(|device| device.error.is_none())
            && document.sections.iter().all(|section| section.error.is_none());
        self.select(&mut document, &input.file)?;
        show(self.json, &document, |out| render::document(&document, out))?;
        if let Some(error) = input.stopped {
            Failure::Stream { file: input.file, error }.report();
        }
        Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// Leaves what was asked for.
    fn select(&self, document: &mut Document, file: &str) -> Result<(), Failure> {
        for path in &self.device {
            if !document.devices.iter().any(|device| device.is_called(path)) {
                let known: Vec<_> = document.devices.iter().map(|device| device.path.as_str()).collect();
                let known = known.join(", ");
                return Err(Failure::NotThere(format!("{file} has no device {path}; it has {known}")));
            }
        }
        for name in &self.section {
            if !document.sections.iter().any(|section| section.name == *name) {
                let hint = "list them with: vmig inspect --json FILE | jq '.sections[].name'";
                return Err(Failure::NotThere(format!("{file} has no section {name}; {hint}")));
            }
        }
        let selects = !self.device.is_empty() || !self.section.is_empty();
        if selects {
            document.devices.retain(|device| {
                self.device.iter().any(|path| device.is_called(path))
                    || self.section.iter().any(|name| device.is_called(name))
            });
        }
        for section in &mut document.sections {
            if !self.all && !self.section.contains(&section.name) {
                section.state = None;
                section.decoded = None;
            }
        }
        Ok(())
    }
}
