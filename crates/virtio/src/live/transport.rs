//! What every transport of a running device can do, whatever its registers are.

use vm_memory::GuestMemory;

use super::core::LiveCore;
use super::error::{ResumeError, StopError};
use crate::loaded::{StoppedDevice, VirtioState};
use crate::transport::TransportKind;

/// A part of what a transport shows to its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// The registers of a device that has only one window: virtio-mmio.
    Registers,
    /// The configuration space of a PCI device.
    Config,
    /// A base address register of a PCI device, by its number.
    Bar(u8),
}

/// A message-signalled interrupt (PCI 3.0 §6.8): a write of the device's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Where it goes.
    pub address: u64,
    /// What is written, 32 bits.
    pub data: u32,
}

/// What a device tells its machine's interrupt controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// The level of its interrupt line.
    pub line: bool,
    /// Messages that are due, in order.
    pub messages: Vec<Message>,
}

/// A running device behind its transport: what a machine has of it.
pub trait LiveTransport<M: GuestMemory>: Send {
    /// Which kind of transport it is.
    fn kind(&self) -> TransportKind;

    /// The device behind it.
    fn core(&self) -> &LiveCore<M>;

    /// The device behind it.
    fn core_mut(&mut self) -> &mut LiveCore<M>;

    /// Which of its windows is at a physical address, and where in it: as the driver has placed them. A device whose
    /// windows its machine places has none.
    fn decode(&self, address: u64) -> Option<(Window, u64)> {
        let _ = address;
        None
    }

    /// The driver reads registers: `data.len()` bytes at `offset` of a window, little-endian. What is not there
    /// reads as zeros.
    fn read(&mut self, window: Window, offset: u64, data: &mut [u8]);

    /// The driver writes registers. What is not there or cannot be written stays as it is.
    fn write(&mut self, window: Window, offset: u64, data: &[u8]);

    /// Delivers the interrupts that are due. To be asked for after everything that may have caused one.
    fn signals(&mut self) -> Signals;

    /// Stops the device: nothing of it runs any more, and this is its state. Interrupts that are due are in it.
    ///
    /// # Errors
    /// If the device does not hand over all that it took.
    fn stop(&mut self) -> Result<VirtioState, StopError>;

    /// Goes on as a device that was stopped.
    ///
    /// # Errors
    /// If it is not such a device, or cannot run here.
    fn resume(&mut self, stopped: StoppedDevice) -> Result<(), ResumeError>;
}
