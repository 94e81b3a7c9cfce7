//! The guest runs here, and RAM follows it: one thread takes what comes, one loads the devices and starts the guest, one
//! asks for pages that somebody waits for.
//!
//! Until the guest runs, a failure ends it, and the source goes on: nobody waits for pages any more then, and what the
//! devices make of zeros does not matter. Once it runs, what is missing is at the source only; without the source the
//! guest must stand still.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::{debug, trace};
use vmstate::ram::{Block, PageAddress};
use vmstate::stream::{Configuration, PageSizes, RamDiscard};

use super::answers::Answers;
use crate::channel::Cancel;
use crate::clock::Clock;
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{DeviceTime, Late, Side, State};
use crate::guest::{Home, PostcopyHome};
use crate::incoming::Tail;
use crate::ram::Page;
use crate::return_path::Message;

/// The marker of a stream's end, which a package does without.
const EOF: u8 = 0;
/// How long a wait for faults lasts at most: so much later it is seen that there will be none.
const FAULTS: Duration = Duration::from_millis(10);

/// The blocks of a guest's RAM, and bytes of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    pub(super) blocks: Vec<Block>,
    pub(super) page_bytes: u32,
}

/// A guest whose RAM comes late.
pub(super) struct Following<'a> {
    pub(super) home: &'a dyn Home,
    late: &'a dyn PostcopyHome,
    pub(super) answers: &'a Answers<'a>,
    pub(super) clock: &'a Clock<'a>,
    counter: &'a Counter,
    /// Breaks off what arrives.
    stop: Cancel,
    /// Nothing more is to be asked for.
    over: AtomicBool,
    pub(super) known: Mutex<Known>,
}

/// What its threads know of one another.
#[derive(Default)]
pub(super) struct Known {
    stage: Stage,
    /// Why one of them failed: it is the reason for whatever else goes wrong.
    failure: Option<Cause>,
    pub(super) times: Vec<DeviceTime>,
    /// Since when pages have been waited for.
    asked: HashMap<(usize, u64), Instant>,
    /// How long they were.
    waits: Vec<Duration>,
    requested: u64,
    /// Bytes of pages that came late.
    placed: u64,
    page_bytes: u32,
}

/// Where the guest is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// No package has come: it is at the source.
    #[default]
    Before,
    /// Its devices are being loaded.
    Loading,
    /// It runs here.
    Running,
    /// It never runs here.
    Failed,
}

impl<'a> Following<'a> {
    pub(super) fn new(
        home: &'a dyn Home,
        late: &'a dyn PostcopyHome,
        answers: &'a Answers<'a>,
        (clock, counter): (&'a Clock<'a>, &'a Counter),
        stop: Cancel,
    ) -> Self {
        let (over, known) = (AtomicBool::new(false), Mutex::default());
        Self { home, late, answers, clock, counter, stop, over, known }
    }

    /// Whether pages are placed, and not just written.
    pub(super) fn is_active(&self) -> bool {
        self.known.lock().stage != Stage::Before
    }

    /// Post-copy may come.
    pub(super) fn advise(&self, sizes: PageSizes) -> Result<(), Cause> {
        self.late.advise(sizes)
    }

    /// Pages of a block are out of date.
    pub(super) fn discard(&self, discard: &RamDiscard, blocks: &[Block]) -> Result<(), Cause> {
        let Some(block) = blocks.iter().position(|block| block.name == discard.block) else {
            let name = &discard.block;
            return Err(Cause::Refused(format!(
                "pages of the block {name:?} are out of date, and there is none"
            )));
        };
        for &(start, bytes) in &discard.ranges {
            self.late.discard(block, start, bytes).map_err(Cause::Keep)?;
            self.counter.forget(block, start, bytes);
        }
        Ok(())
    }

    /// The package has come: its devices are loaded and the guest runs, while pages come.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        configuration: Option<Configuration>,
        ram: Blocks,
        mut package: Vec<u8>,
    ) -> Result<(), Cause> {
        let now = Instant::now();
        self.clock.note(|moments| (moments.ram, moments.devices) = (Some(now), Some(now)));
        package.push(EOF);
        let arrivals = vec![(package.len() as u64, now)];
        let package = Tail { bytes: package, offset: 0, arrivals };
        // The devices may wait for pages as soon as they load, so that must not keep the pages from coming.
        self.late.listen().map_err(Cause::Keep)?;
        let mut known = self.known.lock();
        (known.stage, known.page_bytes) = (Stage::Loading, ram.page_bytes);
        drop(known);
        scope.spawn(move || self.unless_failed(self.package(configuration.as_ref(), &package)));
        scope.spawn(move || self.unless_failed(self.ask(&ram)));
        Ok(())
    }

    fn unless_failed(&self, done: Result<(), Cause>) {
        let mut known = self.known.lock();
        // What goes wrong once it was broken off is no reason for anything.
        if let Err(cause) = done
            && known.stage != Stage::Failed
        {
            known.failure.get_or_insert(cause);
            self.stop.cancel();
        }
    }

    /// The guest runs, unless all was called off.
    pub(super) fn run_guest(&self) -> Result<(), Cause> {
        let mut known = self.known.lock();
        if known.stage == Stage::Loading {
            known.stage = Stage::Running;
            self.clock.note(|moments| moments.runs = Some(Instant::now()));
            self.late.run();
        }
        Ok(())
    }

    /// Asks for the pages that somebody waits for.
    fn ask(&self, ram: &Blocks) -> Result<(), Cause> {
        let mut last = None;
        while !self.over.load(Ordering::Acquire) {
            for page in self.late.faults(FAULTS).map_err(Cause::Keep)? {
                let PageAddress { block, offset } = page;
                trace!(block, offset, "fault");
                let is_new = {
                    let mut known = self.known.lock();
                    let is_new = known.asked.insert((block, offset), Instant::now()).is_none();
                    known.requested += u64::from(is_new);
                    is_new
                };
                // Several may wait for the same page.
                if is_new {
                    let name = ram.blocks.get(block).filter(|_| last != Some(block));
                    let block_name = name.map(|block| block.name.clone());
                    last = Some(block);
                    let request =
                        Message::RequestPages { block: block_name, start: offset, bytes: ram.page_bytes };
                    request.write(&mut &*self.answers)?;
                }
            }
        }
        Ok(())
    }

    /// Puts pages where they are missing.
    pub(super) fn place(&self, pages: &[Page<'_>]) -> io::Result<()> {
        self.late.place(pages)?;
        let now = Instant::now();
        let mut known = self.known.lock();
        known.placed += pages.len() as u64 * u64::from(known.page_bytes);
        // Mostly nobody waits.
        for page in pages {
            if known.asked.is_empty() {
                break;
            }
            if let Some(since) = known.asked.remove(&(page.at.block, page.at.offset)) {
                known.waits.push(now.saturating_duration_since(since));
            }
        }
        Ok(())
    }

    /// Nothing more arrives: all of it has come, or it was broken off.
    pub(super) fn ended(&self, is_whole: bool) {
        self.over.store(true, Ordering::Release);
        let mut known = self.known.lock();
        match known.stage {
            _ if is_whole => {}
            Stage::Loading => {
                known.stage = Stage::Failed;
                self.late.release();
            }
            Stage::Running => self.late.lose(),
            Stage::Before | Stage::Failed => {}
        }
    }

    /// Whether the guest is here, once all threads have ended; what it waited for, if it came by post-copy.
    pub(super) fn outcome(
        &self,
        taken: Result<Vec<DeviceTime>, Error>,
    ) -> Result<(Vec<DeviceTime>, Option<Late>), Error> {
        let mut known = self.known.lock();
        let failure = known.failure.take();
        let taken = match (taken, failure) {
            // All of RAM came, and the guest runs: that nobody could ask any more changes nothing.
            (Ok(_), _) if known.stage == Stage::Running => Ok(std::mem::take(&mut known.times)),
            (Ok(times), None) => Ok(times),
            (Ok(_), Some(cause)) => Err(cause.at(Side::In, State::PostcopyActive)),
            // One of the threads broke it off.
            (Err(error), Some(cause)) if error.cause.is_cancelled() => Err(Error { cause, ..error }),
            (Err(error), _) => Err(error),
        };
        match taken {
            Err(Error { state, side, cause }) if known.stage == Stage::Running => {
                Err(Cause::Lost(Box::new(cause)).at(side, state))
            }
            taken => {
                self.late.release();
                let late = (known.stage != Stage::Before).then(|| known.late());
                debug!(?late, "post-copy");
                taken.map(|times| (times, late))
            }
        }
    }
}

impl Known {
    fn late(&mut self) -> Late {
        self.waits.sort_unstable();
        let wait = |index: usize| self.waits.get(index).copied().unwrap_or_default();
        let count = self.waits.len();
        Late {
            bytes: self.placed,
            requested: self.requested,
            median: wait(count / 2),
            longest: wait(count.saturating_sub(1)),
        }
    }
}
