//! The state of a stopped queue: the records that the stream has of it, and nothing else.

use crate::core::{Core, PackedQueue, Queue, Ring, VirtQueue};
use crate::loaded::Loaded;

/// A queue of a stopped device.
///
/// Neither format has its used index in all of this: a split ring's is in guest memory only, from where
/// [`RunningQueue::start`](super::RunningQueue::start) takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Size, place of the descriptors, and the next entry to take.
    pub queue: Queue,
    /// Places of the available and the used ring (packed: of the two event suppressions). A legacy
    /// transport works them out ([`legacy_addresses`](super::split::legacy_addresses)).
    pub addresses: VirtQueue,
    /// The places in a packed ring. A split ring's device writes its indexes here too, if it writes any.
    pub packed: PackedQueue,
}

impl QueueState {
    /// A queue that its driver has set up and not yet used.
    #[must_use]
    pub fn new(size: u16, desc: u64, avail: u64, used: u64) -> Self {
        Self {
            queue: Queue { num: size.into(), align: None, desc, last_avail_idx: 0 },
            addresses: VirtQueue { avail, used },
            packed: Self::FIRST_TURN,
        }
    }

    /// The places in a packed ring that was not yet used: both wrap counters begin with 1 (virtio 1.3 §2.8.1).
    pub const FIRST_TURN: PackedQueue = PackedQueue {
        last_avail_idx: 0,
        last_avail_wrap_counter: true,
        used_idx: 0,
        used_wrap_counter: true,
        inuse: 0,
    };

    /// A queue of a device that was loaded, if it has that many.
    #[must_use]
    pub fn of(loaded: &Loaded, index: usize) -> Option<Self> {
        Self::of_ring(&loaded.state.core, loaded.rings.get(index)?)
    }

    /// The queue of which `ring` was made when `core` was loaded, if it is there.
    #[must_use]
    pub fn of_ring(core: &Core, ring: &Ring) -> Option<Self> {
        let queue = core.queues.get(ring.index)?;
        let packed = core.subsections.packed_virtqueues.as_ref();
        let packed = packed.and_then(|queues| queues.vq.get(ring.index));
        Some(Self {
            queue: queue.clone(),
            addresses: VirtQueue { avail: ring.avail, used: ring.used },
            packed: packed.copied().unwrap_or(Self::FIRST_TURN),
        })
    }

    /// Puts the queue's records in their places in a device's state. Which subsections there are depends on
    /// the features that the device offers: none is added.
    pub fn put(&self, core: &mut Core, index: usize) {
        if let Some(queue) = core.queues.get_mut(index) {
            *queue = self.queue.clone();
        }
        if let Some(queues) = &mut core.subsections.virtqueues {
            queues.vq.set(index, self.addresses);
        }
        if let Some(queues) = &mut core.subsections.packed_virtqueues {
            queues.vq.set(index, self.packed);
        }
    }
}
