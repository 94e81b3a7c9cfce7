//! `vmig explain`: what a code, or what QEMU printed, means.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use clap::Args;
use compat::defect::{self, Defect};
use compat::explain::{self, Explanation, Page};
use serde::Serialize;
use virtio::device::unmigratable::UNMIGRATABLE;
use virtio::device::{DEVICES, DeviceType};

use super::{Failure, Outcome};
use crate::output::show;
use crate::render;

/// Say what a code, or what QEMU printed, means
///
/// Takes the codes of vmig's errors and findings, the names of known defects of QEMU releases, and the lines
/// that QEMU prints when it does not load or migrate: as many as there are, the most telling is explained
/// first. Without an argument, lists all codes; with --defects, the known defects.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig explain                                      all codes, a line each
  vmig explain VM0303                               what it means, whence it comes, what to do
  vmig explain --defects                            what is known to be wrong with releases of QEMU
  vmig explain forced-queue-size                    one of these
  vmig explain 'VQ 0 vring.num 1024 exceeds allocated max 256'
  vmig explain --device virtio-net 'Features 0x… unsupported. Allowed features: 0x…'
  virsh start guest 2>&1 | vmig explain -

Exit status:
  0  it is explained
  1  nothing is known about it
  2  the arguments cannot be used")]
pub(crate) struct Explain {
    /// Codes, names of defects, or what QEMU printed; `-` for standard input
    #[arg(value_name = "CODE|DEFECT|TEXT")]
    what: Vec<String>,
    /// List the known defects of QEMU releases, with where each is known from
    #[arg(long, conflicts_with_all = ["what", "device"])]
    defects: bool,
    /// The type of the device that a message is about (virtio-net, …): names its feature bits
    #[arg(long, value_name = "TYPE")]
    device: Option<String>,
    /// Print JSON (described in docs/json.md)
    #[arg(long)]
    json: bool,
}

/// What is known of what was asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// All codes.
    Codes(Vec<Entry>),
    /// The pages of codes.
    Pages(Vec<Entry>),
    /// Known defects.
    Defects(Vec<&'static Defect>),
    /// What QEMU's lines mean.
    Messages(Vec<Explanation>),
}

/// A page, with the names of the defects that may be behind it.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(flatten)]
    page: &'static Page,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    defects: Vec<&'static str>,
}

impl From<&'static Page> for Entry {
    fn from(page: &'static Page) -> Self {
        Self { page, defects: page.defects().map(|defect| defect.name).collect() }
    }
}

impl Explain {
    pub(crate) fn run(&self) -> Outcome {
        let answer = self.answer()?;
        let is_empty = matches!(&answer, Answer::Messages(messages) if messages.is_empty());
        show(self.json, &answer, |out| print(&answer, out))?;
        Ok(if is_empty { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn answer(&self) -> Result<Answer, Failure> {
        if self.defects {
            return Ok(Answer::Defects(defect::ALL.iter().collect()));
        }
        if self.what.is_empty() {
            return Ok(Answer::Codes(explain::pages().into_iter().map(Entry::from).collect()));
        }
        let defects: Option<Vec<_>> = self.what.iter().map(|what| defect::named(what)).collect();
        if let Some(defects) = defects {
            return Ok(Answer::Defects(defects));
        }
        let codes: Option<Vec<_>> = self.what.iter().map(|what| explain::code(what)).collect();
        if let Some(codes) = codes {
            let page = |code| {
                let page = explain::page(code).map(Entry::from);
                page.ok_or_else(|| not_there(format!("there is no code {code}")))
            };
            return codes.into_iter().map(page).collect::<Result<_, _>>().map(Answer::Pages);
        }
        let device = self.device.as_deref().map(device).transpose()?;
        let text = match self.what.as_slice() {
            [only] if only == "-" => {
                let mut text = Vec::new();
                let read = io::stdin().lock().take(LONGEST).read_to_end(&mut text);
                read.map_err(|error| not_there(format!("cannot read standard input: {error}")))?;
                String::from_utf8_lossy(&text).into_owned()
            }
            words => words.join(" "),
        };
        Ok(Answer::Messages(explain::explain(&text, device)))
    }
}

fn print(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    match answer {
        Answer::Codes(entries) => render::explain::codes(entries.iter().map(|entry| entry.page), out),
        Answer::Pages(entries) => render::explain::pages(entries.iter().map(|entry| entry.page), out),
        Answer::Defects(defects) => render::explain::defects(defects, out),
        Answer::Messages(messages) => render::explain::messages(messages, out),
    }
}

/// Bytes of standard input that are looked at.
const LONGEST: u64 = 1 << 20;

fn device(name: &str) -> Result<&'static DeviceType, Failure> {
    DeviceType::of_section(name).ok_or_else(|| {
        let known: Vec<_> = DEVICES.iter().chain(UNMIGRATABLE).map(|device| device.section).collect();
        not_there(format!("there is no device type {name}; there are {}", known.join(", ")))
    })
}

fn not_there(what: String) -> Failure {
    Failure::NotThere(what)
}
