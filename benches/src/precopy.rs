//! RAM of a guest that stands still, from one machine to another: what that costs each side, against copying it.
//!
//! Each side is a thread, so that the time of its processor can be told from the other's. That time counts, and not
//! what a clock shows: two sides that wait for each other are no faster than the slower one.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use machine::{Host, Machine};
use migration::channel::{Address, Cancel, Listener, Settings};
use migration::event::Summary;
use migration::guest::RunningGuest;
use migration::incoming::Terms;
use migration::outgoing::Limits;
use migration::peer::Peer;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use virtio::transport::TransportKind;

use crate::Failed;
use crate::measured::{Measured, Moved, Row, median};
use crate::random::Random;

const ROUNDS: usize = 5;
const BYTES: u64 = 512 << 20;
/// What RAM is filled with at once.
const CHUNK: usize = 1 << 20;

/// What a guest goes through.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Socket {
    #[default]
    Unix,
    Tcp,
}

/// A machine without devices whose RAM is what `content` gives.
fn machine(bytes: u64, content: &mut dyn Read) -> Result<Host, Failed> {
    let machine = Machine::new(bytes, TransportKind::Mmio)?;
    let mut chunk = vec![0; CHUNK];
    for offset in (0..bytes).step_by(CHUNK) {
        content.read_exact(&mut chunk)?;
        machine.ram().write(offset, &chunk)?;
    }
    Ok(Host::new(machine))
}

/// A machine that waits for a guest with so much RAM. All of it is there, as all of a guest's that has run is.
pub(crate) fn waiting(bytes: u64) -> Result<Host, Failed> {
    machine(bytes, &mut io::repeat(1))
}

/// Moves a guest: what its source says of it, and the time of each side's processor.
pub(crate) fn hop(
    from: &dyn RunningGuest,
    to: &Host,
    limits: Limits,
    over: Socket,
) -> Result<(Summary, Moved), Failed> {
    let place = TempDir::with_prefix("vmig-bench-")?;
    let address: Address = match over {
        Socket::Unix => format!("unix:{}", place.path().join("machine").display()).parse()?,
        Socket::Tcp => "tcp:127.0.0.1:0".parse()?,
    };
    let cancel = Cancel::new();
    let settings = Settings { cancel: cancel.clone(), ..Settings::default() };
    let mut listener = Listener::bind(&address, &settings)?;
    let address = listener.address().clone();
    let nothing = |_| {};
    thread::scope(|scope| {
        let arriving = scope.spawn(|| -> Result<f64, String> {
            let peer = Peer::accept(&mut listener, cancel.clone()).map_err(|error| error.to_string())?;
            let started = processor_time();
            migration::arrive(to, peer, Terms::default(), None, &nothing)
                .map_err(|error| error.to_string())?;
            Ok(processor_time() - started)
        });
        let peer = Peer::connect(&address, &settings, cancel.clone())?;
        let (started, clock) = (processor_time(), Instant::now());
        let summary = migration::depart(from, peer, limits, &nothing)?;
        let moved = Moved {
            seconds: clock.elapsed().as_secs_f64(),
            out_cpu: processor_time() - started,
            in_cpu: arriving.join().map_err(|_panic| "the destination is broken")??,
        };
        Ok((summary, moved))
    })
}

/// Seconds that this thread's processor has worked for it.
fn processor_time() -> f64 {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default().as_secs_f64()
}

/// As fast as it goes.
fn unlimited() -> Limits {
    Limits { bandwidth: None, ..Limits::default() }
}

/// Moves a guest whose RAM is a file, once.
pub(crate) fn of_file(file: &Path, over: Socket) -> Result<Moved, Failed> {
    let mut file = File::open(file)?;
    let bytes = file.metadata()?.len();
    let from = machine(bytes, &mut file)?;
    Ok(hop(&from, &waiting(bytes)?, unlimited(), over)?.1)
}

/// Measures it.
pub(crate) fn measure(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    let from = machine(BYTES, &mut Random::default())?;
    let to = waiting(BYTES)?;
    let mut copy = vec![1_u8; usize::try_from(BYTES)?];
    let original = vec![2_u8; copy.len()];
    let (mut copied, mut sent, mut received) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let started = processor_time();
        black_box(&mut copy).copy_from_slice(black_box(&original));
        let took = processor_time() - started;
        let (_, moved) = hop(&from, &to, unlimited(), Socket::Unix)?;
        if round > 0 {
            copied.push(took);
            sent.push(moved.out_cpu);
            received.push(moved.in_cpu);
        }
    }
    let copied = median(copied);
    let note = format!("processor time, {} MiB of random pages, one Unix socket", BYTES >> 20);
    for (what, took) in [("sending RAM", sent), ("receiving it", received)] {
        let row = Row::new("precopy", what, "copying it (memcpy)", median(took) / copied);
        say(Measured::Row(row.note(note.clone())));
    }
    Ok(())
}
