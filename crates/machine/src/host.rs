//! A machine that runs in a thread, and leaves or arrives while it does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use migration::error::Cause;
use migration::guest::{DeviceSection, Home, PostcopyHome, RunningGuest};
use migration::ram::{Content, Page, RamSink};
use parking_lot::{Mutex, MutexGuard};
use vmstate::ram::Block;
use vmstate::stream::{Configuration, Stream};

use crate::guest::{Fault, Report};
use crate::machine::{MACHINE, Machine, RAM_BLOCK};
use crate::ram::{PAGE, PAGE_SIZE, Ram};
use crate::userfault::Userfault;

/// Moments that the guest runs before others get at the machine.
const SLICE: u32 = 32;

/// A machine, and whether it runs.
#[derive(Debug)]
pub struct Host {
    machine: Mutex<Machine>,
    ram: Ram,
    runs: AtomicBool,
    ends: AtomicBool,
    /// How much of its time the guest does not get, in percent.
    throttle: AtomicU8,
    fault: Mutex<Option<Fault>>,
    /// What makes missing pages fault, while a guest may come by post-copy.
    pub(crate) userfault: Mutex<Option<Arc<Userfault>>>,
}

impl Host {
    /// A machine that does not run yet.
    #[must_use]
    pub fn new(machine: Machine) -> Self {
        let ram = machine.ram().clone();
        Self {
            machine: Mutex::new(machine),
            ram,
            runs: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            throttle: AtomicU8::new(0),
            fault: Mutex::new(None),
            userfault: Mutex::new(None),
        }
    }

    /// The machine; the guest waits as long as it is borrowed.
    pub fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock()
    }

    /// The guest runs from now on.
    pub fn start(&self) {
        self.runs.store(true, Ordering::Release);
    }

    /// The guest does not run any more.
    pub fn pause(&self) {
        self.stand_still();
        // Whoever runs it now is done with it after this.
        drop(self.machine());
    }

    /// The guest does not run any more once its slice is over.
    pub(crate) fn stand_still(&self) {
        self.runs.store(false, Ordering::Release);
    }

    /// The machine's RAM.
    pub(crate) fn ram(&self) -> &Ram {
        &self.ram
    }

    /// Ends [`run`](Self::run).
    pub fn end(&self) {
        self.ends.store(true, Ordering::Release);
    }

    /// What the guest met that it could not go on from.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().clone()
    }

    /// What the guest has done so far.
    ///
    /// # Errors
    /// If its memory is not as it left it.
    pub fn report(&self) -> Result<Report, Fault> {
        self.machine().report()
    }

    /// Runs the guest whenever it is to run, until the end: the body of the thread that is its processor.
    pub fn run(&self) {
        while !self.ends.load(Ordering::Acquire) {
            if !self.runs.load(Ordering::Acquire) {
                thread::sleep(Duration::from_micros(200));
                continue;
            }
            let started = Instant::now();
            let ran = self.run_slice();
            if let Err(fault) = ran {
                self.runs.store(false, Ordering::Release);
                *self.fault.lock() = Some(fault);
            }
            let throttle = u32::from(self.throttle.load(Ordering::Relaxed).min(99));
            if throttle > 0 {
                thread::sleep(started.elapsed() * throttle / (100 - throttle));
            }
        }
    }

    fn run_slice(&self) -> Result<(), Fault> {
        let mut machine = self.machine();
        if self.runs.load(Ordering::Acquire) { machine.run(SLICE) } else { Ok(()) }
    }
}

impl RunningGuest for Host {
    fn configuration(&self) -> Configuration {
        configuration()
    }

    fn blocks(&self) -> Vec<Block> {
        vec![Block::new(RAM_BLOCK, self.ram.bytes())]
    }

    fn page_size(&self) -> u64 {
        PAGE_SIZE
    }

    fn take_dirty(&self, _: usize) -> Vec<u64> {
        self.ram.take_dirty()
    }

    fn read(&self, _: usize, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.ram.read(offset, bytes)
    }

    fn throttle(&self, percent: u8) {
        self.throttle.store(percent, Ordering::Relaxed);
    }

    fn stop(&self) -> Result<Vec<DeviceSection>, Cause> {
        self.pause();
        self.machine().stop().map_err(|error| Cause::Refused(error.to_string()))
    }

    fn resume(&self, sections: &[DeviceSection]) -> Result<(), Cause> {
        self.machine().resume(sections).map_err(|error| Cause::Refused(error.to_string()))?;
        self.start();
        Ok(())
    }
}

impl Home for Host {
    fn start(&self, found: Option<&Configuration>) -> Result<(), Cause> {
        let found = found.map(Configuration::machine);
        match found.as_deref() {
            Some(MACHINE) => Ok(()),
            other => {
                let other = other.unwrap_or("nothing");
                Err(Cause::Refused(format!("the guest is of machine type {other}, expected {MACHINE}")))
            }
        }
    }

    fn blocks(&self, blocks: &[Block], page_size: u64) -> Result<(), Cause> {
        let found: Vec<_> = blocks.iter().map(|block| (block.name.as_str(), block.bytes)).collect();
        let expected = [(RAM_BLOCK, self.ram.bytes())];
        if found == expected && page_size == PAGE_SIZE {
            return Ok(());
        }
        Err(Cause::Refused(format!(
            "the guest has the blocks {found:?} with pages of {page_size} bytes, expected {expected:?} with {PAGE_SIZE}"
        )))
    }

    fn ram(&self) -> &dyn RamSink {
        &self.ram
    }

    fn load(&self, stream: &Stream, bytes: &[u8]) -> Result<Vec<Duration>, Cause> {
        self.machine().load(stream, bytes).map_err(|error| Cause::Refused(error.to_string()))
    }

    fn postcopy(&self) -> Option<&dyn PostcopyHome> {
        Some(self)
    }
}

impl RamSink for Ram {
    fn pages(&self, pages: &[Page<'_>]) -> io::Result<()> {
        for page in pages {
            match page.content {
                Content::Data(bytes) => self.write(page.at.offset, bytes)?,
                Content::Zero => self.clear(page.at.offset)?,
                Content::Changes(changes) => {
                    let mut bytes = [0; PAGE];
                    self.read(page.at.offset, &mut bytes)?;
                    vmstate::ram::xbzrle::apply(&mut vmstate::Reader::new(changes, 0), &mut bytes)
                        .map_err(io::Error::other)?;
                    self.write(page.at.offset, &bytes)?;
                }
            }
        }
        Ok(())
    }
}

fn configuration() -> Configuration {
    Configuration {
        len: u32::try_from(MACHINE.len()).unwrap_or_default(),
        name: MACHINE.as_bytes().to_vec(),
        ..Configuration::default()
    }
}
