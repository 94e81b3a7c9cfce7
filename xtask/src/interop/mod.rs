//! `cargo xtask interop`: a running guest goes from QEMU through vmig to QEMU, and goes on.
//!
//! The proof is the guest's: it counts beats in its own memory, and checks in each what it wrote to
//! its disks before it was carried. QEMU's word on every virtqueue is compared with vmig's as well.
//! One file for each of vmig's verbs that is tried so ([`Verb`]).

mod check;
mod edit;
mod redact;
mod verify;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::cases::{self, Case};
use crate::machine::beats::Beats;
use crate::machine::command::End;
use crate::machine::{Machine, Site};
use crate::qemu::Qemu;
use crate::truth::DeviceState;
use crate::{tools, truth, workspace};

/// Beats the guest makes before it is carried, and how many more it has to make afterwards.
const BEATS_BEFORE: u64 = 6;
const BEATS_AFTER: u64 = 6;

/// Names of the streams in a case's directory: QEMU's, and the one that vmig made of it.
const FROM_QEMU: &str = "source.mig";
const FROM_VMIG: &str = "vmig.mig";

/// Carry running guests from QEMU through vmig to QEMU.
///
/// For each case: start the guest, let it work its devices, save it, give the stream to vmig, load
/// what vmig wrote, and see what comes of it. Needs `cargo xtask fetch` first; a case whose
/// parts are not there is skipped, and says so. Guests are emulated (TCG); a case takes 10 to 40 seconds.
#[derive(Debug, Args)]
pub(crate) struct Interop {
    /// What vmig does with the stream in the middle
    #[arg(value_enum, default_value = "verify")]
    verb: Verb,

    /// Only this case; may be given again, and may end in * [default: every case]
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,

    /// List the cases and stop
    #[arg(long)]
    list: bool,

    /// Keep the directory of a case that passed (that of one that failed is kept anyway)
    #[arg(long)]
    keep: bool,

    /// Count a skipped case as failed
    #[arg(long)]
    strict: bool,

    /// Copy the stream instead of giving it to vmig: tries the guests and QEMU, proves nothing of vmig
    #[arg(long, conflicts_with = "verb")]
    without_vmig: bool,

    /// The vmig to use [default: the one of this workspace, built first]
    #[arg(long, value_name = "FILE", conflicts_with = "without_vmig")]
    vmig: Option<PathBuf>,
}

/// What vmig does with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Verb {
    /// Decode everything and encode it again; the guest goes on
    Verify,
    /// Change the network device's MAC address; the guest sees the new one, and goes on with it
    Edit,
    /// Blank the guest's data; QEMU loads what is left
    Redact,
    /// Foretell whether a waiting QEMU loads it: one that does, and one that does not
    Check,
}

impl Verb {
    /// Whether there is something to be seen of a case.
    fn tries(self, case: &Case) -> bool {
        self != Self::Edit || edit::is_seen(case)
    }
}

/// How a case ended.
enum Outcome {
    Passed(String),
    Failed(miette::Report),
    Skipped(miette::Report),
}

impl Interop {
    /// Runs the chosen cases; an error unless all passed.
    pub(crate) fn run(&self) -> Result<()> {
        let mut cases = cases::chosen(&self.case)?;
        cases.retain(|case| self.verb.tries(case));
        if cases.is_empty() {
            return Err(miette!("the guests of these cases cannot see what vmig changes"));
        }
        if self.list {
            for case in cases {
                println!("{:28} {} → {}", case.name, case.from.series(), case.to.series());
            }
            return Ok(());
        }
        let vmig = if self.without_vmig { None } else { Some(self.vmig()?) };
        if vmig.is_none() {
            println!(
                "WITHOUT VMIG: streams are copied as they are. This is NOT a proof of anything vmig does."
            );
        }
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for case in cases {
            let start = Instant::now();
            let outcome = self.case(case, vmig.as_deref());
            let seconds = start.elapsed().as_secs();
            match outcome {
                Outcome::Passed(detail) => {
                    passed += 1;
                    let word = if vmig.is_some() { "passed " } else { "carried" };
                    println!("{word} {:28} {detail} ({seconds} s)", case.name);
                }
                Outcome::Failed(error) => {
                    failed += 1;
                    println!("FAILED  {:28} {} ({seconds} s)", case.name, tools::words(&error));
                }
                Outcome::Skipped(reason) => {
                    skipped += 1;
                    println!("SKIPPED {:28} {}", case.name, tools::words(&reason));
                }
            }
        }
        if vmig.is_some() {
            println!("{passed} passed, {failed} failed, {skipped} skipped");
        } else {
            println!("{passed} carried without vmig (no proof), {failed} failed, {skipped} skipped");
        }
        match (failed, skipped) {
            (0, 0) => Ok(()),
            (0, _) if !self.strict && passed > 0 => Ok(()),
            (0, _) => {
                Err(miette!(help = "cargo xtask fetch", "{skipped} cases were skipped (reasons above)"))
            }
            _ => Err(miette!("{failed} cases failed (reasons above)")),
        }
    }

    /// The vmig to use; that of the workspace is built first.
    fn vmig(&self) -> Result<PathBuf> {
        if let Some(vmig) = &self.vmig {
            return vmig.canonicalize().into_diagnostic().wrap_err_with(|| format!("no {}", vmig.display()));
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--release", "--package", "vmig"]).current_dir(workspace::root()?);
        tools::output(&mut build).wrap_err("vmig does not build; --without-vmig tries the guests alone")?;
        Ok(workspace::cargo_target()?.join("release/vmig"))
    }

    fn case(&self, case: &'static Case, vmig: Option<&Path>) -> Outcome {
        let found = Qemu::find(case.from, case.arch())
            .and_then(|from| Ok((from, Qemu::find(case.to, case.arch())?)))
            .and_then(|pair| crate::guest::present(case.arch()).map(|()| pair));
        let (from, to) = match found {
            Ok(pair) => pair,
            Err(reason) => return Outcome::Skipped(reason),
        };
        let dir = match workspace::target() {
            Ok(target) => target.join("interop").join(case.name),
            Err(error) => return Outcome::Failed(error),
        };
        match self.try_out(case, &dir, &from, &to, vmig) {
            Ok(detail) => {
                if !self.keep {
                    // What stays behind is in the way of nothing: the next run empties it.
                    drop(std::fs::remove_dir_all(&dir));
                }
                Outcome::Passed(format!("{} → {}: {detail}", from.version(), to.version()))
            }
            Err(error) => Outcome::Failed(error.wrap_err(format!(
                "{} → {} in {}",
                from.version(),
                to.version(),
                dir.display()
            ))),
        }
    }

    /// Saves the guest of a case, and has vmig and the destination do their part; returns what was seen, in
    /// a few words.
    fn try_out(
        &self,
        case: &'static Case,
        dir: &Path,
        from: &Qemu,
        to: &Qemu,
        vmig: Option<&Path>,
    ) -> Result<String> {
        let site = Site::new(case, dir, from)?;
        let saved = Saved::new(&site, from)?;
        let Some(program) = vmig else {
            std::fs::copy(dir.join(FROM_QEMU), dir.join(FROM_VMIG)).into_diagnostic()?;
            return saved.goes_on(to, |_| Ok(())).map(|after| saved.seen(&after));
        };
        let vmig = Vmig { program, dir };
        match self.verb {
            Verb::Verify => verify::run(&saved, to, vmig),
            Verb::Edit => edit::run(&saved, to, vmig),
            Verb::Redact => redact::run(&saved, to, vmig),
            Verb::Check => check::run(&saved, to, vmig),
        }
    }
}

/// A guest that was saved, as [`FROM_QEMU`].
struct Saved<'a> {
    site: &'a Site,
    /// QEMU's word on the virtqueues of the stopped machine.
    queues: Vec<DeviceState>,
    /// What the guest had done.
    before: Beats,
}

impl<'a> Saved<'a> {
    /// Starts the guest, lets it work, and saves it.
    fn new(site: &'a Site, from: &Qemu) -> Result<Self> {
        let mut source = Machine::start(site, from, End::Source)?;
        source.work_and_stop(BEATS_BEFORE).wrap_err("before it was carried")?;
        let queues = truth::ask(&mut source, site.case)?;
        source.save(FROM_QEMU)?;
        source.quit()?;
        Ok(Self { site, queues, before: site.beats()? })
    }

    /// Loads what vmig wrote, with every queue as it was.
    fn loads(&self, to: &Qemu) -> Result<Machine<'a>> {
        let mut destination = Machine::start(self.site, to, End::Destination(FROM_VMIG))
            .wrap_err("the stream was not loaded")?;
        destination.wait_until_loaded().wrap_err("the stream was not loaded")?;
        let loaded = truth::carried(truth::ask(&mut destination, self.site.case)?);
        no_differences("the destination", &truth::differences(&self.queues, &loaded))?;
        Ok(destination)
    }

    /// Loads what vmig wrote, looks at the machine that stands still, and lets the guest go on.
    fn goes_on(&self, to: &Qemu, look: impl FnOnce(&mut Machine<'_>) -> Result<()>) -> Result<Beats> {
        let mut destination = self.loads(to)?;
        look(&mut destination)?;
        destination.resume()?;
        let wanted = self.before.last + BEATS_AFTER;
        let after = destination.wait_for_beat(wanted).wrap_err("after it was carried")?;
        destination.take_memory_back().wrap_err("after it was carried")?;
        destination.quit()?;
        self.site.check_port(&after)?;
        Ok(after)
    }

    /// What was seen of a guest that went on.
    fn seen(&self, after: &Beats) -> String {
        let count = self.queues.iter().map(|device| device.queues.len()).sum::<usize>();
        let (before, devices) = (self.before.last, &self.before.devices);
        format!("beats {before} + {}, {count} queues, {devices}", after.last - before)
    }
}

/// The vmig that is tried, in the directory of a case.
#[derive(Clone, Copy)]
struct Vmig<'a> {
    program: &'a Path,
    dir: &'a Path,
}

impl Vmig<'_> {
    /// Runs a verb; its standard output. An error if it fails.
    fn run(self, arguments: &[&str]) -> Result<Vec<u8>> {
        tools::output(&mut self.command(arguments)).wrap_err_with(|| format!("vmig {}", arguments.join(" ")))
    }

    fn command(self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(self.dir);
        command
    }
}

fn no_differences(who: &str, differences: &[String]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    Err(miette!("{who} differs from QEMU's word on the stopped machine:\n{}", differences.join("\n")))
}
