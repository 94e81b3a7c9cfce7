//! What happens in a demonstration, in order.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use machine::Proof;
use machine::guest::Report;
use serde::Serialize;
use serde_json::Value;
use virtio::device::disk::FileDisk;

use super::process::Process;
use super::protocol::{Order, Setting};
use super::show::Show;
use super::world::{DISK, World, targets};
use crate::verb::{Failure, Outcome};

/// Bytes of the disk.
const DISK_BYTES: u64 = 64 << 20;
/// How long a host may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take until the world has seen what there is to be seen; machines can be busy.
const SEEN: Duration = Duration::from_secs(10);

/// When something happens to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// The destination is killed before RAM goes
    Setup,
    /// The destination is killed while RAM goes
    Active,
    /// The destination is killed while the guest is stopped
    Device,
    /// The source is killed after the destination has acknowledged
    Completed,
}

/// A demonstration.
#[derive(Debug)]
pub(crate) struct Play<'a> {
    pub(crate) setting: Setting,
    pub(crate) hops: u32,
    /// By post-copy, and once more by pre-copy.
    pub(crate) postcopy: bool,
    pub(crate) fault: Option<Fault>,
    pub(crate) bandwidth: Option<u64>,
    /// How long the guest works between two moves.
    pub(crate) work: Duration,
    /// Where the stream of the last move is kept.
    pub(crate) output: &'a Path,
    pub(crate) json: bool,
}

/// How it ended.
#[derive(Debug, Serialize)]
#[serde(tag = "word", rename = "proof")]
pub(super) struct Ended {
    /// Moves that were made.
    pub(super) hops: u32,
    /// What the guest says it did.
    pub(super) report: Report,
    /// What the world saw of it.
    #[serde(flatten)]
    pub(super) proof: Proof,
    /// How long all of it took, in seconds.
    pub(super) seconds: f64,
}

/// What became of an attempt to move the guest.
enum Moved {
    There(Box<Process>),
    /// It did not move: the destination is gone.
    Here,
}

impl Play<'_> {
    pub(crate) fn run(&self) -> Outcome {
        let ended = self.play().map_err(|error| Failure::NotThere(format!("the demonstration: {error}")))?;
        Ok(if ended.proof.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn play(&self) -> io::Result<Ended> {
        let started = Instant::now();
        let place = tempfile::TempDir::with_prefix("vmig-demo-")?;
        let world = World::new(place.path(), DISK_BYTES)?;
        let mut show = Show::new(self.json);
        let mut host = Process::start(&world, "host-0", &self.setting, true, None)?;
        let ready = await_word(&host, &mut show, |word| is(word, "ready"))?;
        show.begins(&self.setting, ready.get("queues").and_then(Value::as_u64).unwrap_or_default());
        let mut number = 0;
        let hops = self.hops + u32::from(self.postcopy);
        for hop in 1..=hops {
            let postcopy = self.postcopy && hop < hops;
            sleep(self.work);
            let mut fault = self.fault.filter(|_| hop == 1);
            loop {
                number += 1;
                let keep = (hop == hops).then_some(self.output);
                let next = Process::start(&world, &format!("host-{number}"), &self.setting, false, keep)?;
                show.moves(hop, &host.name, &next.name, postcopy);
                match self.hop(&mut host, next, postcopy, fault.take(), &mut show)? {
                    Moved::There(next) => {
                        host = *next;
                        break;
                    }
                    Moved::Here => {
                        let before = world.console().len();
                        let goes_on = in_time(|| world.console().len() > before);
                        show.stays(&host.name, goes_on);
                    }
                }
            }
        }
        sleep(self.work);
        show.compares();
        let ended = self.end(hops, &mut host, &world, &mut show, started)?;
        show.ends(&ended, self.output);
        Ok(ended)
    }

    /// Moves the guest once, or tries to.
    fn hop(
        &self,
        from: &mut Process,
        mut to: Process,
        postcopy: bool,
        fault: Option<Fault>,
        show: &mut Show,
    ) -> io::Result<Moved> {
        let listening = await_word(&to, show, |word| is(word, "listening"))?;
        let channel = listening.get("channel").and_then(Value::as_str).unwrap_or_default().to_owned();
        let rest = fault.and_then(Fault::state).map(str::to_owned);
        from.order(&Order::Depart { to: channel, bandwidth: self.bandwidth, postcopy, rest: rest.clone() })?;
        let mut has_gone = false;
        if let Some(rest) = rest {
            await_word(from, show, |word| is_in(word, &rest))?;
            show.happens(&format!("{} is killed in state {rest}", to.name));
            to.kill()?;
        } else {
            // Both sides are heard as they come.
            let mut has_come = false;
            while !(has_gone && has_come) {
                if let Some(word) = from.word(Duration::from_millis(5))? {
                    show.heard(&from.name, &word);
                    has_gone |= is(&word, "moved");
                    if is(&word, "failed") && !has_come {
                        // The other side may know better why.
                        give_up(&await_word(&to, show, |word| is(word, "failed") || is(word, "moved"))?)?;
                    }
                    give_up(&word)?;
                }
                while let Some(word) = to.word(Duration::ZERO)? {
                    show.heard(&to.name, &word);
                    has_come |= is(&word, "moved");
                    give_up(&word)?;
                }
            }
        }
        if fault == Some(Fault::Completed) {
            show.happens(&format!("{} is killed", from.name));
            from.kill()?;
        }
        if has_gone {
            return Ok(Moved::There(Box::new(to)));
        }
        let ended = await_word(from, show, |word| is(word, "failed") || is(word, "moved"))?;
        if is(&ended, "moved") {
            return Err(io::Error::other(format!(
                "{} says it moved the guest to a host that is dead",
                from.name
            )));
        }
        Ok(Moved::Here)
    }

    /// Stops the guest, and compares what it says with what the world saw.
    fn end(
        &self,
        hops: u32,
        host: &mut Process,
        world: &World,
        show: &mut Show,
        started: Instant,
    ) -> io::Result<Ended> {
        host.order(&Order::Report)?;
        let word = await_word(host, show, |word| is(word, "report"))?;
        let report: Report = serde_json::from_value(word.get("report").cloned().unwrap_or_default())?;
        let bad_pages = word.get("bad_pages").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let mut disk = FileDisk::new(std::fs::File::open(world.dir().join(DISK))?, true)?;
        let mut targets = targets(world.dir(), true)?;
        let mut proof = Proof::default();
        // The console's end may have more to read.
        in_time(|| match Proof::of(&report, &mut disk, &mut targets, &world.console()) {
            Ok(found) => {
                proof = found;
                proof.problems.is_empty()
            }
            Err(error) => {
                proof.problems = vec![format!("a disk image cannot be read: {error}")];
                false
            }
        });
        if bad_pages > 0 {
            proof.problems.push(format!("{bad_pages} pages do not hold what was last written to them"));
        }
        let broken = word.get("broken").and_then(Value::as_array).cloned().unwrap_or_default();
        proof.problems.extend(broken.iter().filter_map(Value::as_str).map(str::to_owned));
        Ok(Ended { hops, report, proof, seconds: started.elapsed().as_secs_f64() })
    }
}

impl Fault {
    /// The state in which the destination is killed.
    fn state(self) -> Option<&'static str> {
        match self {
            Self::Setup => Some("setup"),
            Self::Active => Some("active"),
            Self::Device => Some("device"),
            Self::Completed => None,
        }
    }
}

/// Waits until something is so; whether it was in time.
fn in_time(mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > SEEN {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
    true
}

fn is(word: &Value, kind: &str) -> bool {
    word.get("word").and_then(Value::as_str) == Some(kind)
}

fn is_in(word: &Value, state: &str) -> bool {
    is(word, "migration")
        && word.get("event").and_then(Value::as_str) == Some("state")
        && word.get("state").and_then(Value::as_str) == Some(state)
}

/// A migration that failed where none should.
fn give_up(word: &Value) -> io::Result<()> {
    match is(word, "failed") {
        true => Err(io::Error::other(word.get("error").and_then(Value::as_str).unwrap_or_default())),
        false => Ok(()),
    }
}

/// Waits for a word; all others are shown.
fn await_word(host: &Process, show: &mut Show, wanted: impl Fn(&Value) -> bool) -> io::Result<Value> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(word) = host.word(PATIENCE.saturating_sub(started.elapsed()))? {
            show.heard(&host.name, &word);
            if wanted(&word) {
                return Ok(word);
            }
        }
    }
    Err(io::Error::other(format!("{} has said nothing for {} s", host.name, PATIENCE.as_secs())))
}
