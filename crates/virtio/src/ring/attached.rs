//! A queue at work: taking chains, returning them, and notifications in both directions.

use vm_memory::GuestMemory;

use super::chain::Chain;
use super::error::RingError;
use super::packed_queue::Taken;
use super::queue::{Indexes, RunningQueue};
use super::setup::View;

/// A running queue attached to guest memory: what a device handles a notification with.
///
/// ```
/// # use virtio::ring::{Chain, RingError, RunningQueue};
/// # use vm_memory::GuestMemory;
/// fn handle_kick<M: GuestMemory>(
///     queue: &mut RunningQueue,
///     memory: &M,
///     mut serve: impl FnMut(&Chain) -> u32,
///     interrupt: impl FnOnce(),
/// ) -> Result<(), RingError> {
///     let mut queue = queue.attach(memory)?;
///     while let Some(chain) = queue.pop()? {
///         let written = serve(&chain);
///         queue.push(chain, written)?;
///     }
///     if queue.needs_notification()? {
///         interrupt();
///     }
///     Ok(())
/// }
/// ```
///
/// Every error breaks the queue: it then does nothing more, and its device needs a reset.
#[derive(Debug)]
pub struct Attached<'q, 'm, M: GuestMemory> {
    queue: &'q mut RunningQueue,
    view: View<'m, M>,
}

impl<'q, 'm, M: GuestMemory> Attached<'q, 'm, M> {
    pub(super) fn new(queue: &'q mut RunningQueue, view: View<'m, M>) -> Self {
        Self { queue, view }
    }

    /// The memory that the queue is attached to.
    #[must_use]
    pub fn memory(&self) -> &'m M {
        self.view.reach.memory
    }

    /// Takes the next chain.
    ///
    /// `None` means that there is none, and that the driver will notify of the next unless notifications
    /// were disabled: none is missed in between.
    ///
    /// # Errors
    /// If the driver offers what makes no sense.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<Chain>, RingError> {
        self.or_broken(Self::try_pop)
    }

    fn try_pop(&mut self) -> Result<Option<Chain>, RingError> {
        loop {
            if let Some(chain) = self.queue.fetch(&self.view)? {
                self.queue.claimed += chain.ndescs;
                if let Some(order) = &mut self.queue.in_order {
                    order.taken(chain.id, chain.ndescs);
                }
                return Ok(Some(chain));
            }
            let event_idx = self.view.setup.event_idx;
            let is_asked = match &self.queue.indexes {
                Indexes::Split(split) => split.is_asked(event_idx),
                Indexes::Packed(packed) => packed.is_asked(event_idx),
            };
            if !self.queue.notification || is_asked || !self.queue.ask(&self.view)? {
                return Ok(None);
            }
        }
    }

    /// Returns a chain, into whose writable buffers `written` bytes were written from their start.
    ///
    /// Chains can be returned in any order. With `IN_ORDER` one that is not the oldest waits in the queue
    /// until those before it are returned.
    ///
    /// # Errors
    /// If ring memory is no longer there, or the queue is broken. The chain is gone.
    #[inline]
    pub fn push(&mut self, chain: Chain, written: u32) -> Result<(), RingError> {
        self.or_broken(|this| {
            this.queue.claimed = this.queue.claimed.saturating_sub(chain.ndescs);
            let Some(order) = &mut this.queue.in_order else {
                return this.put(chain, written);
            };
            order.finish(chain, written);
            while let Some((chain, written)) =
                this.queue.in_order.as_mut().and_then(super::in_order::InOrder::next_finished)
            {
                this.put(chain, written)?;
            }
            Ok(())
        })
    }

    #[inline]
    fn put(&mut self, chain: Chain, written: u32) -> Result<(), RingError> {
        let Chain { id, ndescs, .. } = chain;
        match &mut self.queue.indexes {
            Indexes::Split(split) => split.put(&self.view, id, written)?,
            Indexes::Packed(packed) => packed.put(&self.view, Taken { id, ndescs }, written)?,
        }
        self.queue.unsignalled = true;
        self.queue.recycle(chain);
        Ok(())
    }

    /// Gives the chain that was taken last back unused: it is the next to be taken.
    ///
    /// # Errors
    /// If another was taken after it, or it was resumed.
    pub fn unpop(&mut self, chain: Chain) -> Result<(), RingError> {
        self.or_broken(|this| {
            let last = match &this.queue.indexes {
                Indexes::Split(split) => split.last_avail_idx,
                Indexes::Packed(packed) => packed.avail.to_bits(),
            };
            let ndescs = chain.ndescs;
            let is_last = chain.taken_at == Some(last)
                && this.queue.in_order.as_mut().is_none_or(|order| order.rewind(ndescs));
            if !is_last {
                return Err(RingError::NotLastTaken);
            }
            this.queue.claimed -= ndescs;
            this.queue.indexes.rewind(ndescs, this.view.setup.size);
            this.queue.recycle(chain);
            Ok(())
        })
    }

    /// Whether the driver wants to be notified of what was returned since this was last asked.
    ///
    /// # Errors
    /// If ring memory is no longer there, or the queue is broken.
    #[inline]
    pub fn needs_notification(&mut self) -> Result<bool, RingError> {
        self.or_broken(|this| this.queue.needs_notification(&this.view))
    }

    /// Asks the driver to notify of new entries, as it is when a queue starts. Gives whether there are
    /// some already, of which it may not notify: take them.
    ///
    /// # Errors
    /// If ring memory is no longer there, or the queue is broken.
    pub fn enable_notification(&mut self) -> Result<bool, RingError> {
        self.or_broken(|this| {
            this.queue.notification = true;
            this.queue.ask(&this.view)
        })
    }

    /// Tells the driver that it need not notify, because the device looks for itself.
    ///
    /// # Errors
    /// If ring memory is no longer there, or the queue is broken.
    pub fn disable_notification(&mut self) -> Result<(), RingError> {
        self.or_broken(|this| {
            this.queue.notification = false;
            match &mut this.queue.indexes {
                Indexes::Split(split) => split.do_not_ask(&this.view),
                Indexes::Packed(packed) => packed.do_not_ask(&this.view),
            }
        })
    }

    /// Breaks the queue if `act` fails; does nothing if it is broken.
    #[inline]
    fn or_broken<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, RingError>) -> Result<T, RingError> {
        if self.queue.broken {
            return Err(RingError::Broken);
        }
        let result = act(self);
        self.queue.broken = result.is_err();
        result
    }
}
