//! A guest with random RAM goes from end to end, QEMU and vmig at either; against QEMU to QEMU.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::Value;
use tempfile::TempDir;

use super::measured::{Measured, Row, median};
use super::ours;
use super::still::Still;
use crate::debian::suite::{Arch, Suite};
use crate::qemu::Qemu;
use crate::vmig::{self, Live as Verb};

const TO_LISTEN: Duration = Duration::from_secs(20);
const TO_END: Duration = Duration::from_secs(180);

/// A guest with random RAM that stands still, so that every run moves the same bytes, over one channel of this host.
/// Needs `cargo xtask fetch` first.
#[derive(Debug, Args)]
pub(super) struct LiveOptions {
    /// live: MiB of RAM
    #[arg(long, default_value_t = 1024)]
    size: u64,
    /// live: runs of each
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// live: where files go; a file system in memory, so that no disk is measured
    #[arg(long, default_value = "/dev/shm")]
    dir: PathBuf,
}

/// What is at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    QemuToQemu,
    QemuToVmig,
    VmigToQemu,
    VmigToVmig,
    Relay,
    /// Two machines of crate `machine`: memory to memory, as QEMU to QEMU.
    Machines,
}

/// QEMU to QEMU, which all are compared with, comes first.
const WAYS: [Way; 6] =
    [Way::QemuToQemu, Way::QemuToVmig, Way::VmigToQemu, Way::VmigToVmig, Way::Relay, Way::Machines];

impl Way {
    fn words(self) -> &'static str {
        match self {
            Self::QemuToQemu => "QEMU → QEMU",
            Self::QemuToVmig => "QEMU → `vmig receive --mapped-ram`",
            Self::VmigToQemu => "`vmig send` → QEMU",
            Self::VmigToVmig => "`vmig send` → `vmig receive --mapped-ram`",
            Self::Relay => "QEMU → `vmig relay --mode stream` → QEMU",
            Self::Machines => "machine → machine",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    /// How long it took.
    seconds: f64,
    /// Processor time of source and destination, in seconds, of those whose RAM is memory.
    processor: Option<[f64; 2]>,
    /// The most memory that a relay had, in KiB.
    memory: u64,
}

/// Where it all happens.
struct Bench<'a> {
    qemu: Qemu,
    vmig: PathBuf,
    ours: PathBuf,
    dir: &'a Path,
    bytes: u64,
    ram: PathBuf,
    stream: PathBuf,
}

impl LiveOptions {
    pub(super) fn measure(&self, vmig: Option<&Path>, say: &mut dyn FnMut(Measured)) -> Result<()> {
        let place = TempDir::with_prefix_in("vmig-bench-", &self.dir).into_diagnostic();
        let place = place.wrap_err_with(|| format!("no room for files in {}", self.dir.display()))?;
        let dir = place.path();
        let bench = Bench {
            qemu: Qemu::find(Suite::Trixie, Arch::X86_64)?,
            vmig: vmig::program(vmig)?,
            ours: ours::program()?,
            dir,
            bytes: self.size << 20,
            ram: dir.join("ram"),
            stream: dir.join("guest.mig"),
        };
        random(&bench.ram, bench.bytes)?;
        let what = format!("{} MiB of random RAM, QEMU {}", self.size, bench.qemu.version());
        for channel in ["unix", "tcp"] {
            let mut runs = WAYS.map(|_| Vec::new());
            for _ in 0..self.runs {
                for (way, runs) in WAYS.into_iter().zip(&mut runs) {
                    runs.push(bench.go(way, channel).wrap_err(way.words())?);
                }
            }
            let [qemu, ..] = &runs;
            for (way, runs) in WAYS.iter().zip(&runs).skip(1) {
                report(*way, channel, runs, qemu, &what, say);
            }
        }
        Ok(())
    }
}

/// What came of the runs of a way, against those of QEMU to QEMU.
fn report(way: Way, channel: &str, runs: &[Run], qemu: &[Run], what: &str, say: &mut dyn FnMut(Measured)) {
    let against = Way::QemuToQemu.words();
    let ratio = |of: &dyn Fn(&Run) -> f64| {
        let of = |runs: &[Run]| median(runs.iter().map(of).collect());
        of(runs) / of(qemu)
    };
    let name = format!("{}, {channel}", way.words());
    let memory = runs.iter().map(|run| run.memory).max().unwrap_or_default();
    let note = if memory > 0 { format!("{what}; {} MiB of memory", memory >> 10) } else { what.to_owned() };
    let row = Row::new("live", &name, against, ratio(&|run| run.seconds)).note(note);
    say(Measured::Row(if way == Way::VmigToVmig { row.aim(0.5) } else { row }));
    if runs.iter().all(|run| run.processor.is_some()) {
        for (side, words) in ["the source", "the destination"].into_iter().enumerate() {
            let of = |run: &Run| run.processor.and_then(|both| both.get(side).copied()).unwrap_or(f64::NAN);
            let name = format!("{name}: processor time of {words}");
            say(Measured::Row(Row::new("live", &name, against, ratio(&of)).note(what)));
        }
    }
}

impl Bench<'_> {
    fn go(&self, way: Way, channel: &str) -> Result<Run> {
        let address = |name: &str| match channel {
            "unix" => Ok(format!("unix:{}", self.dir.join(name).display())),
            _ => free_port().map(|port| format!("tcp:127.0.0.1:{port}")),
        };
        let (first, second) = (address("in.sock")?, address("out.sock")?);
        let took = |seconds: Duration| Run { seconds: seconds.as_secs_f64(), ..Run::default() };
        match way {
            Way::QemuToQemu => {
                let mut to = self.waiting("to")?;
                to.wait_at(&first)?;
                let mut from = self.source()?;
                let before = [from.processor_time()?, to.processor_time()?];
                let run = took(from.send_to(&first)?);
                let [out, into] = before;
                let processor = [from.processor_time()? - out, to.processor_time()? - into];
                Ok(Run { processor: Some(processor), ..run })
            }
            Way::QemuToVmig => {
                let to = self.receive(&first, &self.stream)?;
                let run = took(self.source()?.send_to(&first)?);
                to.end(TO_END)?.well()?;
                Ok(run)
            }
            Way::VmigToQemu => {
                let mut to = self.waiting("to")?;
                to.wait_at(&first)?;
                Ok(took(self.send(&first)?))
            }
            Way::VmigToVmig => {
                let to = self.receive(&first, &self.dir.join("again.mig"))?;
                let run = took(self.send(&first)?);
                to.end(TO_END)?.well()?;
                Ok(run)
            }
            Way::Relay => {
                let mut to = self.waiting("to")?;
                to.wait_at(&second)?;
                let mut command = self.verb("relay");
                command.args([&first, &second, "--mode", "stream"]);
                let mut relay = Verb::start(&mut command, self.dir, "relay")?;
                relay.listening(TO_LISTEN)?;
                let peak = relay.peak_memory();
                let run = took(self.source()?.send_to(&first)?);
                relay.end(TO_END)?.well()?;
                let memory = peak.join().map_err(|_panic| miette!("the memory of vmig was not seen"))?;
                Ok(Run { memory, ..run })
            }
            Way::Machines => {
                let moved = ours::moved(&self.ours, &self.ram, channel)?;
                let processor = Some([moved.out_cpu, moved.in_cpu]);
                Ok(Run { seconds: moved.seconds, processor, memory: 0 })
            }
        }
    }

    fn source(&self) -> Result<Still> {
        Still::start(&self.qemu, self.dir, "from", Some(&self.ram), self.bytes)
    }

    fn waiting(&self, name: &str) -> Result<Still> {
        Still::start(&self.qemu, self.dir, name, None, self.bytes)
    }

    fn verb(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.vmig);
        command.args([verb, "--json"]);
        command
    }

    fn receive(&self, address: &str, file: &Path) -> Result<Verb> {
        let mut command = self.verb("receive");
        // Each page at its own place, as in the memory of a QEMU.
        command.arg(address).arg("-o").arg(file).arg("--mapped-ram");
        let mut verb = Verb::start(&mut command, self.dir, "receive")?;
        verb.listening(TO_LISTEN)?;
        Ok(verb)
    }

    fn send(&self, address: &str) -> Result<Duration> {
        let mut command = self.verb("send");
        command.arg(&self.stream).arg(address);
        let ended = Verb::start(&mut command, self.dir, "send")?.end(TO_END)?.well()?;
        let summary = ended.last("summary").ok_or_else(|| miette!("vmig send printed no summary"))?;
        let total = summary.pointer("/total").and_then(Value::as_f64);
        total.map(Duration::from_secs_f64).ok_or_else(|| miette!("no total in {summary}"))
    }
}

/// A file with random bytes.
fn random(path: &Path, bytes: u64) -> Result<()> {
    let mut source = std::fs::File::open("/dev/urandom").into_diagnostic()?.take(bytes);
    let mut file = std::fs::File::create(path).into_diagnostic()?;
    std::io::copy(&mut source, &mut file).into_diagnostic().wrap_err("no room for the guest's RAM")?;
    file.flush().into_diagnostic()
}

/// A port that nobody listens at.
fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").into_diagnostic()?;
    Ok(listener.local_addr().into_diagnostic()?.port())
}
