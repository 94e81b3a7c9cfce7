//! One row: the guest is taken up, migrates through vmig, something breaks, and then everybody is asked.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::damage::{self, Damage};
use super::seed::Seed;
use super::table::{Fault, Moment, Row};
use crate::cases::{Case, Device};
use crate::machine::command::{End, Shape};
use crate::machine::live::{Doing, Ended, Terms};
use crate::machine::{Machine, Site};
use crate::qemu::Qemu;
use crate::qemu::qmp::text;
use crate::vmig::{self, Live};
use crate::workspace;

/// How long the relay rests at the moment, in seconds: long enough for the fault.
const PAUSE: &str = "2";

/// Seconds that the relay waits for a silent peer.
const TIMEOUT: &str = "4";

/// Limits on waiting.
const TO_STEP: Duration = Duration::from_secs(60);
const TO_END: Duration = Duration::from_secs(90);

/// How long both sides have to stay as they are to be taken as settled.
const SETTLED: Duration = Duration::from_millis(1500);

/// Bytes in a second: the guest beats on its way.
const BANDWIDTH: u64 = 40 << 20;

/// The directory, in that of the row, that is a disk with little room.
const SMALL_DISK: &str = "small";

/// Beats that the guest makes after it all.
const BEATS: u64 = 3;

/// What came of a row.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) runs: Runs,
    /// How vmig ended.
    pub(super) vmig: String,
    /// What it said of it.
    error: String,
    beats: u64,
}

/// Who runs the guest in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    Source,
    Destination,
    /// Its own host was killed.
    Lost,
}

impl Runs {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Lost => "nobody: lost with its host",
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} beats; vmig {}", self.runs.words(), self.beats, self.vmig)?;
        if self.error.is_empty() { Ok(()) } else { write!(f, ": {}", self.error) }
    }
}

/// Runs a row.
pub(super) fn run(
    row: &Row,
    seed: &Seed,
    dir: &Path,
    [from, to]: [&Qemu; 2],
    program: &Path,
) -> Result<Seen> {
    let site = seed.plant(dir, from)?;
    let sockets = TempDir::with_prefix("vmig-").into_diagnostic()?;
    let socket = |name: &str| format!("unix:{}", sockets.path().join(name).display());

    let mut source = Seed::take_up(&site, from).wrap_err("before it was carried")?;
    let mut destination = Machine::start(&site, to, End::Hop(1, shape(row)))?;
    let waits = destination.wait_at(&socket("out"), Terms::default())?;
    let mut command = relay(row, program, &socket("in"), &waits, &site)?;
    let mut relay = Live::start(&mut command, dir, "relay")?;
    let mut address = relay.listening(TO_STEP)?;
    if row.fault == Fault::Damaged {
        damage::between(
            &sockets.path().join("damaged"),
            &sockets.path().join("in"),
            damage_at(row.moment, site.case)?,
        )?;
        address = socket("damaged");
    }
    source.send_to(&address, Terms { bandwidth: Some(BANDWIDTH), ..Terms::default() })?;
    if is_at_a_pause(row) {
        let side = if row.moment.is_out() { "out" } else { "in" };
        let is_it = |event: &Value| {
            text(event, "event") == "state"
                && text(event, "side") == side
                && text(event, "state") == row.moment.state()
        };
        relay.wait_for(row.moment.words(), TO_STEP, is_it)?;
        inject(row.fault, &mut source, &mut destination, &mut relay)?;
    }
    let ended = relay.end(TO_END)?;
    match row.fault {
        Fault::SourceSilent => source.signal(Signal::CONT)?,
        Fault::DestinationSilent => destination.signal(Signal::CONT)?,
        _ => {}
    }
    let left = source.wait_for_end(TO_END)?;
    judge(row, &site, &mut source, &mut destination, &left, &ended)
        .wrap_err_with(|| format!("vmig {}: {}; the source: {left:?}", how(&ended), ended.said))
}

/// What the destination is like.
fn shape(row: &Row) -> Shape {
    match (row.fault, row.moment) {
        (Fault::Refused, Moment::Setup) => Shape::OtherMachine,
        (Fault::Refused, _) => Shape::LacksEventIdx,
        _ => Shape::Same,
    }
}

/// Whether the fault comes at a moment that the relay rests at; the others are there from the start.
fn is_at_a_pause(row: &Row) -> bool {
    !matches!(row.fault, Fault::Damaged | Fault::Refused | Fault::DiskFull)
}

fn relay(row: &Row, program: &Path, listen: &str, connect: &str, site: &Site) -> Result<Command> {
    let mut command = match row.fault {
        Fault::DiskFull => on_a_full_disk(program, &site.dir)?,
        _ => Command::new(program),
    };
    command.args(["relay", "--json", listen, connect, "--mode", row.mode.name()]);
    if is_at_a_pause(row) {
        command.args(["--pause", &format!("{}={PAUSE}", row.moment.state())]);
    }
    match row.fault {
        Fault::SourceSilent | Fault::DestinationSilent => {
            command.args(["--timeout", TIMEOUT]);
        }
        Fault::DiskFull => {
            command.args(["--save", &format!("{SMALL_DISK}/guest.mig")]);
        }
        _ => {}
    }
    Ok(command)
}

/// Runs a program where a directory is a disk that has little room: in a namespace of mounts of
/// its own, which needs no privileges on most hosts. The process stays the same.
fn on_a_full_disk(program: &Path, dir: &Path) -> Result<Command> {
    workspace::create_dir(&dir.join(SMALL_DISK))?;
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=256k small {SMALL_DISK} && exec \"$@\"");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(program);
    Ok(command)
}

/// What is damaged. No checksum is over guest memory, so it is what lies around that.
fn damage_at(moment: Moment, case: &Case) -> Result<Damage> {
    match moment {
        Moment::Setup => Ok(Damage { after: String::new(), range: 0..4 }),
        // Longer than a page, so that the header of one is in it.
        Moment::Active => Ok(Damage { after: String::new(), range: 1 << 20..(1 << 20) + 8192 }),
        Moment::Device => {
            let position = case.devices.iter().position(|device| *device == Device::Blk);
            let position = position.ok_or_else(|| miette!("the machine was expected to have a disk"))?;
            Ok(Damage { after: format!("{}/virtio-blk", case.path(position)), range: 0..64 })
        }
        other => Err(miette!("nothing is on its way in at {other:?}")),
    }
}

fn inject(
    fault: Fault,
    source: &mut Machine<'_>,
    destination: &mut Machine<'_>,
    relay: &mut Live,
) -> Result<()> {
    match fault {
        Fault::SourceKilled => source.signal(Signal::KILL),
        Fault::DestinationKilled => destination.signal(Signal::KILL),
        Fault::RelayKilled => relay.signal(Signal::KILL),
        Fault::Cancelled => relay.signal(Signal::INT),
        Fault::SourceSilent => source.signal(Signal::STOP),
        Fault::DestinationSilent => destination.signal(Signal::STOP),
        Fault::Damaged | Fault::Refused | Fault::DiskFull => Ok(()),
    }
}

/// Asks both sides who runs the guest, and sees that it goes on there, and only there.
fn judge(
    row: &Row,
    site: &Site,
    source: &mut Machine<'_>,
    destination: &mut Machine<'_>,
    left: &Ended,
    ended: &vmig::Ended,
) -> Result<Seen> {
    let sides = settle(source, destination)?;
    let runs = match &sides {
        [Doing::Running, Doing::Running] => return Err(miette!("BOTH sides run the guest")),
        [Doing::Running, _] => Runs::Source,
        // It went on with the guest, until it wrote to a disk that the destination has locked.
        [Doing::Gone, other] if row.fault != Fault::SourceKilled => {
            return Err(miette!("the source's QEMU ended by itself, the destination is {other:?}"));
        }
        [_, Doing::Running] => Runs::Destination,
        [Doing::Gone, _] if row.fault == Fault::SourceKilled => Runs::Lost,
        [_, Doing::Gone] if row.fault == Fault::DestinationKilled && has_acknowledged(row.moment) => {
            Runs::Lost
        }
        other => return Err(miette!("nobody runs the guest: {other:?}")),
    };
    if !is_at_a_pause(row) && runs != Runs::Source {
        return Err(miette!("the fault was expected to be noticed, {} runs the guest", runs.words()));
    }
    match (runs, left) {
        (Runs::Source, Ended::Completed { .. }) => {
            return Err(miette!("the source runs a guest that it says it has let go"));
        }
        (Runs::Destination, Ended::GivenUp(_)) if ended.status.success() => {
            return Err(miette!("vmig says all went well, and the source does not know"));
        }
        (Runs::Source, _) if ended.status.success() => {
            return Err(miette!("vmig says that the guest is at the destination"));
        }
        // A script that believes it would start the guest a second time.
        (Runs::Destination, _) if ended.status.code().is_some_and(|code| code != 0) => {
            return Err(miette!("vmig says that the guest is not at the destination"));
        }
        _ => {}
    }
    let beats = site.beats()?.last;
    match runs {
        Runs::Source => drop(source.wait_for_beat(beats + BEATS)?),
        Runs::Destination => drop(destination.wait_for_beat(beats + BEATS)?),
        Runs::Lost => {}
    }
    let now = [source.doing()?, destination.doing()?];
    if now != sides {
        return Err(miette!("the sides were {sides:?}, and became {now:?}"));
    }
    let after = site.beats()?;
    site.check_port(&after)?;
    let failed = ended.last("failed").map(|event| text(event, "error").to_owned());
    Ok(Seen { runs, vmig: how(ended), error: failed.unwrap_or_default(), beats: after.last })
}

/// Whether the destination has the guest at a moment.
fn has_acknowledged(moment: Moment) -> bool {
    matches!(moment, Moment::CompletedOut | Moment::Completed)
}

/// Waits until both sides stay as they are.
fn settle(source: &mut Machine<'_>, destination: &mut Machine<'_>) -> Result<[Doing; 2]> {
    let start = Instant::now();
    let mut since = start;
    let mut sides = [source.doing()?, destination.doing()?];
    while since.elapsed() < SETTLED {
        if start.elapsed() > TO_STEP {
            return Err(miette!("both sides were expected to settle, they are {sides:?}"));
        }
        sleep(Duration::from_millis(100));
        let now = [source.doing()?, destination.doing()?];
        if now != sides {
            (sides, since) = (now, Instant::now());
        }
    }
    Ok(sides)
}

/// How vmig ended, in words that are the same each time.
fn how(ended: &vmig::Ended) -> String {
    let Some(code) = ended.status.code() else { return "killed".to_owned() };
    match ended.last("failed") {
        Some(event) => {
            let side = match text(event, "side") {
                "in" => ", from the source",
                "out" => ", to the destination",
                _ => "",
            };
            format!("exit {code}, failed in `{}`{side}", text(event, "state"))
        }
        None => format!("exit {code}"),
    }
}
