//! A device's registers as a driver reaches them, on either transport, and how a device is set up (virtio 1.3 §3.1).

mod mmio;
mod pci;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::ring::{Ring, Style};
use super::{Board, Fault};
use crate::map;

/// Feature bits that every driver here knows (§6).
mod reserved {
    pub(super) const INDIRECT_DESC: u8 = 28;
    pub(super) const EVENT_IDX: u8 = 29;
    pub(super) const VERSION_1: u8 = 32;
    pub(super) const RING_PACKED: u8 = 34;
}

/// The device status byte (§2.1).
mod status {
    pub(super) const ACKNOWLEDGE: u8 = 1;
    pub(super) const DRIVER: u8 = 2;
    pub(super) const DRIVER_OK: u8 = 4;
    pub(super) const FEATURES_OK: u8 = 8;
}

/// Interrupt status (§4.1.4.5): the configuration has changed.
pub(super) const CONFIG_CHANGED: u8 = 2;

/// The transports, as the board tells them.
const MMIO: u32 = 0;
const PCI: u32 = 1;

/// Where a device's registers are.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Function {
    /// [`MMIO`] or [`PCI`].
    transport: u32,
    /// Which slot the device is in.
    pub slot: u32,
    /// mmio: all registers. PCI: the common configuration.
    common: u64,
    /// PCI: where queues are notified.
    notify: u64,
    notify_multiplier: u64,
    /// Interrupt status.
    isr: u64,
    /// The device configuration space.
    config: u64,
}

/// The registers that every transport has, from [`Function::common`] on.
struct Registers {
    /// The status, and its bytes.
    status: (u64, usize),
    /// Which half is meant, and the half.
    device_features: [u64; 2],
    driver_features: [u64; 2],
    /// Bytes of the next ones, and of what a queue is notified with.
    queue_width: u8,
    queue_select: u64,
    /// The largest size.
    queue_most: u64,
    queue_size: u64,
    queue_enable: u64,
    /// The 64-bit addresses of a ring's parts, in two halves each.
    queue_addresses: [u64; 3],
}

/// A queue that was set up.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Queue {
    /// Its ring.
    pub ring: Ring,
    /// Where the device is notified of it.
    notify: u64,
    /// Its number, in the width that the transport has for it.
    index: u32,
    width: u32,
}

/// A device's features and queues, once its driver has set it up.
#[derive(Debug)]
pub struct SetUp {
    /// The negotiated features, 0 to 63.
    pub features: u64,
    /// Its queues.
    pub queues: Vec<Queue>,
}

impl Function {
    /// Looks for a device in a slot: its device ID, and where its registers are.
    pub(super) fn find(slot: usize, board: &mut dyn Board) -> Result<Option<(u32, Self)>, Fault> {
        if board.read(map::PIC + map::pic::TRANSPORT, 8) == u64::from(PCI) {
            pci::find(slot, board)
        } else {
            Ok(mmio::find(slot, board))
        }
    }

    /// Sets the device up as far as features and queues; [`start`](Self::start) is still to be called. `known` are
    /// the features of its type that the driver knows, `queues` tells from those that were agreed on how many queues
    /// there are to be.
    pub(super) fn set_up(
        &self,
        known: &[u8],
        booting: &mut Booting<'_>,
        queues: impl FnOnce(u64, &mut dyn Board) -> usize,
    ) -> Result<SetUp, Fault> {
        let options = booting.options;
        self.set_status(0, booting.board);
        self.set_status(status::ACKNOWLEDGE, booting.board);
        self.set_status(status::ACKNOWLEDGE | status::DRIVER, booting.board);
        let mut wanted: u64 = known.iter().map(|&bit| 1 << bit).sum();
        wanted |= 1 << reserved::VERSION_1;
        for (bit, is_wanted) in [
            (reserved::RING_PACKED, options.packed),
            (reserved::EVENT_IDX, options.event_idx),
            (reserved::INDIRECT_DESC, options.indirect),
        ] {
            wanted |= u64::from(is_wanted) << bit;
        }
        let features = self.offered(booting.board) & wanted;
        self.accept(features, booting.board);
        let agreed = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        self.set_status(agreed, booting.board);
        if self.status(booting.board) & status::FEATURES_OK == 0 {
            return Err(self.fault(format!("it does not take the features {features:#x}, which it offers")));
        }
        let has = |bit| features >> bit & 1 == 1;
        let style = Style {
            packed: has(reserved::RING_PACKED),
            event_idx: has(reserved::EVENT_IDX),
            indirect: has(reserved::INDIRECT_DESC),
        };
        let count = queues(features, booting.board);
        let queues = (0..count).map(|index| self.set_up_queue(index, style, booting));
        Ok(SetUp { features, queues: queues.collect::<Result<_, _>>()? })
    }

    fn set_up_queue(&self, index: usize, style: Style, booting: &mut Booting<'_>) -> Result<Queue, Fault> {
        let at = booting.allocate(Ring::BYTES)?;
        let index = u16::try_from(index).map_err(|_| self.fault("it has too many queues".to_owned()))?;
        let (board, registers) = (&mut *booting.board, self.registers());
        let width = usize::from(registers.queue_width);
        board.write(self.common + registers.queue_select, width, index.into());
        let most = board.read(self.common + registers.queue_most, width);
        if most == 0 {
            return Err(self.fault(format!("it has no queue {index}")));
        }
        let ring = Ring::new(at, u16::try_from(most).unwrap_or(u16::MAX), style);
        board.write(self.common + registers.queue_size, width, ring.size.into());
        if self.transport == PCI {
            pci::give_vector(self, index, board);
        }
        for (register, address) in
            registers.queue_addresses.into_iter().zip([ring.desc, ring.avail, ring.used])
        {
            board.write(self.common + register, 4, address & 0xffff_ffff);
            board.write(self.common + register + 4, 4, address >> 32);
        }
        board.write(self.common + registers.queue_enable, width, 1);
        let notify = if self.transport == PCI { pci::notify(self, board) } else { mmio::notify(self) };
        Ok(Queue { ring, notify, index: index.into(), width: registers.queue_width.into() })
    }

    /// The driver is ready.
    pub(super) fn start(&self, board: &mut dyn Board) {
        let all = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK;
        self.set_status(all, board);
    }

    /// Reads a field of the device configuration space.
    pub(super) fn config(&self, offset: u64, bytes: usize, board: &mut dyn Board) -> u64 {
        board.read(self.config + offset, bytes)
    }

    /// Writes a field of the device configuration space.
    pub(super) fn set_config(&self, offset: u64, bytes: usize, value: u64, board: &mut dyn Board) {
        board.write(self.config + offset, bytes, value);
    }

    /// The device has interrupted: takes the reasons, where they are told (§4.2.2, §4.1.4.5).
    pub(super) fn acknowledge(&self, board: &mut dyn Board) -> u8 {
        if self.transport == PCI {
            // Reading takes them. With MSI-X they need not be.
            u8::try_from(board.read(self.isr, 1)).unwrap_or_default()
        } else {
            mmio::acknowledge(self, board)
        }
    }

    fn registers(&self) -> &'static Registers {
        if self.transport == PCI { &pci::REGISTERS } else { &mmio::REGISTERS }
    }

    fn status(&self, board: &mut dyn Board) -> u8 {
        let (register, bytes) = self.registers().status;
        u8::try_from(board.read(self.common + register, bytes) & 0xff).unwrap_or_default()
    }

    fn set_status(&self, status: u8, board: &mut dyn Board) {
        let (register, bytes) = self.registers().status;
        board.write(self.common + register, bytes, status.into());
    }

    fn offered(&self, board: &mut dyn Board) -> u64 {
        let [select, value] = self.registers().device_features.map(|register| self.common + register);
        (0..2).fold(0, |features, half| {
            board.write(select, 4, half);
            features | board.read(value, 4) << (32 * half)
        })
    }

    fn accept(&self, features: u64, board: &mut dyn Board) {
        let [select, value] = self.registers().driver_features.map(|register| self.common + register);
        for half in 0..2 {
            board.write(select, 4, half);
            board.write(value, 4, features >> (32 * half) & 0xffff_ffff);
        }
    }

    pub(super) fn fault(&self, what: String) -> Fault {
        Fault::Device { slot: usize::try_from(self.slot).unwrap_or_default(), what }
    }
}

impl Queue {
    /// Notifies the device, if it wants to be.
    ///
    /// # Errors
    /// If the ring is not in memory.
    pub fn kick(&mut self, board: &mut dyn Board) -> Result<(), Fault> {
        if self.ring.must_notify(board.memory())? {
            board.write(self.notify, usize::try_from(self.width).unwrap_or(4), self.index.into());
        }
        Ok(())
    }
}
