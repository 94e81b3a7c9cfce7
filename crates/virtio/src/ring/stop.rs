//! Stopping a queue: the one way from a queue that runs to a state that can be saved.

use vm_memory::GuestMemory;

use super::chain::Chain;
use super::queue::{Indexes, RunningQueue};
use super::state::QueueState;
use crate::core::{PackedQueue, Queue};
use crate::element::Element;
use crate::shape::Switches;

/// A queue that was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Its state.
    pub state: QueueState,
    /// Its requests in flight, for the device to carry in its own state.
    pub elements: Vec<Element>,
    /// Whether the driver is still to be notified of what was returned: the device saves its interrupt
    /// after raising it.
    pub needs_notification: bool,
}

/// A queue that cannot be stopped yet: chains that were taken are neither returned nor handed over.
#[derive(Debug, thiserror::Error)]
#[error("chains of {} entries were taken and not returned, but those handed over have {found}", queue.claimed)]
pub struct NotStopped {
    /// The queue, which still runs.
    pub queue: RunningQueue,
    /// The chains that were handed over.
    pub chains: Vec<Chain>,
    /// Entries that they have.
    pub found: u32,
}

impl RunningQueue {
    /// Stops the queue. Every chain that was taken and not returned has to be handed over: it becomes an
    /// element, laid out as devices with the properties `switches` carry it.
    ///
    /// What waits in the queue for its turn (`IN_ORDER`) is in flight too: it comes among the elements, in
    /// the order of the ring, and will be done once more. A queue that is broken stops with what it has.
    ///
    /// # Errors
    /// If a chain is missing. The queue then runs on.
    pub fn stop<M: GuestMemory>(
        mut self,
        memory: &M,
        chains: Vec<Chain>,
        switches: Switches,
    ) -> Result<Stopped, Box<NotStopped>> {
        let found = chains.iter().map(|chain| u32::from(chain.ndescs)).sum();
        if found != u32::from(self.claimed) && !self.broken {
            return Err(Box::new(NotStopped { queue: self, chains, found }));
        }
        let needs_notification = self.last_words(memory);
        let chains = match self.in_order.take() {
            Some(order) => order.merge(chains),
            None => chains,
        };
        let elements = chains.iter().map(|chain| chain.to_element(switches)).collect();
        Ok(Stopped { state: self.state(), elements, needs_notification })
    }

    /// Leaves the ring as a device finds it that knows nothing of this one: the driver asked to notify.
    /// Gives whether the driver waits for a notification.
    fn last_words<M: GuestMemory>(&mut self, memory: &M) -> bool {
        let unsignalled = self.unsignalled;
        if self.broken {
            return unsignalled;
        }
        let Ok(view) = self.setup.view(memory) else { return unsignalled };
        if !self.notification {
            // The destination takes what has come meanwhile: every queue is looked at after a migration.
            self.broken |= self.ask(&view).is_err();
        }
        self.needs_notification(&view).unwrap_or(unsignalled)
    }

    fn state(&self) -> QueueState {
        let QueueState { queue, addresses, packed: _ } = self.started_as.clone();
        let packed = match &self.indexes {
            Indexes::Packed(packed) => packed.record(),
            Indexes::Split(split) => PackedQueue {
                last_avail_idx: split.last_avail_idx,
                used_idx: split.used_idx,
                inuse: split.inuse().into(),
                ..QueueState::FIRST_TURN
            },
        };
        QueueState { queue: Queue { last_avail_idx: packed.last_avail_idx, ..queue }, addresses, packed }
    }
}
