//! `cargo xtask interop`: a running guest goes from QEMU through vmig to QEMU, and goes on.
//!
//! The proof is the guest's: it counts beats in its own memory, and checks in each what it wrote to
//! its disks before it was carried. QEMU's word on every virtqueue is compared with vmig's as well.
//! One file for each of vmig's verbs that is tried so ([`Verb`]), and the folder `relay` for those that take
//! part in a live migration.

mod check;
mod edit;
mod redact;
mod relay;
pub(crate) mod tally;
mod verify;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use miette::{IntoDiagnostic, Result, WrapErr, miette};

use self::tally::{Outcome, Tally};
use crate::cases::{self, Case};
use crate::debian::suite::Suite;
use crate::machine::beats::Beats;
use crate::machine::command::End;
use crate::machine::{Machine, Site};
use crate::qemu::Qemu;
use crate::truth::DeviceState;
use crate::{tools, truth, vmig, workspace};

/// Beats the guest makes before it is carried, and how many more it has to make afterwards.
const BEATS_BEFORE: u64 = 6;
const BEATS_AFTER: u64 = 6;

/// Names of the streams in a case's directory: QEMU's, and the one that vmig made of it.
const FROM_QEMU: &str = "source.mig";
const FROM_VMIG: &str = "vmig.mig";

/// Carry running guests from QEMU through vmig to QEMU.
///
/// For each case: start the guest, let it work its devices, save it, give the stream to vmig, load
/// what vmig wrote, and see what comes of it; with `relay` the guest is not saved, and runs while it goes
/// through vmig. Needs `cargo xtask fetch` first; a case whose
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

    /// Copy the stream instead of giving it to vmig (verify), or go past it (relay): tries the guests and QEMU, proves nothing of vmig
    #[arg(long)]
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
    /// Be in the middle of a live migration (relay), or an end of it (receive, send); the guest goes on
    Relay,
}

impl Verb {
    /// Whether there is something to be seen of a case.
    fn tries(self, case: &Case) -> bool {
        self != Self::Edit || edit::is_seen(case)
    }
}

impl Interop {
    /// Runs the chosen cases; an error unless all passed.
    pub(crate) fn run(&self) -> Result<()> {
        if self.without_vmig && !matches!(self.verb, Verb::Verify | Verb::Relay) {
            return Err(miette!(
                "--without-vmig carries guests only; nothing is there to be tried of {:?}",
                self.verb
            ));
        }
        if self.verb == Verb::Relay {
            return self.relay();
        }
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
        let (vmig, mut tally) = self.start(cases.iter().map(|case| case.name))?;
        for case in cases {
            tally.case(case.name, || {
                self.attempt(case.name, case, &[case.from, case.to], |dir, qemus| match qemus {
                    [from, to] => self.try_out(case, dir, from, to, vmig.as_deref()),
                    other => Err(miette!("two QEMUs were expected, found {}", other.len())),
                })
            });
        }
        tally.finish(self.strict)
    }

    /// Runs the chosen cases of guests that run while they are carried.
    fn relay(&self) -> Result<()> {
        let routes = relay::chosen(&self.case)?;
        if self.list {
            for route in routes {
                let path = route.path()?;
                let hosts: Vec<_> = path.iter().map(|suite| suite.series()).collect();
                println!("{:52} {}", route.name(), hosts.join(" → "));
            }
            return Ok(());
        }
        let names: Vec<_> = routes.iter().map(|route| route.name()).collect();
        let (vmig, mut tally) = self.start(names.iter().map(String::as_str))?;
        for (route, name) in routes.into_iter().zip(&names) {
            let (case, path) = (route.case()?, route.path()?);
            tally.case(name, || {
                if vmig.is_none() && !route.is_without_vmig() {
                    return Outcome::Skipped(miette!("nothing would be left of it without vmig"));
                }
                self.attempt(name, case, &path, |dir, qemus| {
                    relay::run(route, case, dir, qemus, vmig.as_deref())
                })
            });
        }
        // Whoever asks for these wants every one of them.
        tally.finish(true)
    }

    /// The vmig that is tried, if one is, and that nothing has come of it yet.
    fn start<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<(Option<PathBuf>, Tally)> {
        if self.without_vmig {
            println!("WITHOUT VMIG: guests go as they are. This is NOT a proof of anything vmig does.");
            return Ok((None, Tally::new(false, names)));
        }
        let program = vmig::program(self.vmig.as_deref())
            .wrap_err("there is no vmig to try; --without-vmig tries the guests alone")?;
        Ok((Some(program), Tally::new(true, names)))
    }

    /// Tries a case in a directory of its own, with the QEMUs that it needs, if they are there.
    fn attempt(
        &self,
        name: &str,
        case: &Case,
        suites: &[Suite],
        try_out: impl FnOnce(&Path, &[Qemu]) -> Result<String>,
    ) -> Outcome {
        let find = |suite: &Suite| Qemu::find(*suite, case.arch());
        let found = crate::guest::present(case.arch()).and_then(|()| suites.iter().map(find).collect());
        let qemus: Vec<Qemu> = match found {
            Ok(qemus) => qemus,
            Err(reason) => return Outcome::Skipped(reason),
        };
        let dir = match workspace::target() {
            Ok(target) => target.join("interop").join(name),
            Err(error) => return Outcome::Failed(error),
        };
        let hosts = qemus.iter().map(Qemu::version).collect::<Vec<_>>().join(" → ");
        match try_out(&dir, &qemus) {
            Ok(detail) => {
                if !self.keep {
                    // What stays behind is in the way of nothing: the next run empties it.
                    drop(std::fs::remove_dir_all(&dir));
                }
                Outcome::Passed(format!("{hosts}: {detail}"))
            }
            Err(error) => Outcome::Failed(error.wrap_err(format!("{hosts} in {}", dir.display()))),
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
            Verb::Relay => Err(miette!("its guests are not saved")),
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
