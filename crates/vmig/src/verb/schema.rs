//! `vmig schema`: what sections look like, and whether two descriptions of them go together.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use clap::Args;
use compat::schema::{Comparison, Schema, Source, sections};
use serde::Serialize;

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::show;
use crate::render;

/// Show what the sections of devices look like, or compare descriptions of them
///
/// Lists fields, versions and subsections of each section that vmig models, in the order in which they are in
/// a stream. With --against, says what would break a migration, in each direction: between vmig and a QEMU, or
/// between two QEMUs. A description is what `qemu-system-… -machine TYPE -dump-vmstate FILE` writes, or a
/// stream, which has one at its end; a stream tells what was written, so only the way from it is looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig schema                                       every section
  vmig schema virtio-net                            one, with all that it is made of
  vmig schema virtio-net --json | jq '.[0].parts[].body.name'
  vmig schema --against new.json                    vmig and a QEMU
  vmig schema --against old.json new.json           two QEMUs
  vmig schema --against guest.mig new.json          will the sections of a stream be understood?
  vmig schema virtio-gpu --against old.json new.json

Exit status:
  0  the sections are listed; nothing would break
  1  something would break a migration, or may
  2  a file cannot be read, or there is no such section")]
pub(crate) struct SchemaVerb {
    /// Show only the section of this name, without a device's path (or, with --against, of this device type)
    device: Option<String>,
    /// Compare with this description; two: compare them with each other
    #[arg(long, num_args = 1..=2, value_names = ["FILE", "FILE"])]
    against: Vec<String>,
    /// Print JSON (described in docs/json.md)
    #[arg(long)]
    json: bool,
}

/// A direction of a comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Direction {
    /// What writes.
    pub(crate) from: String,
    /// What reads.
    pub(crate) to: String,
    #[serde(flatten)]
    pub(crate) comparison: Comparison,
}

impl SchemaVerb {
    pub(crate) fn run(&self) -> Outcome {
        match self.against.as_slice() {
            [] => self.list(),
            [file] => self.compare(("vmig".to_owned(), Schema::vmig()), read(file)?),
            [first, second, ..] => self.compare(read(first)?, read(second)?),
        }
    }

    fn list(&self) -> Outcome {
        let mut sections = sections();
        if let Some(name) = &self.device {
            let known: Vec<_> = sections.iter().map(|section| section.name).collect();
            let known = known.join(", ");
            sections.retain(|section| section.name == name);
            if sections.is_empty() {
                return Err(Failure::NotThere(format!("there is no section {name}; there are {known}")));
            }
        }
        show(self.json, &sections, |out| render::schema::sections(&sections, out))?;
        Ok(ExitCode::SUCCESS)
    }

    fn compare(&self, (first, mut left): (String, Schema), (second, mut right): (String, Schema)) -> Outcome {
        if let Some(name) = &self.device {
            left.select(name);
            right.select(name);
            if left.sections.is_empty() && right.sections.is_empty() {
                return Err(Failure::NotThere(format!("neither {first} nor {second} describes {name}")));
            }
        }
        let direction = |from: &str, writer: &Schema, to: &str, reader: &Schema| {
            // What a machine wrote does not tell what it could read.
            (reader.source != Source::Stream).then(|| Direction {
                from: from.to_owned(),
                to: to.to_owned(),
                comparison: writer.onto(reader),
            })
        };
        let directions =
            [direction(&first, &left, &second, &right), direction(&second, &right, &first, &left)];
        let directions: Vec<_> = directions.into_iter().flatten().collect();
        if directions.is_empty() {
            let hint = "compare them with vmig diff, or with a dump of the destination";
            return Err(Failure::NotThere(format!(
                "{first} and {second} are streams, which only write; {hint}"
            )));
        }
        let is_safe = directions.iter().all(|direction| direction.comparison.is_safe());
        show(self.json, &directions, |out| render::schema::directions(&directions, out))?;
        Ok(if is_safe { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// The largest dump that is read; that of a QEMU with all its devices has about 1 MiB.
const LARGEST: u64 = 64 << 20;

/// Reads a dump or a stream, and says what it is.
fn read(file: &str) -> Result<(String, Schema), Failure> {
    if let Some(text) = dump(file).filter(|text| Schema::is_dump(text)) {
        let schema = Schema::from_dump(&text);
        let schema =
            schema.map_err(|error| Failure::State { file: file.to_owned(), error: error.to_string() })?;
        let name = match &schema.machine {
            Some(machine) => format!("{file} ({machine})"),
            None => file.to_owned(),
        };
        return Ok((name, schema));
    }
    let input = Input::open(file)?;
    match &input.stream.description {
        Some(description) => Ok((input.file, Schema::from(&description.desc))),
        None => Err(Failure::NotThere(format!("{file} has no description of its sections"))),
    }
}

/// The text of a file that could be a dump.
fn dump(file: &str) -> Option<Vec<u8>> {
    let mut file = File::open(file).ok()?;
    let mut text = vec![0; 64];
    let length = file.read(&mut text).ok()?;
    text.truncate(length);
    if Schema::is_dump(&text) {
        file.take(LARGEST).read_to_end(&mut text).ok()?;
    }
    Some(text)
}
