//! Finishing what a stopped device had to do, between two machines.
//!
//! The device is run without its machine: it takes its state up, serves what is in flight and what waits in its
//! rings, and is stopped again. Nobody is there to be interrupted: an interrupt is kept in the transport's state, and
//! where that cannot be, a request has to be left in flight, whose end then tells the driver of all others too.

use vm_memory::GuestMemory;

use super::core::LiveCore;
use super::error::{ResumeError, StopError};
use super::interrupts::Interrupt;
use crate::loaded::{Refused, StoppedDevice, VirtioState};

/// Why what a stopped device had to do cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The device must not run.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It cannot be taken up.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// Its driver offers what makes no sense.
    #[error("its driver broke it: {0}")]
    Broken(String),
    /// It cannot be stopped.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// Its driver would never hear of it.
    #[error("the driver could not be told that chains of queue {queue} were returned")]
    NoInterrupt {
        /// The queue.
        queue: usize,
    },
    /// What it works on has failed.
    #[error("the disk failed: {0}")]
    Backend(String),
    /// It is not what it was taken for.
    #[error("{0}")]
    NotSo(String),
}

impl<M: GuestMemory> LiveCore<M> {
    /// Goes on as a device that was stopped, does everything there is to do, and stops. Gives the state that it was
    /// stopped in, with what has changed: indexes of queues, what is in flight, and interrupts that are kept.
    ///
    /// Everything else stays as its machine wrote it, for the machine that it goes to: the device here has the same
    /// rings, and need not be the same in other ways.
    ///
    /// # Errors
    /// If it cannot go on here, or its driver cannot be told. Guest memory may have changed then.
    pub fn finish(&mut self, stopped: StoppedDevice) -> Result<VirtioState, FinishError> {
        let mut state = stopped.loaded().state.clone();
        self.resume(stopped)?;
        self.kick();
        while self.poll() {}
        if let Some(why) = self.broken() {
            return Err(FinishError::Broken(why));
        }
        let ran: Vec<bool> = self.queues.iter().map(super::LiveQueue::is_running).collect();
        state.device = self.stop()?;
        for (index, queue) in self.queues.iter().enumerate() {
            if ran.get(index) == Some(&true) {
                queue.state.put(&mut state.core, index);
            }
        }
        for interrupt in self.take_interrupts() {
            let Interrupt::Queue(queue) = interrupt else { continue };
            let in_flight = self.queues.get(queue).map_or(0, |queue| queue.state.packed.inuse);
            if !state.transport.as_dyn_mut().keep_interrupt(queue) && in_flight == 0 {
                return Err(FinishError::NoInterrupt { queue });
            }
        }
        state.core.isr = self.isr;
        Ok(state)
    }
}
