//! How long a guest stands still that writes while it moves.
//!
//! The link carries so much in a second and no more; the guest writes to a part of what the link carries, each time to
//! another page, so that every write has to go again.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use machine::Host;
use machine::ram::PAGE_SIZE;
use migration::Cause;
use migration::event::Summary;
use migration::guest::{DeviceSection, RunningGuest};
use migration::outgoing::Limits;
use vmstate::ram::Block;
use vmstate::stream::Configuration;

use crate::Failed;
use crate::measured::{Measured, Row, median};
use crate::precopy::{Socket, hop, waiting};

const ROUNDS: usize = 3;
const BYTES: u64 = 256 << 20;
/// What the link carries, in bytes a second.
const LINK: u64 = 256 << 20;
/// How much of that the guest writes, in percent.
const WRITES: [u64; 2] = [25, 100];
/// How often the guest looks at the clock.
const MOMENT: Duration = Duration::from_millis(1);

/// A guest that writes as long as it runs.
struct Writing {
    host: Host,
    /// Pages that it writes to in a second, if it is not throttled.
    pages: f64,
    throttle: AtomicU8,
    /// Whether it is to stop, and whether it has.
    stop: AtomicBool,
    stopped: AtomicBool,
}

impl Writing {
    fn new(bytes_a_second: u64) -> Result<Self, Failed> {
        Ok(Self {
            host: waiting(BYTES)?,
            pages: f64::from(u32::try_from(bytes_a_second / PAGE_SIZE)?),
            throttle: AtomicU8::new(0),
            stop: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    /// Writes to one page after the other, until it is stopped.
    fn run(&self) -> io::Result<()> {
        let ram = self.host.machine().ram().clone();
        let (mut due, mut offset, mut last) = (0.0, 0, Instant::now());
        while !self.stop.load(Ordering::Acquire) {
            sleep(MOMENT);
            let share = f64::from(100 - self.throttle.load(Ordering::Relaxed).min(100)) / 100.0;
            due += last.elapsed().as_secs_f64() * share * self.pages;
            last = Instant::now();
            while due >= 1.0 {
                ram.write(offset, &[1; 8])?;
                offset = (offset + PAGE_SIZE) % BYTES;
                due -= 1.0;
            }
        }
        self.stopped.store(true, Ordering::Release);
        Ok(())
    }
}

impl RunningGuest for Writing {
    fn configuration(&self) -> Configuration {
        self.host.configuration()
    }

    fn blocks(&self) -> Vec<Block> {
        RunningGuest::blocks(&self.host)
    }

    fn page_size(&self) -> u64 {
        self.host.page_size()
    }

    fn take_dirty(&self, block: usize) -> Vec<u64> {
        self.host.take_dirty(block)
    }

    fn read(&self, block: usize, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.host.read(block, offset, bytes)
    }

    fn throttle(&self, percent: u8) {
        self.throttle.store(percent, Ordering::Relaxed);
    }

    fn stop(&self) -> Result<Vec<DeviceSection>, Cause> {
        self.stop.store(true, Ordering::Release);
        while !self.stopped.load(Ordering::Acquire) {
            thread::yield_now();
        }
        self.host.stop()
    }

    fn resume(&self, _: &[DeviceSection]) -> Result<(), Cause> {
        Err(Cause::Refused("the guest was to leave".to_owned()))
    }
}

/// One guest leaves for another machine.
fn moved(percent: u64, limits: Limits) -> Result<Summary, Failed> {
    let (guest, to) = (Writing::new(LINK / 100 * percent)?, waiting(BYTES)?);
    thread::scope(|scope| {
        let writes = scope.spawn(|| guest.run());
        let gone = hop(&guest, &to, limits, Socket::Unix);
        // If it did not come so far that it was stopped.
        guest.stop.store(true, Ordering::Release);
        writes.join().map_err(|_panic| "the guest is broken")??;
        Ok(gone?.0)
    })
}

/// Measures it.
pub(crate) fn measure(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    let limits = Limits { bandwidth: Some(LINK), ..Limits::default() };
    let once = BYTES / LINK;
    for percent in WRITES {
        let (mut downtime, mut total) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let summary = moved(percent, limits)?;
            downtime.push(summary.downtime.as_secs_f64());
            total.push(summary.total.as_secs_f64());
        }
        let what = format!("downtime of a guest that writes at {percent} % of the link's rate");
        let limit = limits.downtime;
        let against = format!("what was allowed ({} ms)", limit.as_millis());
        let note = format!("{} MiB of RAM, a link of {} MiB/s", BYTES >> 20, LINK >> 20);
        let row = Row::new("downtime", &what, &against, median(downtime) / limit.as_secs_f64());
        say(Measured::Row(row.aim(1.0).note(note.clone())));
        let what = "the whole move of it";
        let against = "RAM once, at the link's rate";
        let ratio = median(total) / Duration::from_secs(once).as_secs_f64();
        say(Measured::Row(Row::new("downtime", what, against, ratio).note(note)));
    }
    Ok(())
}
