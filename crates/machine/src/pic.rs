//! The interrupt controller: a bit for each slot, and two registers that say what the machine is like.

use vmstate::VmState;

use crate::map;

/// The state of the interrupt controller.
#[derive(Debug, Clone, Default, PartialEq, Eq, VmState)]
#[vmstate(name = "vmig-pic", version = 1)]
pub struct Pic {
    /// A bit for each slot whose interrupt line is up.
    pub lines: u64,
    /// A bit for each slot that has sent a message which was not taken.
    pub messages: u64,
}

impl Pic {
    /// The level of a slot's line.
    pub(crate) fn set_line(&mut self, slot: usize, level: bool) {
        let bit = 1 << slot;
        self.lines = if level { self.lines | bit } else { self.lines & !bit };
    }

    /// A message: a device wrote `data` to an address.
    pub(crate) fn message(&mut self, address: u64, data: u32) {
        if address == map::MSI && (data as usize) < map::SLOTS {
            self.messages |= 1 << data;
        }
    }

    /// The guest takes what is pending.
    pub(crate) fn take(&mut self) -> u64 {
        self.lines | std::mem::take(&mut self.messages)
    }
}
