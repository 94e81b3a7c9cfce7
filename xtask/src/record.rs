//! `cargo xtask record`: makes fixtures. `NAME.mig.zst` is the stream of a stopped machine,
//! `NAME.json` what QEMU said of the machine just before.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Args;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::Serialize;

use crate::cases::{self, Case};
use crate::machine::command::End;
use crate::machine::{Machine, Site};
use crate::qemu::Qemu;
use crate::truth::{self, DeviceState};
use crate::{guest, tools, workspace};

/// Beats the guest makes before it is recorded.
const BEATS: u64 = 6;

/// Record streams of running guests, and QEMU's word on them, as fixtures.
///
/// Each case gives NAME.mig.zst and NAME.json. Guest memory that holds no virtqueue is zeroed with
/// `vmig redact`, if vmig is built and can; otherwise the full stream is recorded, and says so.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Only this case; may be given again, and may end in * [default: every case that stays at one version]
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,

    /// Where the files go
    #[arg(short, long, value_name = "DIR", default_value = "target/recorded")]
    output: PathBuf,
}

/// The content of `NAME.json`.
#[derive(Debug, Serialize)]
struct Recording {
    name: &'static str,
    arch: &'static str,
    machine: String,
    qemu_version: String,
    ram: Ram,
    /// Beats the guest had made, and the devices it worked in each.
    beats: u64,
    worked: String,
    /// QEMU's word on the virtqueues of the stopped machine: what decoding is compared with.
    devices: Vec<DeviceState>,
    cmdline: Vec<String>,
}

/// What a recorded stream holds of the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Ram {
    /// Pages without a part of a virtqueue are zero pages.
    Slim,
    Full,
}

impl Record {
    /// Records the chosen cases; an error unless all were.
    pub(crate) fn run(&self) -> Result<()> {
        let mut cases = cases::chosen(&self.case)?;
        if self.case.is_empty() {
            // A case that goes to another version has the same source as one that does not.
            cases.retain(|case| case.from == case.to);
        }
        workspace::create_dir(&self.output)?;
        let (mut recorded, mut failed) = (0, 0);
        for case in cases {
            let start = Instant::now();
            match record(case, &self.output) {
                Ok(detail) => {
                    recorded += 1;
                    println!("recorded {:28} {detail} ({} s)", case.name, start.elapsed().as_secs());
                }
                Err(error) => {
                    failed += 1;
                    println!("FAILED   {:28} {}", case.name, tools::words(&error));
                }
            }
        }
        println!("{recorded} recorded in {}, {failed} failed", self.output.display());
        if failed == 0 { Ok(()) } else { Err(miette!("{failed} cases were not recorded (reasons above)")) }
    }
}

/// Runs the source of a case, saves it, and writes the two files.
fn record(case: &'static Case, output: &Path) -> Result<String> {
    let qemu = Qemu::find(case.from, case.arch())?;
    guest::present(case.arch())?;
    let dir = workspace::target()?.join("record").join(case.name);
    let site = Site::new(case, &dir, &qemu)?;
    let mut source = Machine::start(&site, &qemu, End::Source)?;
    source.work_and_stop(BEATS)?;
    let devices = truth::ask(&mut source, case)?;
    source.save("full.mig")?;
    let cmdline = reduced(source.command_line());
    source.quit()?;
    let beats = site.beats()?;

    let ram = slim(&dir.join("full.mig"), &dir.join("slim.mig"))?;
    let stream = output.join(format!("{}.mig.zst", case.name));
    let bytes = compress(&dir.join("slim.mig"), &stream, ram)?;
    let recording = Recording {
        name: case.name,
        arch: case.arch().name(),
        machine: site.machine_type.clone(),
        qemu_version: qemu.version().to_owned(),
        ram,
        beats: beats.last,
        worked: beats.devices,
        devices,
        cmdline,
    };
    let json = serde_json::to_string_pretty(&recording).into_diagnostic()?;
    workspace::write(&output.join(format!("{}.json", case.name)), json + "\n")?;
    std::fs::remove_dir_all(&dir).into_diagnostic()?;
    let ram = if ram == Ram::Slim { "slim" } else { "FULL (vmig redact is not there yet)" };
    Ok(format!("QEMU {}, {ram}, {} KiB", qemu.version(), bytes / 1024))
}

/// Zeroes the pages of a stream that hold no part of a virtqueue, if vmig is built and knows how.
fn slim(input: &Path, output: &Path) -> Result<Ram> {
    let vmig = workspace::cargo_target()?.join("release/vmig");
    let knows = vmig.exists() && tools::run(Command::new(&vmig).args(["redact", "--help"]))?.status.success();
    if !knows {
        std::fs::rename(input, output).into_diagnostic()?;
        return Ok(Ram::Full);
    }
    tools::output(Command::new(&vmig).arg("redact").arg(input).arg("-o").arg(output))
        .wrap_err("vmig redact")?;
    Ok(Ram::Slim)
}

/// Compresses a file with a window that spans repeated guest pages; returns the size of the result.
fn compress(input: &Path, output: &Path, ram: Ram) -> Result<u64> {
    let level = if ram == Ram::Slim { 19 } else { 9 };
    let work = || -> std::io::Result<u64> {
        let mut encoder = zstd::Encoder::new(File::create(output)?, level)?;
        encoder.window_log(27)?;
        encoder.long_distance_matching(true)?;
        std::io::copy(&mut File::open(input)?, &mut encoder)?;
        encoder.finish()?.metadata().map(|metadata| metadata.len())
    };
    work()
        .into_diagnostic()
        .wrap_err_with(|| format!("cannot compress {} to {}", input.display(), output.display()))
}

/// A command line as it is of use to others: no loader, no firmware paths, no QMP socket, and of
/// other files only the names.
fn reduced(command_line: &[String]) -> Vec<String> {
    let name = |word: &String| match Path::new(word).file_name() {
        Some(name) if word.starts_with('/') => name.to_string_lossy().into_owned(),
        _ => word.clone(),
    };
    let mut words = command_line.iter().map(name).skip_while(|word| !word.starts_with("qemu-system-"));
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "-L" || word == "-qmp" {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_reduced_to_what_tells_of_the_machine() {
        let line = "/t/ld.so --library-path /t/lib /t/qemu-system-x86_64 -L /t/share -m 128 -kernel /t/vmlinuz -qmp unix:/q";
        let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(reduced(&line).join(" "), "qemu-system-x86_64 -m 128 -kernel vmlinuz");
    }
}
