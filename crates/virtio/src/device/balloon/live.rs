//! A balloon as it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use vm_memory::GuestMemory;

use super::{Balloon, BalloonState, feature};
use crate::core::Features;
use crate::device::{Device, DeviceState, DeviceType};
use crate::live::{Breakage, ConfigSpace, Context, InFlight, LiveDevice, Negotiated, ResumeError};
use crate::ring::Chain;

/// The queues (§5.5.2).
const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const STATS: usize = 2;
/// Bytes of a page, as this device counts them, whatever the guest's are (§5.5.6).
const PAGE: u64 = 4096;
/// Where the driver says how many pages it has given (§5.5.4).
const ACTUAL: usize = 4;
/// Pages that one request may name: more are not looked at.
const MOST_PAGES: usize = 1 << 16;
/// Statistics that are read of one buffer: there are 16 kinds.
const MOST_STATS: usize = 64;
/// Bytes of one: a 16-bit tag, and a 64-bit value.
const STAT: usize = 10;

/// What becomes of pages that the guest gives.
pub trait Ballooned: Send {
    /// The guest does not need these bytes any more, whatever is in them.
    fn given(&mut self, address: u64, bytes: u64);

    /// The guest uses these bytes again.
    fn taken_back(&mut self, address: u64, bytes: u64) {
        let _ = (address, bytes);
    }
}

/// Nothing becomes of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeepsAll;

impl Ballooned for KeepsAll {
    fn given(&mut self, _: u64, _: u64) {}
}

/// What the host wants of a balloon, and knows of it. Clones are of the same balloon.
#[derive(Debug, Clone, Default)]
pub struct BalloonHandle {
    wanted: Arc<AtomicU32>,
    given: Arc<AtomicU32>,
    asks: Arc<AtomicBool>,
    stats: Arc<Mutex<Vec<(u16, u64)>>>,
}

impl BalloonHandle {
    /// The guest is to give so many pages of 4 KiB in all.
    pub fn set_target(&self, pages: u32) {
        self.wanted.store(pages, Ordering::Relaxed);
    }

    /// Pages of 4 KiB that the guest says it has given.
    #[must_use]
    pub fn actual(&self) -> u32 {
        self.given.load(Ordering::Relaxed)
    }

    /// Asks the guest for statistics of its memory.
    pub fn ask_for_statistics(&self) {
        self.asks.store(true, Ordering::Relaxed);
    }

    /// The statistics that the guest told last: tag (§5.5.6.4) and value.
    #[must_use]
    pub fn statistics(&self) -> Vec<(u16, u64)> {
        self.stats.lock().clone()
    }
}

/// A running balloon.
pub struct LiveBalloon {
    ballooned: Box<dyn Ballooned>,
    handle: BalloonHandle,
    /// Pages that the driver was told of.
    num_pages: u32,
    /// The buffer in which the driver told statistics: it gets it back when it is to tell them again.
    waiting: Option<Chain>,
}

impl std::fmt::Debug for LiveBalloon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveBalloon").field("num_pages", &self.num_pages).finish_non_exhaustive()
    }
}

impl LiveBalloon {
    /// A balloon, and what becomes of the pages that it is given.
    #[must_use]
    pub fn new(ballooned: Box<dyn Ballooned>, handle: BalloonHandle) -> Self {
        Self { ballooned, handle, num_pages: 0, waiting: None }
    }

    fn pages<M: GuestMemory>(&mut self, index: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let endianness = cx.negotiated.endianness;
        let Some(mut queue) = cx.queue(index)? else { return Ok(()) };
        while let Some(chain) = queue.pop()? {
            let mut reader = chain.reader(queue.memory());
            for _ in 0..MOST_PAGES {
                let Ok(page) = reader.array() else { break };
                let address = u64::from(endianness.u32(page)) * PAGE;
                match index {
                    INFLATE => self.ballooned.given(address, PAGE),
                    _ => self.ballooned.taken_back(address, PAGE),
                }
            }
            queue.push(chain, 0)?;
        }
        queue.signal()
    }

    /// The driver tells statistics; the buffer is kept until it is to tell them again.
    fn statistics<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let endianness = cx.negotiated.endianness;
        let Some(mut queue) = cx.queue(STATS)? else { return Ok(()) };
        while let Some(chain) = queue.pop()? {
            let mut reader = chain.reader(queue.memory());
            let stats = std::iter::from_fn(|| reader.array::<STAT>().ok()).take(MOST_STATS);
            let stats =
                stats.map(|[a, b, rest @ ..]| (endianness.u16([a, b]), endianness.u64(rest))).collect();
            *self.handle.stats.lock() = stats;
            // There is to be one buffer only: another gives the first back.
            if let Some(before) = self.waiting.replace(chain) {
                queue.push(before, 0)?;
            }
        }
        queue.signal()
    }
}

impl<M: GuestMemory> LiveDevice<M> for LiveBalloon {
    fn device_type(&self) -> &'static DeviceType {
        const { &Balloon::TYPE }
    }

    fn features(&self) -> Features {
        Features::from_iter([feature::STATS_VQ, feature::DEFLATE_ON_OOM])
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![128; 3]
    }

    fn config(&self, _: &Negotiated) -> Vec<u8> {
        // Little-endian, also for legacy drivers (§5.5.4.1).
        let space = ConfigSpace::new(crate::core::Endianness::Little);
        space.u32(self.num_pages).u32(self.handle.actual()).into_bytes()
    }

    fn write_config(&mut self, offset: usize, data: &[u8], _: &mut Context<'_, M>) {
        if let (ACTUAL, Ok(actual)) = (offset, data.try_into()) {
            self.handle.given.store(u32::from_le_bytes(actual), Ordering::Relaxed);
        }
    }

    fn notify(&mut self, queue: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        match queue {
            INFLATE | DEFLATE => self.pages(queue, cx),
            _ => self.statistics(cx),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let wanted = self.handle.wanted.load(Ordering::Relaxed);
        let mut did = std::mem::replace(&mut self.num_pages, wanted) != wanted;
        if did {
            cx.config_changed();
        }
        if self.waiting.is_some()
            && self.handle.asks.swap(false, Ordering::Relaxed)
            && let (Some(mut queue), Some(chain)) = (cx.queue(STATS)?, self.waiting.take())
        {
            queue.push(chain, 0)?;
            queue.signal()?;
            did = true;
        }
        Ok(did)
    }

    fn reset(&mut self) {
        self.waiting = None;
        self.handle.given.store(0, Ordering::Relaxed);
    }

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        // It is not carried: where the device goes on, it is taken from the ring again.
        self.waiting.take().map(|chain| (STATS, chain)).into_iter().collect()
    }

    fn state(&mut self, _: Vec<InFlight>, _: &Context<'_, M>) -> DeviceState {
        let state = BalloonState {
            num_pages: self.num_pages,
            actual: self.handle.actual(),
            free_page_report: None,
            page_poison: None,
        };
        DeviceState::Balloon(Balloon { state, misspelt_page_poison: None })
    }

    fn resume(&mut self, state: DeviceState, cx: &mut Context<'_, M>) -> Result<(), ResumeError> {
        let DeviceState::Balloon(Balloon { state, .. }) = state else {
            return Err(ResumeError::other_type(state.device_type(), const { &Balloon::TYPE }));
        };
        self.num_pages = state.num_pages;
        self.handle.set_target(state.num_pages);
        self.handle.given.store(state.actual, Ordering::Relaxed);
        cx.take_again(STATS);
        Ok(())
    }
}
