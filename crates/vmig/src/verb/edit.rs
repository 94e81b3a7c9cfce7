//! `vmig edit`: a changed field, or a known repair, in a stream that still loads.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use compat::defect::{self, Repaired};
use compat::edit::{self, Change, EditError};

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::{print, write_stream};
use crate::render::style::GOOD;

/// Change fields of a stream, or repair a known defect
///
/// A change is SECTION.FIELD=VALUE, with the names that `vmig decode` shows; `machine=NAME` changes the
/// machine type. Features take += and -= with names, and are changed in every place that has them. Setting
/// a subsection to null leaves it out. The result is loaded before it is written, and refused if it would
/// not load where the original does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig edit guest.mig -o out.mig 0000:00:03.0/virtio-net.device.mac=52:54:00:00:00:01
  vmig edit guest.mig -o out.mig 0000:00:03.0/virtio-net.core.guest_features-=MRG_RXBUF
  vmig edit guest.mig -o out.mig 0000:00:04.0/virtio-blk.core.queues[0].last_avail_idx=7
  vmig edit guest.mig -o out.mig 0000:00:04.0/virtio-blk.core.subsections.started=null
  vmig edit guest.mig -o out.mig machine=pc-q35-9.2
  vmig edit guest.mig -o out.mig --repair

Exit status:
  0  the stream was written
  1  there was nothing to repair
  2  the change cannot be made or would not load, or nothing could be written")]
pub(crate) struct Edit {
    /// The stream; `-` for standard input
    file: String,
    /// Where to write the stream
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// What to change
    #[arg(value_name = "SECTION.FIELD=VALUE", required_unless_present = "repair")]
    changes: Vec<String>,
    /// Mend what known defects of QEMU left in the stream (`vmig explain --defects`)
    #[arg(long)]
    repair: bool,
    /// Write the stream even if a device would not load from it
    #[arg(long)]
    force: bool,
}

impl Edit {
    pub(crate) fn run(&self) -> Outcome {
        let changes: Vec<Change> = self
            .changes
            .iter()
            .map(|text| text.parse().map_err(EditError::Change))
            .collect::<Result<_, _>>()?;
        let input = Input::open_whole(&self.file)?;
        let mut state = input.state();
        let repairs = if self.repair { defect::repair(&mut state) } else { Vec::new() };
        if changes.is_empty() && repairs.is_empty() {
            print(|out| {
                writeln!(out, "{}: nothing that is known to be broken; nothing written", input.file)
            })?;
            return Ok(ExitCode::from(1));
        }
        edit::change(&mut state, &changes)?;
        let stream = state.apply(&input.stream).map_err(EditError::from)?;
        let checked = edit::check(&state, &stream, &input.stream, &input.guest, input.source.as_ref());
        match checked {
            Err(error @ EditError::WouldNotLoad { .. }) if self.force => {
                anstream::eprintln!("warning: {error} (written all the same: --force)");
            }
            Err(error @ EditError::WouldNotLoad { .. }) => {
                return Err(Failure::NotThere(format!(
                    "{error}; nothing written (--force writes it all the same)"
                )));
            }
            checked => checked?,
        }
        write_stream(&self.output, &stream, input.source.as_ref())?;
        print(|out| {
            repairs.iter().try_for_each(|Repaired { section, defect, done }| {
                writeln!(out, "{GOOD}repaired{GOOD:#} {section} ({defect}): {done}")
            })
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
