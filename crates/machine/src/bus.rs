//! The bus: devices in slots, and which of them has which addresses.

use virtio::live::{LiveTransport, Window};
use virtio::transport::TransportKind;

use crate::guest::Board;
use crate::map;
use crate::pic::Pic;
use crate::ram::{Memory, Ram};

/// A device in a slot.
pub type Slot = Box<dyn LiveTransport<Memory>>;

/// Devices, and all else that a guest reaches.
pub struct Bus {
    pub(crate) ram: Ram,
    pub(crate) pic: Pic,
    pub(crate) slots: Vec<Slot>,
    transport: TransportKind,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

impl Bus {
    /// A bus whose devices have one kind of transport.
    #[must_use]
    pub fn new(ram: Ram, transport: TransportKind) -> Self {
        Self { ram, pic: Pic::default(), slots: Vec::new(), transport }
    }

    /// Puts a device into the next slot; gives its number. Does nothing if all are taken.
    pub fn plug(&mut self, device: Slot) -> usize {
        let slot = self.slots.len();
        if slot < map::SLOTS {
            self.slots.push(device);
        }
        slot
    }

    /// The name of a slot's device in a stream: the path that QEMU's machines would give it.
    #[must_use]
    pub fn path(&self, slot: usize) -> String {
        match self.transport {
            TransportKind::Pci => format!("0000:00:{slot:02x}.0"),
            _ => format!("virtio-mmio@{:016x}", map::MMIO + map::MMIO_STRIDE * slot as u64),
        }
    }

    /// Lets every device see what the world outside has for it; whether any did something.
    pub fn poll(&mut self) -> bool {
        let mut did = false;
        for slot in 0..self.slots.len() {
            if let Some(device) = self.slots.get_mut(slot) {
                did |= device.core_mut().poll();
            }
            self.deliver(slot);
        }
        did
    }

    /// Delivers the interrupts of a slot's device.
    pub(crate) fn deliver(&mut self, slot: usize) {
        if let Some(device) = self.slots.get_mut(slot) {
            let signals = device.signals();
            self.pic.set_line(slot, signals.line);
            for message in signals.messages {
                self.pic.message(message.address, message.data);
            }
        }
    }

    /// Which device has an address, and in which of its windows and where there.
    fn find(&self, address: u64) -> Option<(usize, Window, u64)> {
        match self.transport {
            TransportKind::Pci => self.find_pci(address),
            _ => {
                let from = address.checked_sub(map::MMIO)?;
                let slot = usize::try_from(from / map::MMIO_STRIDE).ok()?;
                (slot < self.slots.len()).then_some((slot, Window::Registers, from % map::MMIO_STRIDE))
            }
        }
    }

    fn find_pci(&self, address: u64) -> Option<(usize, Window, u64)> {
        if (map::ECAM..map::BARS).contains(&address) {
            let from = address - map::ECAM;
            let slot = usize::try_from(from / map::ECAM_STRIDE).ok()?;
            return (slot < self.slots.len()).then_some((slot, Window::Config, from % map::ECAM_STRIDE));
        }
        if !(map::BARS..map::BARS_END).contains(&address) {
            return None;
        }
        self.slots.iter().enumerate().find_map(|(slot, device)| {
            let (window, offset) = device.decode(address)?;
            Some((slot, window, offset))
        })
    }
}

impl Board for Bus {
    fn memory(&self) -> &Memory {
        self.ram.memory()
    }

    fn read(&mut self, address: u64, bytes: usize) -> u64 {
        let mut value = [0; 8];
        if let Some(register) = address.checked_sub(map::PIC).filter(|&register| register < 0x1000) {
            return match register {
                map::pic::PENDING => self.pic.take(),
                map::pic::SLOTS => self.slots.len() as u64,
                map::pic::TRANSPORT => u64::from(self.transport == TransportKind::Pci),
                _ => 0,
            };
        }
        let Some((slot, window, offset)) = self.find(address) else {
            // Nobody answers: a PCI bus reads as ones there.
            return u64::MAX >> (64 - 8 * bytes.clamp(1, 8));
        };
        if let (Some(device), Some(part)) = (self.slots.get_mut(slot), value.get_mut(..bytes)) {
            device.read(window, offset, part);
        }
        self.deliver(slot);
        u64::from_le_bytes(value)
    }

    fn write(&mut self, address: u64, bytes: usize, value: u64) {
        let value = value.to_le_bytes();
        if let Some((slot, window, offset)) = self.find(address)
            && let (Some(device), Some(part)) = (self.slots.get_mut(slot), value.get(..bytes))
        {
            device.write(window, offset, part);
            self.deliver(slot);
        }
    }
}
