//! What the guest does first: it looks for devices, and sets a driver up for each.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::function::Function;
use super::{Board, Cell, Cpu, Fault, balloon, blk, console, input, net, pages, rng, scsi, vsock};
use crate::map;
use crate::ram::{Memory, PAGE_SIZE};

/// Where the guest keeps what it knows of itself.
const ROOT: u64 = PAGE_SIZE;
/// Memory from here on is given out.
const FIRST_FREE: u64 = 2 * PAGE_SIZE;

/// How the guest drives its devices, and what work it does.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether it uses packed rings where they are offered.
    pub packed: bool,
    /// Whether it uses the event index.
    pub event_idx: bool,
    /// Whether it uses indirect descriptors.
    pub indirect: bool,
    /// Bytes of memory that it dirties again and again.
    pub dirty_bytes: u64,
    /// Pages of them that it dirties in a moment.
    pub dirty_pages: u64,
    /// Moments between two things that a driver does which has no other measure.
    pub period: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { packed: false, event_idx: true, indirect: true, dirty_bytes: 0, dirty_pages: 1, period: 50 }
    }
}

/// A driver at work: which device it drives, and where it keeps its state.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Driving {
    /// The virtio device ID.
    pub(super) device: u32,
    pub(super) slot: u32,
    /// Guest address of its state.
    pub(super) cell: u64,
}

/// What the guest knows of itself.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Root {
    next_free: u64,
    end: u64,
    /// Guest address of the state of the workload that dirties memory; 0 if there is none.
    pub(super) pages: u64,
    count: u64,
    drivers: [Driving; map::SLOTS],
}

impl Root {
    /// The drivers.
    pub(super) fn drivers(&self) -> impl Iterator<Item = Driving> {
        let count = usize::try_from(self.count).unwrap_or_default();
        self.drivers.into_iter().take(count)
    }
}

/// The guest while it boots: it gives memory out.
pub(super) struct Booting<'a> {
    pub(super) board: &'a mut dyn Board,
    pub(super) options: Options,
    root: Root,
}

impl Booting<'_> {
    /// Memory of the machine.
    pub(super) fn memory(&self) -> &Memory {
        self.board.memory()
    }

    /// Gives memory out: whole pages, zeroed.
    pub(super) fn allocate(&mut self, bytes: u64) -> Result<u64, Fault> {
        let at = self.root.next_free;
        let next = bytes.checked_next_multiple_of(PAGE_SIZE).and_then(|bytes| at.checked_add(bytes));
        let next = next.filter(|&next| next <= self.root.end).ok_or(Fault::OutOfMemory { bytes })?;
        self.root.next_free = next;
        Ok(at)
    }

    /// Gives memory out for a value, and puts it there.
    pub(super) fn place<T: FromBytes + IntoBytes + Immutable>(&mut self, value: &T) -> Result<u64, Fault> {
        let at = self.allocate(size_of::<T>() as u64)?;
        Cell::at(at).store(value, self.memory())?;
        Ok(at)
    }
}

/// Boots the guest in `ram_bytes` of zeroed memory.
///
/// # Errors
/// If memory is short, or a device does not let itself be set up.
pub fn boot(cpu: &mut Cpu, board: &mut dyn Board, ram_bytes: u64, options: Options) -> Result<(), Fault> {
    let root = Root {
        next_free: FIRST_FREE,
        end: ram_bytes,
        pages: 0,
        count: 0,
        drivers: [Driving::default(); map::SLOTS],
    };
    let mut booting = Booting { board, options, root };
    let slots = usize::try_from(booting.board.read(map::PIC + map::pic::SLOTS, 8)).unwrap_or_default();
    for slot in 0..slots.min(map::SLOTS) {
        let Some((device, function)) = Function::find(slot, booting.board)? else { continue };
        let cell = match device {
            net::ID => net::set_up(&function, &mut booting)?,
            blk::ID => blk::set_up(&function, &mut booting)?,
            console::ID => console::set_up(&function, &mut booting)?,
            rng::ID => rng::set_up(&function, &mut booting)?,
            vsock::ID => vsock::set_up(&function, &mut booting)?,
            input::ID => input::set_up(&function, &mut booting)?,
            balloon::ID => balloon::set_up(&function, &mut booting)?,
            scsi::ID => scsi::set_up(&function, &mut booting)?,
            _ => continue,
        };
        let driving = Driving { device, slot: u32::try_from(slot).unwrap_or_default(), cell };
        let count = usize::try_from(booting.root.count).unwrap_or_default();
        if let Some(place) = booting.root.drivers.get_mut(count) {
            *place = driving;
            booting.root.count += 1;
        }
    }
    if options.dirty_bytes > 0 {
        booting.root.pages = pages::set_up(&mut booting)?;
    }
    Cell::at(ROOT).store(&booting.root, booting.board.memory())?;
    *cpu = Cpu { root: ROOT, ticks: 0, halted: false };
    Ok(())
}
