//! A driver for entropy devices (virtio 1.3 §5.4): asks for some, looks at it, and asks again.

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::{Function, Queue};
use super::ring::Piece;
use super::sleep::Sleep;
use super::{Cell, Fault};

/// The virtio device ID.
pub const ID: u32 = 4;

/// Bytes that are asked for at once.
const LENGTH: u32 = 64;

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rng {
    function: Function,
    queue: Queue,
    sleep: Sleep,
    buffer: u64,
    period: u64,
    /// The moment of the next request.
    due: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Answers that were no entropy.
    pub bad: u64,
}

pub(super) fn set_up(function: &Function, booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let mut set_up = function.set_up(&[], booting, |_, _| 1)?;
    let queue = set_up.queues.pop().ok_or_else(|| function.fault("it has no queue".to_owned()))?;
    let buffer = booting.allocate(LENGTH.into())?;
    let period = booting.options.period;
    function.start(booting.board);
    let sleep = Sleep::default();
    booting.place(&Rng { function: *function, queue, sleep, buffer, period, due: 0, bytes: 0, bad: 0 })
}

pub(super) fn step(cell: u64, moment: &mut Moment<'_>) -> Result<(), Fault> {
    let cell = Cell::<Rng>::at(cell);
    let mut rng = cell.load(moment.board.memory())?;
    if moment.interrupted {
        rng.function.acknowledge(moment.board);
    }
    if rng.sleep.is_over(&mut rng.queue.ring, moment)? {
        rng.work(moment)?;
    }
    cell.store(&rng, moment.board.memory())
}

impl Rng {
    /// Interrupts that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    fn work(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        while let Some((_, written)) = self.queue.ring.take(moment.board.memory())? {
            let mut bytes = [0; LENGTH as usize];
            let at = GuestAddress(self.buffer);
            moment.board.memory().read_slice(&mut bytes, at).map_err(|_| Fault::at(at.0))?;
            self.bad += u64::from(written == 0 || bytes == [0; LENGTH as usize]);
            self.bytes += u64::from(written);
            self.due = moment.now + self.period;
        }
        if self.queue.ring.in_flight() > 0 {
            return self.sleep.begin(&mut self.queue.ring, moment);
        }
        if moment.now >= self.due {
            self.queue.ring.add(&[Piece::input(self.buffer, LENGTH)], moment.board.memory())?;
            self.queue.kick(moment.board)?;
        }
        Ok(())
    }
}
