//! The control queue at work (§5.1.6.5): receive modes and VLANs are changed again and again, and the device is told
//! that the network was, when it asks for that.

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::guest::Fault;
use crate::guest::boot::Booting;
use crate::guest::cpu::Moment;
use crate::guest::function::Queue;
use crate::guest::ring::Piece;
use crate::guest::sleep::Sleep;

/// Classes and commands (§5.1.6.5).
const RX: u8 = 0;
const RX_ALLMULTI: u8 = 1;
const VLAN: u8 = 2;
const VLAN_ADD: u8 = 0;
const VLAN_DEL: u8 = 1;
const ANNOUNCE: u8 = 3;
const ANNOUNCE_ACK: u8 = 0;
const MQ: u8 = 4;
const MQ_VQ_PAIRS_SET: u8 = 0;

/// VLANs that come and go.
const VLANS: u64 = 64;

/// The control queue at work.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Control {
    queue: Queue,
    sleep: Sleep,
    buffer: u64,
    period: u64,
    due: u64,
    pairs: u64,
    /// Commands that were done.
    pub done: u64,
    /// Commands that the device refused.
    pub refused: u64,
    /// Announcements that the device has asked for, and those that were made.
    asked: u64,
    /// Announcements that were made.
    pub announced: u64,
    is_announcing: u64,
}

impl Control {
    pub(super) fn set_up(queue: Queue, pairs: usize, booting: &mut Booting<'_>) -> Result<Self, Fault> {
        Ok(Self {
            queue,
            sleep: Sleep::default(),
            buffer: booting.allocate(64)?,
            period: booting.options.period,
            due: 0,
            pairs: pairs as u64,
            done: 0,
            refused: 0,
            asked: 0,
            announced: 0,
            is_announcing: 0,
        })
    }

    /// The device asks for an announcement.
    pub(super) fn announce(&mut self) {
        self.asked = self.announced + 1;
    }

    /// Interrupts that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    pub(super) fn step(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        if !self.sleep.is_over(&mut self.queue.ring, moment)? {
            return Ok(());
        }
        while self.queue.ring.take(moment.board.memory())?.is_some() {
            let at = self.buffer + 32;
            let ack: u8 = moment.board.memory().read_obj(GuestAddress(at)).map_err(|_| Fault::at(at))?;
            self.refused += u64::from(ack != 0);
            self.done += 1;
            self.announced += std::mem::take(&mut self.is_announcing);
            self.due = moment.now + self.period;
        }
        if self.queue.ring.in_flight() > 0 {
            return self.sleep.begin(&mut self.queue.ring, moment);
        }
        if moment.now < self.due && self.asked <= self.announced {
            return Ok(());
        }
        let command = self.next();
        let memory = moment.board.memory();
        memory.write_slice(&command, GuestAddress(self.buffer)).map_err(|_| Fault::at(self.buffer))?;
        let length = u32::try_from(command.len()).unwrap_or_default();
        self.queue.ring.add(&[Piece::out(self.buffer, length), Piece::input(self.buffer + 32, 1)], memory)?;
        self.queue.kick(moment.board)
    }

    /// The next command: how many pairs there are comes first, then what is asked for, then something that changes.
    fn next(&mut self) -> Vec<u8> {
        let number = self.done;
        if number == 0 && self.pairs > 1 {
            let pairs = u16::try_from(self.pairs).unwrap_or(u16::MAX);
            return [[MQ, MQ_VQ_PAIRS_SET], pairs.to_le_bytes()].concat();
        }
        if self.asked > self.announced {
            self.is_announcing = 1;
            return vec![ANNOUNCE, ANNOUNCE_ACK];
        }
        let vlan = u16::try_from(1 + number / 2 % VLANS).unwrap_or_default().to_le_bytes();
        match number % 4 {
            0 => [[VLAN, VLAN_ADD], vlan].concat(),
            1 => vec![RX, RX_ALLMULTI, 1],
            2 => [[VLAN, VLAN_DEL], vlan].concat(),
            _ => vec![RX, RX_ALLMULTI, 0],
        }
    }
}
