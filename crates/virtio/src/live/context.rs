//! What a device has while it works: guest memory, its queues, and a way to tell its driver.

use std::io::Write;

use vm_memory::GuestMemory;

use super::device::Negotiated;
use super::error::{Breakage, ResumeError};
use super::interrupts::{Interrupt, Interrupts};
use super::queues::LiveQueue;
use crate::element::Element;
use crate::ring::{Attached, Chain, RingError};

/// What a device has while it works.
#[derive(Debug)]
pub struct Context<'a, M> {
    /// Guest memory.
    pub memory: &'a M,
    /// What was agreed on.
    pub negotiated: Negotiated,
    pub(super) queues: &'a mut [LiveQueue],
    pub(super) interrupts: &'a mut Interrupts,
}

/// A running queue while a device serves it.
#[derive(Debug)]
pub struct ServedQueue<'a, M: GuestMemory> {
    index: usize,
    attached: Attached<'a, 'a, M>,
    interrupts: &'a mut Interrupts,
}

impl<M: GuestMemory> Context<'_, M> {
    /// Whether a feature was negotiated.
    #[must_use]
    pub fn has(&self, feature: u8) -> bool {
        self.negotiated.features.has(feature)
    }

    /// A queue, if it runs.
    ///
    /// # Errors
    /// If its ring is not in guest memory, or it is broken.
    pub fn queue(&mut self, index: usize) -> Result<Option<ServedQueue<'_, M>>, Breakage> {
        let Some(running) = self.queues.get_mut(index).and_then(|queue| queue.running.as_mut()) else {
            return Ok(None);
        };
        let attached = running.attach(self.memory).map_err(|error| Breakage::Ring { queue: index, error })?;
        Ok(Some(ServedQueue { index, attached, interrupts: self.interrupts }))
    }

    /// Tells the driver that the configuration space has changed.
    pub fn config_changed(&mut self) {
        self.interrupts.raise(Interrupt::Config);
    }

    /// Makes a chain of what was in flight when the device was stopped.
    ///
    /// # Errors
    /// If the queue does not run, or nothing like it is in flight in it.
    pub fn resume(&mut self, queue: usize, element: &Element) -> Result<Chain, ResumeError> {
        let queues = self.queues.len();
        let slot = self.queues.get_mut(queue).ok_or(ResumeError::Queues { queue, queues })?;
        let running = slot.running.as_mut().ok_or_else(|| {
            ResumeError::Device(format!("a request is in flight in queue {queue}, which does not run"))
        })?;
        let chain = running.resume(self.memory, element);
        Ok(chain.map_err(|error| Breakage::Ring { queue, error })?)
    }

    /// Takes again what is in flight in a queue and carried by nobody: for devices that keep no account of it, and
    /// whose driver does not mind. To be called before anything of the queue is resumed. Gives whether it could be
    /// done.
    pub fn take_again(&mut self, queue: usize) -> bool {
        let running = self.queues.get_mut(queue).and_then(|queue| queue.running.as_mut());
        running.is_none_or(|running| running.rewind(running.inuse()))
    }
}

impl<'a, M: GuestMemory> ServedQueue<'a, M> {
    /// Guest memory.
    #[must_use]
    pub fn memory(&self) -> &'a M {
        self.attached.memory()
    }

    /// Takes the next chain: [`Attached::pop`].
    ///
    /// # Errors
    /// If the driver offers what makes no sense.
    pub fn pop(&mut self) -> Result<Option<Chain>, Breakage> {
        self.attached.pop().map_err(self.broken())
    }

    /// Returns a chain: [`Attached::push`]. The driver is told of it with the next [`signal`](Self::signal).
    ///
    /// # Errors
    /// If ring memory is no longer there.
    pub fn push(&mut self, chain: Chain, written: u32) -> Result<(), Breakage> {
        self.attached.push(chain, written).map_err(self.broken())
    }

    /// Gives the chain that was taken last back unused: [`Attached::unpop`].
    ///
    /// # Errors
    /// If another was taken after it.
    pub fn unpop(&mut self, chain: Chain) -> Result<(), Breakage> {
        self.attached.unpop(chain).map_err(self.broken())
    }

    /// Gives chains back unused that were taken one after the other, in that order.
    ///
    /// # Errors
    /// If another was taken after them.
    pub fn unpop_all(&mut self, chains: Vec<Chain>) -> Result<(), Breakage> {
        chains.into_iter().rev().try_for_each(|chain| self.unpop(chain))
    }

    /// Writes into a chain, for as long as it has room, and returns it.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn answer(&mut self, chain: Chain, bytes: &[u8]) -> Result<(), Breakage> {
        let mut writer = chain.writer(self.memory());
        // The chain lies in memory, which was checked when it was taken: what does not fit is all that can be lost.
        let _ = writer.write_all(bytes);
        let written = writer.written();
        self.push(chain, written)
    }

    /// Interrupts the driver, if it wants to know of what was returned.
    ///
    /// # Errors
    /// If ring memory is no longer there.
    pub fn signal(&mut self) -> Result<(), Breakage> {
        if self.attached.needs_notification().map_err(self.broken())? {
            self.interrupts.raise(Interrupt::Queue(self.index));
        }
        Ok(())
    }

    fn broken(&self) -> impl FnOnce(RingError) -> Breakage + use<M> {
        let queue = self.index;
        move |error| Breakage::Ring { queue, error }
    }
}
