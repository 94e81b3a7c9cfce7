//! A driver for balloons (virtio 1.3 §5.5): gives pages that it has for that purpose, and takes them back, as the host
//! wants it. What it has not given must stay as it is.

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::{CONFIG_CHANGED, Function, Queue};
use super::record::{check, record};
use super::ring::Piece;
use super::sleep::Sleep;
use super::{Cell, Fault};
use crate::ram::{Memory, PAGE_SIZE};

/// The virtio device ID.
pub const ID: u32 = 5;
/// Pages that the guest can do without, and that the host can have.
pub const PAGES: u32 = 128;

/// Pages of one request.
const AT_ONCE: u32 = 16;
/// Bytes that are written to a page that is not given.
const LENGTH: usize = 64;
/// Fields of the configuration space (§5.5.4): how many pages the host wants, and how many it has.
const NUM_PAGES: u64 = 0;
const ACTUAL: u64 = 4;

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Balloon {
    function: Function,
    inflate: Queue,
    deflate: Queue,
    sleep: Sleep,
    /// Guest addresses: of the first page, and of the list that is handed over.
    pages: u64,
    list: u64,
    /// How many pages the host wants.
    wanted: u32,
    /// Pages that are given: always the first ones.
    pub given: u32,
    /// Pages of the request that the device has; 0 if it has none.
    moving: u32,
    is_deflating: u32,
    /// Pages that were given, in all.
    pub inflated: u64,
    /// Pages that were taken back, in all.
    pub deflated: u64,
    /// Pages that were not given, and were not as they were left.
    pub bad: u64,
}

pub(super) fn set_up(function: &Function, booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let set_up = function.set_up(&[], booting, |_, _| 2)?;
    let Ok([inflate, deflate]) = <[Queue; 2]>::try_from(set_up.queues) else {
        return Err(function.fault("it has not both of its queues".to_owned()));
    };
    let pages = booting.allocate(PAGE_SIZE * u64::from(PAGES))?;
    let list = booting.allocate(4 * u64::from(AT_ONCE))?;
    function.start(booting.board);
    let balloon = Balloon {
        function: *function,
        inflate,
        deflate,
        sleep: Sleep::default(),
        pages,
        list,
        wanted: wanted(function, booting.board),
        given: 0,
        moving: 0,
        is_deflating: 0,
        inflated: 0,
        deflated: 0,
        bad: 0,
    };
    for page in 0..PAGES {
        balloon.fill(page, booting.memory())?;
    }
    booting.place(&balloon)
}

fn wanted(function: &Function, board: &mut dyn super::Board) -> u32 {
    u32::try_from(function.config(NUM_PAGES, 4, board)).unwrap_or(u32::MAX).min(PAGES)
}

pub(super) fn step(cell: u64, moment: &mut Moment<'_>) -> Result<(), Fault> {
    let cell = Cell::<Balloon>::at(cell);
    let mut balloon = cell.load(moment.board.memory())?;
    if moment.interrupted && balloon.function.acknowledge(moment.board) & CONFIG_CHANGED != 0 {
        balloon.wanted = wanted(&balloon.function, moment.board);
    }
    let Balloon { sleep, inflate, deflate, is_deflating, .. } = &mut balloon;
    let ring = if *is_deflating == 0 { &mut inflate.ring } else { &mut deflate.ring };
    if sleep.is_over(ring, moment)? {
        balloon.work(moment)?;
    }
    cell.store(&balloon, moment.board.memory())
}

impl Balloon {
    /// Interrupts that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    fn at(&self, page: u32) -> u64 {
        self.pages + PAGE_SIZE * u64::from(page)
    }

    /// Writes what a page holds that is not given.
    fn fill(&self, page: u32, memory: &Memory) -> Result<(), Fault> {
        let at = self.at(page);
        let bytes = record(page, self.deflated, LENGTH);
        memory.write_slice(&bytes, GuestAddress(at)).map_err(|_| Fault::at(at))
    }

    /// Whether a page still holds it.
    fn is_whole(&self, page: u32, memory: &Memory) -> Result<bool, Fault> {
        let at = self.at(page);
        let mut bytes = [0; LENGTH];
        memory.read_slice(&mut bytes, GuestAddress(at)).map_err(|_| Fault::at(at))?;
        Ok(check(&bytes).is_some_and(|head| head.stream.get() == page))
    }

    fn work(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        if self.moving > 0 {
            let memory = moment.board.memory();
            let queue = if self.is_deflating == 0 { &mut self.inflate } else { &mut self.deflate };
            if queue.ring.take(memory)?.is_none() {
                return self.sleep.begin(&mut queue.ring, moment);
            }
            self.moved(memory)?;
            self.function.set_config(ACTUAL, 4, self.given.into(), moment.board);
        }
        match self.wanted.cmp(&self.given) {
            std::cmp::Ordering::Equal => Ok(()),
            order => self.ask(order.is_lt(), moment),
        }
    }

    /// The device has taken the pages that were offered, or has given them back.
    fn moved(&mut self, memory: &Memory) -> Result<(), Fault> {
        let count = std::mem::take(&mut self.moving);
        if self.is_deflating == 0 {
            self.given += count;
            self.inflated += u64::from(count);
            return Ok(());
        }
        self.given -= count;
        self.deflated += u64::from(count);
        (self.given..self.given + count).try_for_each(|page| self.fill(page, memory))
    }

    /// Offers pages to the device, or wants them back: those that were given last.
    fn ask(&mut self, is_deflating: bool, moment: &mut Moment<'_>) -> Result<(), Fault> {
        let memory = moment.board.memory();
        let count = self.wanted.abs_diff(self.given).min(AT_ONCE);
        let first = if is_deflating { self.given - count } else { self.given };
        let mut list = Vec::new();
        for page in first..first + count {
            if !is_deflating {
                self.bad += u64::from(!self.is_whole(page, memory)?);
            }
            list.extend(u32::try_from(self.at(page) / PAGE_SIZE).unwrap_or(u32::MAX).to_le_bytes());
        }
        memory.write_slice(&list, GuestAddress(self.list)).map_err(|_| Fault::at(self.list))?;
        self.is_deflating = is_deflating.into();
        let queue = if is_deflating { &mut self.deflate } else { &mut self.inflate };
        if queue.ring.add(&[Piece::out(self.list, 4 * count)], memory)?.is_some() {
            self.moving = count;
        }
        queue.kick(moment.board)
    }
}
