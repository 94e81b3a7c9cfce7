//! A queue that runs: its indexes, and what keeps account of its chains.

use vm_memory::GuestMemory;

use super::attached::Attached;
use super::chain::Chain;
use super::error::{RingError, StartError};
use super::gather::Gather;
use super::in_order::InOrder;
use super::packed_queue::{PackedQueue, Taken};
use super::reach::Reach;
use super::setup::{Setup, View};
use super::split_queue::SplitQueue;
use super::state::QueueState;
use crate::core::{Endianness, Features};
use crate::element::{Buffer, Element};

/// Buffers for which a list is kept for the next chain.
const MOST_KEPT: usize = 64;

/// A queue that runs.
///
/// It cannot be saved, cloned or looked into: [`stop`](Self::stop) ends it and gives its state.
#[derive(Debug)]
pub struct RunningQueue {
    /// As it was started: what does not change while the queue runs goes back as it came.
    pub(super) started_as: QueueState,
    pub(super) setup: Setup,
    pub(super) indexes: Indexes,
    pub(super) in_order: Option<InOrder>,
    /// Entries in flight that the device has a chain of.
    pub(super) claimed: u16,
    /// Whether the driver is to notify of what it makes available.
    pub(super) notification: bool,
    /// Whether something was returned since the driver's wish to be notified was last looked at.
    pub(super) unsignalled: bool,
    pub(super) broken: bool,
    /// Empty lists for the buffers of chains to come.
    spare: Vec<Vec<Buffer>>,
}

/// What the two formats count.
#[derive(Debug)]
pub(super) enum Indexes {
    Split(SplitQueue),
    Packed(PackedQueue),
}

impl RunningQueue {
    /// Starts a queue from its state, with what was negotiated. The driver is asked to notify.
    ///
    /// A split ring's used index is read from guest memory, which must be loaded. What is in flight then
    /// has to be resumed ([`resume`](Self::resume)) or given up ([`rewind`](Self::rewind)).
    ///
    /// # Errors
    /// If the state is not that of a queue that can run in this memory.
    pub fn start<M: GuestMemory>(
        state: &QueueState,
        memory: &M,
        features: Features,
        endianness: Endianness,
    ) -> Result<Self, StartError> {
        let setup = Setup::new(state, features, endianness)?;
        let view = setup.view(memory)?;
        let indexes = if setup.packed {
            Indexes::Packed(PackedQueue::start(&state.packed, setup.size)?)
        } else {
            Indexes::Split(SplitQueue::start(state.queue.last_avail_idx, &view)?)
        };
        let mut queue = Self {
            started_as: state.clone(),
            setup,
            indexes,
            in_order: None,
            claimed: 0,
            notification: true,
            unsignalled: false,
            broken: false,
            spare: Vec::new(),
        };
        if features.has(Features::IN_ORDER) {
            queue.in_order = Some(queue.order_in_flight(&view)?);
        }
        queue.ask(&view)?;
        Ok(queue)
    }

    /// Reads once more what is in flight: with `IN_ORDER` it is still in the ring, in its order.
    fn order_in_flight<M: GuestMemory>(&mut self, view: &View<'_, M>) -> Result<InOrder, RingError> {
        let mut order = InOrder::default();
        let inuse = self.inuse();
        self.indexes.rewind(inuse, self.setup.size);
        while self.inuse() < inuse
            && let Some(chain) = self.fetch(view)?
        {
            order.taken(chain.id, chain.ndescs);
            self.recycle(chain);
        }
        match self.inuse() {
            found if found == inuse => Ok(order),
            offered => Err(RingError::TooManyInFlight { inuse, offered, size: self.setup.size }),
        }
    }

    /// Attaches the queue to guest memory, to take and return chains. It is found anew each time, so that
    /// memory may change in between.
    ///
    /// # Errors
    /// If the ring is not in this memory; the queue is broken then, or has been before.
    pub fn attach<'q, 'm, M: GuestMemory>(
        &'q mut self,
        memory: &'m M,
    ) -> Result<Attached<'q, 'm, M>, RingError> {
        if self.broken {
            return Err(RingError::Broken);
        }
        match self.setup.view(memory) {
            Ok(view) => Ok(Attached::new(self, view)),
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        }
    }

    /// Whether the driver broke the queue: nothing helps but a reset of the device.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Entries of the ring.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.setup.size
    }

    /// Entries taken and not returned (packed: descriptors).
    #[must_use]
    pub fn inuse(&self) -> u16 {
        match &self.indexes {
            Indexes::Split(split) => split.inuse(),
            Indexes::Packed(packed) => packed.inuse,
        }
    }

    /// The device is broken, by this queue or another: nothing more is taken or returned.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Entries in flight since before the start that the device has no chain of.
    #[must_use]
    pub fn unclaimed(&self) -> u16 {
        let waiting = self.in_order.as_ref().map_or(0, InOrder::waiting);
        self.inuse().saturating_sub(self.claimed).saturating_sub(waiting)
    }

    /// Makes a chain of an element that was in flight when the queue's state was saved.
    ///
    /// # Errors
    /// If the element cannot be one of this queue, or its buffers are not in guest memory. The queue is as
    /// before.
    pub fn resume<M: GuestMemory>(&mut self, memory: &M, element: &Element) -> Result<Chain, RingError> {
        let (size, unclaimed) = (self.setup.size, self.unclaimed());
        // A split ring's element stands for one entry, whatever is said of a packed ring's descriptors.
        let ndescs = if self.setup.packed { element.ndescs.unwrap_or(1) } else { 1 };
        let taken = u16::try_from(ndescs).ok().filter(|ndescs| (1..=unclaimed).contains(ndescs));
        let taken = taken.ok_or(RingError::NotInFlight { ndescs, unclaimed })?;
        let id = u16::try_from(element.index).unwrap_or(u16::MAX);
        if id >= size {
            return Err(RingError::BufferId { id, size });
        }
        let reach = Reach::new(memory);
        let mut gather = Gather::new(&reach, Vec::new());
        for (buffers, writable) in [(&element.out_sg, false), (&element.in_sg, true)] {
            buffers.iter().try_for_each(|&buffer| gather.buffer(buffer, writable))?;
        }
        self.claimed += taken;
        let Gather { buffers, readable, .. } = gather;
        Ok(Chain { id, ndescs: taken, taken_at: None, readable, buffers })
    }

    /// Gives up the `count` entries that were taken last before the start, so that they are taken again:
    /// for devices that return chains in order, and carry none. Gives whether that many were in flight
    /// without a chain; if not, nothing changes.
    pub fn rewind(&mut self, count: u16) -> bool {
        let is_there = count <= self.unclaimed() && self.claimed == 0;
        let is_rewound = is_there && self.in_order.as_mut().is_none_or(|order| order.rewind(count));
        if is_rewound {
            self.indexes.rewind(count, self.setup.size);
        }
        is_rewound
    }

    /// Takes the next chain, if there is one.
    #[inline]
    pub(super) fn fetch<M: GuestMemory>(&mut self, view: &View<'_, M>) -> Result<Option<Chain>, RingError> {
        let Self { indexes, spare, .. } = self;
        let mut new_gather = || Gather::new(&view.reach, spare.pop().unwrap_or_default());
        let (taken_at, Taken { id, ndescs }, gather) = match indexes {
            Indexes::Split(split) => {
                if !split.has_available(view)? {
                    return Ok(None);
                }
                let mut gather = new_gather();
                let id = split.take(view, &mut gather)?;
                (split.last_avail_idx, Taken { id, ndescs: 1 }, gather)
            }
            Indexes::Packed(packed) => {
                let Some((taken, gather)) = packed.take(view, new_gather)? else { return Ok(None) };
                (packed.avail.to_bits(), taken, gather)
            }
        };
        let Gather { buffers, readable, .. } = gather;
        Ok(Some(Chain { id, ndescs, taken_at: Some(taken_at), readable, buffers }))
    }

    /// Asks the driver to notify of the next entry; gives whether one has come meanwhile.
    pub(super) fn ask<M: GuestMemory>(&mut self, view: &View<'_, M>) -> Result<bool, RingError> {
        match &mut self.indexes {
            Indexes::Split(split) => split.ask(view),
            Indexes::Packed(packed) => packed.ask(view),
        }
    }

    /// Whether the driver is to be notified of what was returned since this was last asked.
    pub(super) fn needs_notification<M: GuestMemory>(
        &mut self,
        view: &View<'_, M>,
    ) -> Result<bool, RingError> {
        if !std::mem::take(&mut self.unsignalled) {
            return Ok(false);
        }
        match &mut self.indexes {
            Indexes::Split(split) => split.needs_notification(view),
            Indexes::Packed(packed) => packed.needs_notification(view),
        }
    }

    /// Keeps the list of a chain's buffers for another.
    #[inline]
    pub(super) fn recycle(&mut self, chain: Chain) {
        let mut buffers = chain.buffers;
        if buffers.capacity() <= MOST_KEPT && self.spare.len() < usize::from(self.setup.size) {
            buffers.clear();
            self.spare.push(buffers);
        }
    }
}

impl Indexes {
    /// Gives up the last `count` entries that were taken.
    pub(super) fn rewind(&mut self, count: u16, size: u16) {
        match self {
            Self::Split(split) => split.rewind(count),
            Self::Packed(packed) => packed.rewind(count, size),
        }
    }
}
