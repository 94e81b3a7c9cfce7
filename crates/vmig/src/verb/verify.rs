//! `vmig verify`: every section written anew, and compared with what it was read from.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use virtio::guest::Content;
use vmstate::stream::Section;

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::{show, write_file};
use crate::render::style::{BAD, DIM, DOUBTFUL, GOOD, bytes};

/// Check that a stream can be read and written without loss
///
/// Runs the load procedure on every virtio section and then the save procedure, decodes and encodes every
/// other section by the description in the stream, and compares with the original bytes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig verify guest.mig                     a line for each device, and a summary
  vmig verify guest.mig -o again.mig        write the stream anew, for QEMU to load
  vmig verify guest.mig --json

Exit status:
  0  all bytes are the same and all checks pass
  1  something differs, cannot be read or has a finding
  2  nothing could be read or written")]
pub(crate) struct Verify {
    /// The stream; `-` for standard input
    file: String,
    /// Write the stream with every section written anew, and RAM copied
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of a section.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    instance: u32,
    bytes: u64,
    /// How the section was read and written.
    by: By,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
    findings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum By {
    /// The load and save procedures.
    Device,
    /// Typed state that belongs to a device.
    Companion,
    /// The stream's description.
    Description,
    /// Copied: nothing describes it.
    Copy,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    identical: bool,
    /// Sections read and written, by how.
    devices: usize,
    companions: usize,
    described: usize,
    copied: usize,
    sections: &'a [Row],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Verify {
    pub(crate) fn run(&self) -> Outcome {
        let input = Input::open(&self.file)?;
        let rows: Vec<_> = input
            .stream
            .sections()
            .filter_map(|section| Row::new(section, input.guest.content(section)?))
            .collect();
        let is_good = input.stopped.is_none() && rows.iter().all(Row::is_good);
        let count = |by| rows.iter().filter(|row| row.by == by).count();
        let report = Report {
            identical: input.stopped.is_none() && rows.iter().all(|row| row.difference.is_none()),
            devices: count(By::Device),
            companions: count(By::Companion),
            described: count(By::Description),
            copied: count(By::Copy),
            sections: &rows,
            error: input.stopped.as_ref().map(ToString::to_string),
        };
        show(self.json, &report, |out| print(&report, out))?;
        if let Some(output) = &self.output {
            write_anew(&input, output)?;
        }
        if let Some(error) = input.stopped {
            Failure::Stream { file: input.file, error }.report();
        }
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

impl Row {
    fn new(section: &Section, content: &Result<Content, vmstate::Error>) -> Option<Self> {
        let original = section.body()?;
        let (by, findings) = match content {
            Ok(Content::Device(device)) => {
                let findings = match &device.loaded {
                    Ok(loaded) => loaded.findings.iter().map(|f| format!("{}: {f}", f.code())).collect(),
                    Err(error) => vec![format!("{}: {error}", error.code())],
                };
                (By::Device, findings)
            }
            Ok(Content::Companion(companion)) => {
                (By::Companion, companion.findings.iter().map(|f| format!("{}: {f}", f.code())).collect())
            }
            Ok(Content::Described(_)) => (By::Description, Vec::new()),
            Ok(Content::Raw) => (By::Copy, Vec::new()),
            Err(error) => (By::Copy, vec![format!("{}: {error}", error.code())]),
        };
        let anew = content.as_ref().ok().and_then(Content::save);
        Some(Self {
            name: section.name.clone(),
            instance: section.instance,
            bytes: section.body_bytes,
            by,
            difference: anew.and_then(|anew| difference(original, &anew, section.body_offset)),
            findings,
        })
    }

    fn is_good(&self) -> bool {
        self.difference.is_none() && self.findings.is_empty()
    }
}

/// Where two bodies first differ, in words.
fn difference(original: &[u8], anew: &[u8], offset: u64) -> Option<String> {
    if original == anew {
        return None;
    }
    let at = original.iter().zip(anew).take_while(|(a, b)| a == b).count();
    let byte = |body: &[u8]| body.get(at).map_or_else(|| "the end".to_owned(), |byte| format!("{byte:#04x}"));
    Some(format!(
        "differs from byte {at} on (at {:#x}): was {}, is {}",
        offset + at as u64,
        byte(original),
        byte(anew)
    ))
}

/// A line for each virtio section and for each that is not as it should be; a summary.
fn print(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    for row in report.sections {
        if row.is_good() && !matches!(row.by, By::Device | By::Companion) {
            continue;
        }
        let (style, verdict) = match (&row.difference, row.findings.is_empty()) {
            (Some(_), _) => (BAD, "differs"),
            (None, false) => (DOUBTFUL, "finding"),
            (None, true) => (GOOD, "same"),
        };
        let instance = if row.instance > 0 { format!(" instance {}", row.instance) } else { String::new() };
        writeln!(
            out,
            "{style}{verdict:<8}{style:#} {}{instance}  {DIM}{}{DIM:#}",
            row.name,
            bytes(row.bytes)
        )?;
        for line in row.difference.iter().chain(&row.findings) {
            writeln!(out, "         {line}")?;
        }
    }
    let Report { devices, companions, described, copied, .. } = report;
    let (style, verdict) = match report.identical {
        true => (GOOD, "identical"),
        false => (BAD, "not identical"),
    };
    writeln!(
        out,
        "{style}{verdict}{style:#}: {devices} virtio devices, {companions} sections that belong to them, and \
         {described} others by the stream's description; {copied} that nothing describes were copied"
    )
}

/// Writes the stream with its sections written anew.
fn write_anew(input: &Input, output: &Path) -> Result<(), Failure> {
    let mut anew = |section: &Section| input.guest.content(section)?.as_ref().ok()?.save();
    write_file(output, |out| input.stream.write(input.source.as_ref(), &mut anew, out))
}
