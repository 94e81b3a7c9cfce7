//! The queues of a running device: as their driver set them up, and as they run.

use vm_memory::GuestMemory;

use super::error::Breakage;
use crate::core::{Queue, VirtQueue};
use crate::live::Negotiated;
use crate::ring::{QueueState, RunningQueue, split};
use crate::transport::RingLayout;

/// Where a driver puts a ring: guest addresses of its three parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The descriptors (packed: the ring).
    pub desc: u64,
    /// The available ring (packed: the driver's event suppression).
    pub avail: u64,
    /// The used ring (packed: the device's event suppression).
    pub used: u64,
}

/// A queue: what its driver set up, and the queue that runs once the driver is ready.
#[derive(Debug)]
pub struct LiveQueue {
    /// Entries it has after a reset.
    max: u16,
    /// As it is set up, or was when it was stopped.
    pub(super) state: QueueState,
    pub(super) running: Option<RunningQueue>,
}

impl LiveQueue {
    pub(super) fn new(max: u16) -> Self {
        Self { max, state: QueueState::new(max, 0, 0, 0), running: None }
    }

    /// The largest size, which it has after a reset.
    #[must_use]
    pub fn max_size(&self) -> u16 {
        self.max
    }

    /// The size that its driver chose, or the largest.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.state.queue.num
    }

    /// Where its driver put it; all zero if that has not happened.
    #[must_use]
    pub fn place(&self) -> Place {
        let QueueState { queue: Queue { desc, .. }, addresses, .. } = &self.state;
        Place { desc: *desc, avail: addresses.avail, used: addresses.used }
    }

    /// Whether it takes chains.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// As after a reset. What ran is gone.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.max);
    }

    pub(super) fn set_size(&mut self, size: u32) {
        self.state.queue.num = size;
    }

    pub(super) fn set_place(&mut self, place: Place) {
        self.state.queue.desc = place.desc;
        self.state.addresses = VirtQueue { avail: place.avail, used: place.used };
        self.state.queue.last_avail_idx = 0;
        self.state.packed = QueueState::FIRST_TURN;
    }

    pub(super) fn set_align(&mut self, align: u32) {
        self.state.queue.align = Some(align);
    }

    /// Puts a ring where a legacy driver says: its descriptors, with the others behind.
    pub(super) fn set_legacy_place(&mut self, desc: u64) {
        let Queue { num, align, .. } = self.state.queue;
        let align = align.unwrap_or(RingLayout::LEGACY_ALIGNMENT);
        let (avail, used) = split::legacy_addresses(desc, num, align);
        self.set_place(Place { desc, avail, used });
    }

    /// Starts it, if its driver has set it up and it does not run.
    pub(super) fn start<M: GuestMemory>(
        &mut self,
        index: usize,
        memory: &M,
        negotiated: &Negotiated,
    ) -> Result<(), Breakage> {
        if self.running.is_none() && self.state.queue.desc != 0 {
            let running =
                RunningQueue::start(&self.state, memory, negotiated.features, negotiated.endianness);
            self.running = Some(running.map_err(|error| Breakage::Start { queue: index, error })?);
        }
        Ok(())
    }
}
