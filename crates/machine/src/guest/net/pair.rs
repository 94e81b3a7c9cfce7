//! A queue pair at work.

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::frame::{HEADER, answer, frame};
use crate::guest::boot::Booting;
use crate::guest::cpu::Moment;
use crate::guest::function::Queue;
use crate::guest::record::Head;
use crate::guest::ring::Piece;
use crate::guest::{Board, Fault};

/// Room for a frame and its header.
const BUFFER: u64 = 2048;
/// Buffers for what comes.
const RECEIVE: u16 = 16;
/// Moments after which a frame that was not answered is sent again.
const TIMEOUT: u64 = 20_000;

/// A queue pair at work.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Pair {
    receive: Queue,
    transmit: Queue,
    /// Guest address of the buffers: for receiving first, then for sending.
    buffers: u64,
    stream: u64,
    mac: [u8; 6],
    padding: [u8; 2],
    /// Frames that came back: the next to be sent has this number.
    pub answered: u64,
    /// Whether it was sent, and when.
    is_sent: u64,
    sent: u64,
    /// Frames that were sent again.
    pub again: u64,
    /// Frames that came back more often than they were sent.
    pub bad: u64,
    /// Answers that came once more, after a frame was sent again.
    pub late: u64,
}

impl Pair {
    pub(super) fn set_up(
        receive: Queue,
        transmit: Queue,
        stream: u64,
        mac: [u8; 6],
        booting: &mut Booting<'_>,
    ) -> Result<Self, Fault> {
        let buffers = booting.allocate(BUFFER * 2 * u64::from(crate::guest::ring::MAX_SIZE))?;
        Ok(Self {
            receive,
            transmit,
            buffers,
            stream,
            mac,
            padding: [0; 2],
            answered: 0,
            is_sent: 0,
            sent: 0,
            again: 0,
            bad: 0,
            late: 0,
        })
    }

    /// The device runs: gives it buffers.
    pub(super) fn start(&mut self, board: &mut dyn Board) -> Result<(), Fault> {
        for _ in 0..RECEIVE.min(self.receive.ring.size) {
            self.offer(board)?;
        }
        self.receive.kick(board)
    }

    fn buffer(&self, id: u16, is_transmit: bool) -> u64 {
        let side = if is_transmit { crate::guest::ring::MAX_SIZE } else { 0 };
        self.buffers + BUFFER * u64::from(id + side)
    }

    fn offer(&mut self, board: &mut dyn Board) -> Result<(), Fault> {
        let Some(id) = self.receive.ring.next_id() else { return Ok(()) };
        let piece = Piece::input(self.buffer(id, false), u32::try_from(BUFFER).unwrap_or_default());
        self.receive.ring.add(&[piece], board.memory())?;
        Ok(())
    }

    /// Whether its answer has not come for so long that it looks whether it missed something.
    pub(super) fn is_late(&self, moment: &Moment<'_>) -> bool {
        self.is_sent != 0 && moment.now.saturating_sub(self.sent) > TIMEOUT
    }

    /// Takes the frames that came, and gives the buffers back. With several pairs the device chooses which gets
    /// what: the answers are any pair's.
    pub(super) fn receive(
        &mut self,
        answers: &mut Vec<Option<Head>>,
        board: &mut dyn Board,
    ) -> Result<(), Fault> {
        while self.transmit.ring.take(board.memory())?.is_some() {}
        loop {
            while let Some((id, written)) = self.receive.ring.take(board.memory())? {
                let at = self.buffer(id, false);
                let length = usize::try_from(u64::from(written).min(BUFFER)).unwrap_or_default();
                let mut bytes = vec![0; length];
                board.memory().read_slice(&mut bytes, GuestAddress(at)).map_err(|_| Fault::at(at))?;
                answers.push(answer(bytes.get(HEADER..).unwrap_or_default()));
                self.offer(board)?;
            }
            if !self.receive.ring.want_interrupt(board.memory())? {
                return self.receive.kick(board);
            }
        }
    }

    /// Takes those answers that are its own, and sends the next frame if there is nothing to wait for.
    pub(super) fn work(
        &mut self,
        answers: &mut Vec<Option<Head>>,
        moment: &mut Moment<'_>,
    ) -> Result<(), Fault> {
        let stream = self.stream;
        answers.retain(|answer| match answer {
            Some(head) if u64::from(head.stream.get()) == stream => {
                self.answered(head.number.get());
                false
            }
            _ => true,
        });
        if self.is_late(moment) {
            self.again += 1;
            self.is_sent = 0;
        }
        if self.is_sent == 0 { self.send(moment) } else { Ok(()) }
    }

    fn answered(&mut self, number: u64) {
        if number == self.answered && self.is_sent != 0 {
            self.answered += 1;
            self.is_sent = 0;
        } else if number < self.answered && self.again > 0 {
            self.late += 1;
        } else {
            self.bad += 1;
        }
    }

    fn send(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        let memory = moment.board.memory();
        let Some(id) = self.transmit.ring.next_id() else { return Ok(()) };
        let at = self.buffer(id, true);
        let mut bytes = vec![0; HEADER];
        bytes.extend(frame(self.mac, u32::try_from(self.stream).unwrap_or_default(), self.answered));
        memory.write_slice(&bytes, GuestAddress(at)).map_err(|_| Fault::at(at))?;
        let length = u32::try_from(bytes.len()).unwrap_or_default();
        if self.transmit.ring.add(&[Piece::out(at, length)], memory)?.is_some() {
            self.is_sent = 1;
            self.sent = moment.now;
        }
        self.transmit.kick(moment.board)
    }
}
