//! Waiting for an interrupt, and noticing when one does not come.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Fault;
use super::cpu::{Moment, WATCHDOG};
use super::ring::Ring;

/// Whether a driver waits for its device.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Sleep {
    asleep: u64,
    /// The moment it fell asleep.
    since: u64,
    /// Interrupts that should have come and did not.
    pub lost: u64,
}

impl Sleep {
    /// Whether the driver is to look at its ring: it is awake, was interrupted, or has waited for too long.
    pub(super) fn is_over(&mut self, ring: &mut Ring, moment: &Moment<'_>) -> Result<bool, Fault> {
        if moment.interrupted {
            self.asleep = 0;
        }
        if self.asleep != 0 && moment.now.saturating_sub(self.since) > WATCHDOG {
            // Looking is no harm: whoever finds something was not told of it.
            self.since = moment.now;
            if ring.want_interrupt(moment.board.memory())? {
                self.asleep = 0;
                self.lost += 1;
            }
        }
        Ok(self.asleep == 0)
    }

    /// There is nothing to do but to wait for the device: asks it for an interrupt.
    pub(super) fn begin(&mut self, ring: &mut Ring, moment: &Moment<'_>) -> Result<(), Fault> {
        if !ring.want_interrupt(moment.board.memory())? {
            self.asleep = 1;
            self.since = moment.now;
        }
        Ok(())
    }
}
