//! The machine: a guest's processor, and the bus.

use crate::bus::{Bus, Slot};
use crate::guest::{self, Cpu, Fault, Options, Report};
use crate::ram::{NoRam, Ram};
use virtio::transport::TransportKind;

/// The machine type, as the stream names it.
pub const MACHINE: &str = "vmig-1";
/// The name of the block that is its RAM.
pub const RAM_BLOCK: &str = "vmig.ram";

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// The registers of the guest's processor.
    pub(crate) cpu: Cpu,
    /// Devices, memory and all else that the guest reaches.
    pub(crate) bus: Bus,
    /// Whether its devices are stopped.
    pub(crate) is_stopped: bool,
}

impl Machine {
    /// A machine without devices, and so many bytes of RAM.
    ///
    /// # Errors
    /// If there is not so much.
    pub fn new(ram_bytes: u64, transport: TransportKind) -> Result<Self, NoRam> {
        let bus = Bus::new(Ram::new(ram_bytes)?, transport);
        Ok(Self { cpu: Cpu::default(), bus, is_stopped: false })
    }

    /// Its RAM.
    #[must_use]
    pub fn ram(&self) -> &Ram {
        &self.bus.ram
    }

    /// Puts a device into the next slot.
    pub fn plug(&mut self, device: Slot) -> usize {
        self.bus.plug(device)
    }

    /// The devices.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.bus.slots
    }

    /// The devices, for the world outside to talk to.
    pub fn slots_mut(&mut self) -> &mut [Slot] {
        &mut self.bus.slots
    }

    /// Boots the guest.
    ///
    /// # Errors
    /// If memory is short, or a device does not let itself be set up.
    pub fn boot(&mut self, options: Options) -> Result<(), Fault> {
        let bytes = self.bus.ram.bytes();
        guest::boot(&mut self.cpu, &mut self.bus, bytes, options)
    }

    /// Runs for so many moments: in each the devices see what the world has for them, then the guest runs.
    ///
    /// # Errors
    /// If the guest meets what it cannot go on from.
    pub fn run(&mut self, moments: u32) -> Result<(), Fault> {
        for _ in 0..moments {
            if self.is_stopped {
                break;
            }
            self.bus.poll();
            guest::step(&mut self.cpu, &mut self.bus)?;
        }
        Ok(())
    }

    /// What the guest has done so far.
    ///
    /// # Errors
    /// If its memory is not as it left it.
    pub fn report(&self) -> Result<Report, Fault> {
        Report::read(&self.cpu, self.bus.ram.memory())
    }

    /// How many of the pages that the guest dirties do not hold what they should.
    ///
    /// # Errors
    /// If its memory is not as it left it.
    pub fn inspect_pages(&self) -> Result<u64, Fault> {
        Report::inspect_pages(&self.cpu, self.bus.ram.memory())
    }

    /// Why a device is broken, for each that is.
    #[must_use]
    pub fn broken(&self) -> Vec<(usize, String)> {
        let slots = self.bus.slots.iter().enumerate();
        slots.filter_map(|(slot, device)| Some((slot, device.core().broken()?))).collect()
    }
}
