//! A guest with random RAM goes from end to end: QEMU and vmig at either.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::Value;
use tempfile::TempDir;

use super::median;
use super::still::Still;
use crate::debian::suite::{Arch, Suite};
use crate::qemu::Qemu;
use crate::vmig::{self, Live as Verb};

const TO_LISTEN: Duration = Duration::from_secs(20);
const TO_END: Duration = Duration::from_secs(180);

/// Move a guest with random RAM: QEMU to QEMU, QEMU to `vmig receive`, `vmig send` to QEMU, `vmig send` to `vmig
/// receive`; and straight through `vmig relay --mode stream`, with the memory that takes
///
/// Over one channel, a Unix socket and TCP on this host. The guest stands still, so that every run moves the same
/// bytes. Needs `cargo xtask fetch` first.
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// MiB of RAM
    #[arg(long, default_value_t = 1024)]
    size: u64,
    /// Runs of each
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Where files go: a file system in memory, so that no disk is measured
    #[arg(long, default_value = "/dev/shm")]
    dir: PathBuf,
    /// The vmig to use [default: the one of this workspace, built first]
    #[arg(long, value_name = "FILE")]
    vmig: Option<PathBuf>,
}

/// What is at either end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    QemuToQemu,
    QemuToVmig,
    VmigToQemu,
    VmigToVmig,
    Relay,
}

const WAYS: [Way; 5] = [Way::QemuToQemu, Way::QemuToVmig, Way::VmigToQemu, Way::VmigToVmig, Way::Relay];

impl Way {
    fn words(self) -> &'static str {
        match self {
            Self::QemuToQemu => "QEMU → QEMU",
            Self::QemuToVmig => "QEMU → vmig receive",
            Self::VmigToQemu => "vmig send → QEMU",
            Self::VmigToVmig => "vmig send → vmig receive",
            Self::Relay => "QEMU → vmig relay --mode stream → QEMU",
        }
    }
}

/// Where it all happens.
struct Bench<'a> {
    qemu: Qemu,
    vmig: PathBuf,
    dir: &'a Path,
    bytes: u64,
    ram: PathBuf,
    stream: PathBuf,
}

impl Live {
    pub(super) fn run(&self) -> Result<()> {
        let place = TempDir::with_prefix_in("vmig-bench-", &self.dir).into_diagnostic();
        let place = place.wrap_err_with(|| format!("no room for files in {}", self.dir.display()))?;
        let dir = place.path();
        let bench = Bench {
            qemu: Qemu::find(Suite::Trixie, Arch::X86_64)?,
            vmig: vmig::program(self.vmig.as_deref())?,
            dir,
            bytes: self.size << 20,
            ram: dir.join("ram"),
            stream: dir.join("guest.mig"),
        };
        random(&bench.ram, bench.bytes)?;
        println!(
            "{} MiB of random RAM, QEMU {}, median of {} runs taken in turn",
            self.size,
            bench.qemu.version(),
            self.runs
        );
        println!("{:46} {:>10} {:>12} {:>8} {:>10}", "", "seconds", "MiB/s", "ratio", "memory");
        for channel in ["unix", "tcp"] {
            let mut seconds = WAYS.map(|_| Vec::new());
            let mut memory = 0;
            for _ in 0..self.runs {
                for (way, seconds) in WAYS.into_iter().zip(&mut seconds) {
                    let (took, peak) = bench.go(way, channel).wrap_err(way.words())?;
                    seconds.push(took.as_secs_f64());
                    memory = memory.max(if way == Way::Relay { peak } else { 0 });
                }
            }
            let medians = seconds.map(median);
            let [qemu, ..] = medians;
            for (way, took) in WAYS.into_iter().zip(medians) {
                let rate = f64::from(u32::try_from(self.size).unwrap_or(u32::MAX)) / took;
                let memory = if way == Way::Relay { format!("{memory} KiB") } else { String::new() };
                let name = format!("{channel}: {}", way.words());
                println!("{name:46} {took:>10.3} {rate:>12.0} {:>8.2} {memory:>10}", qemu / took);
            }
        }
        Ok(())
    }
}

impl Bench<'_> {
    /// One run: how long it took, and the most memory that vmig had, in KiB.
    fn go(&self, way: Way, channel: &str) -> Result<(Duration, u64)> {
        let address = |name: &str| match channel {
            "unix" => Ok(format!("unix:{}", self.dir.join(name).display())),
            _ => free_port().map(|port| format!("tcp:127.0.0.1:{port}")),
        };
        let (first, second) = (address("in.sock")?, address("out.sock")?);
        match way {
            Way::QemuToQemu => {
                let mut to = self.waiting("to")?;
                to.wait_at(&first)?;
                Ok((self.source()?.send_to(&first)?, 0))
            }
            Way::QemuToVmig => {
                let to = self.receive(&first, &self.stream)?;
                let took = self.source()?.send_to(&first)?;
                to.end(TO_END)?.well()?;
                Ok((took, 0))
            }
            Way::VmigToQemu => {
                let mut to = self.waiting("to")?;
                to.wait_at(&first)?;
                Ok((self.send(&first)?, 0))
            }
            Way::VmigToVmig => {
                let to = self.receive(&first, &self.dir.join("again.mig"))?;
                let took = self.send(&first)?;
                to.end(TO_END)?.well()?;
                Ok((took, 0))
            }
            Way::Relay => {
                let mut to = self.waiting("to")?;
                to.wait_at(&second)?;
                let mut command = self.verb("relay");
                command.args([&first, &second, "--mode", "stream"]);
                let mut relay = Verb::start(&mut command, self.dir, "relay")?;
                relay.listening(TO_LISTEN)?;
                let peak = relay.peak_memory();
                let took = self.source()?.send_to(&first)?;
                relay.end(TO_END)?.well()?;
                let peak = peak.join().map_err(|_panic| miette!("the memory of vmig was not seen"))?;
                Ok((took, peak))
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
