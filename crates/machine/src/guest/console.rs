//! A driver for consoles with one port (virtio 1.3 §5.3): a heartbeat of numbered lines, each of which must reach the
//! other end once and in order.

use std::fmt::Write as _;

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::{Function, Queue};
use super::ring::Piece;
use super::sleep::Sleep;
use super::{Cell, Fault};

/// The virtio device ID.
pub const ID: u32 = 3;

/// Room for a line.
const LINE: u64 = 64;
/// Lines that may be on their way.
const DEPTH: usize = 4;
/// Buffers for what is typed.
const TYPED: u16 = 4;

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Console {
    function: Function,
    receive: Queue,
    transmit: Queue,
    sleep: Sleep,
    buffers: u64,
    period: u64,
    /// The moment of the next line.
    due: u64,
    /// Lines so far.
    pub lines: u64,
    /// Bytes that were typed.
    pub typed: u64,
}

/// The line with a number, as the guest writes it. What reads lines checks that it is [`whole`](number).
#[must_use]
pub fn line(number: u64) -> String {
    let mut line = format!("beat {number} ");
    let crc = crc32fast::hash(line.as_bytes());
    let _ = writeln!(line, "{crc:08x}");
    line
}

/// The number of a line, without its end, if it is whole.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    let number = text.strip_prefix("beat ")?.split(' ').next()?.parse().ok()?;
    (line(number).trim_end() == text).then_some(number)
}

pub(super) fn set_up(function: &Function, booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let set_up = function.set_up(&[], booting, |_, _| 2)?;
    let Ok([receive, transmit]) = <[Queue; 2]>::try_from(set_up.queues) else {
        return Err(function.fault("it has not both queues of its port".to_owned()));
    };
    let buffers = booting.allocate(LINE * 128)?;
    let mut console = Console {
        function: *function,
        receive,
        transmit,
        sleep: Sleep::default(),
        buffers,
        period: booting.options.period,
        due: 0,
        lines: 0,
        typed: 0,
    };
    for _ in 0..TYPED {
        console.offer_to_type(booting.memory())?;
    }
    function.start(booting.board);
    console.receive.kick(booting.board)?;
    booting.place(&console)
}

pub(super) fn step(cell: u64, moment: &mut Moment<'_>) -> Result<(), Fault> {
    let cell = Cell::<Console>::at(cell);
    let mut console = cell.load(moment.board.memory())?;
    if moment.interrupted {
        console.function.acknowledge(moment.board);
        console.read(moment)?;
    }
    if console.sleep.is_over(&mut console.transmit.ring, moment)? {
        console.write(moment)?;
    }
    cell.store(&console, moment.board.memory())
}

impl Console {
    /// Interrupts that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    /// Where the buffer of a request is: those for what is typed come first.
    fn buffer(&self, id: u16, is_typed: bool) -> u64 {
        self.buffers + LINE * (u64::from(id) + if is_typed { 0 } else { 64 })
    }

    fn offer_to_type(&mut self, memory: &crate::ram::Memory) -> Result<(), Fault> {
        let Some(id) = self.receive.ring.next_id() else { return Ok(()) };
        let piece = Piece::input(self.buffer(id, true), u32::try_from(LINE).unwrap_or_default());
        self.receive.ring.add(&[piece], memory)?;
        Ok(())
    }

    fn read(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        while let Some((_, bytes)) = self.receive.ring.take(moment.board.memory())? {
            self.typed += u64::from(bytes);
            self.offer_to_type(moment.board.memory())?;
        }
        self.receive.kick(moment.board)?;
        self.receive.ring.want_interrupt(moment.board.memory())?;
        Ok(())
    }

    fn write(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        while self.transmit.ring.take(moment.board.memory())?.is_some() {}
        if self.transmit.ring.in_flight() >= DEPTH {
            return self.sleep.begin(&mut self.transmit.ring, moment);
        }
        let Some(id) = self.transmit.ring.next_id().filter(|_| moment.now >= self.due) else {
            return Ok(());
        };
        let (at, text) = (self.buffer(id, false), line(self.lines));
        let memory = moment.board.memory();
        memory.write_slice(text.as_bytes(), GuestAddress(at)).map_err(|_| Fault::at(at))?;
        let length = u32::try_from(text.len()).unwrap_or_default();
        if self.transmit.ring.add(&[Piece::out(at, length)], memory)?.is_some() {
            self.lines += 1;
            self.due = moment.now + self.period;
        }
        self.transmit.kick(moment.board)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_number() {
        assert_eq!(number(line(41).trim_end()), Some(41));
        assert_eq!(number(&line(41).trim_end().replace('1', "2")), None);
        assert_eq!(number("beat 41"), None);
    }
}
