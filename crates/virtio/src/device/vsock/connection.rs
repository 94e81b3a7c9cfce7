//! A connection between the guest and its host (virtio 1.3 §5.10.6.5).

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};

use super::credit::{BUF_ALLOC, Credit};
use super::host::{VsockStream, is_not_now};
use super::packet::{Header, Ports, op, shutdown};

/// A connection.
pub(super) struct Connection {
    stream: Box<dyn VsockStream>,
    ports: Ports,
    credit: Credit,
    /// Whether both ends have agreed.
    is_established: bool,
    /// What the guest sent and the host has not taken yet: at most [`BUF_ALLOC`] bytes.
    held: VecDeque<u8>,
    /// What the guest does not do any more, a bit each.
    guest_shutdown: u32,
    /// Whether the host was told that the guest sends nothing more.
    is_shut: bool,
    /// Whether the host sends nothing more.
    has_ended: bool,
}

/// What is to be done about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// The driver is to be told something.
    Say(u16),
    /// It is over: the driver is told so.
    Reset,
}

impl Connection {
    /// A connection that the guest has asked for, and the host has accepted.
    pub(super) fn accepted(stream: Box<dyn VsockStream>, packet: &Header) -> Self {
        let mut connection = Self::requested(stream, packet.ports());
        connection.is_established = true;
        connection.credit.heard(packet);
        connection
    }

    /// A connection that the host asks for.
    pub(super) fn requested(stream: Box<dyn VsockStream>, ports: Ports) -> Self {
        Self {
            stream,
            ports,
            credit: Credit::default(),
            is_established: false,
            held: VecDeque::new(),
            guest_shutdown: 0,
            is_shut: false,
            has_ended: false,
        }
    }

    /// A packet of the connection to the guest.
    pub(super) fn packet(&mut self, cid: u64, op: u16) -> Header {
        let mut packet = Header::to_guest(cid, self.ports, op);
        if op == op::SHUTDOWN {
            packet.flags = shutdown::SEND.into();
        }
        self.credit.tell(&mut packet);
        packet
    }

    /// The guest has sent a packet, whose payload `body` has.
    pub(super) fn hear(&mut self, packet: &Header, body: &mut impl Read) -> Due {
        self.credit.heard(packet);
        match (packet.op.get(), self.is_established) {
            (op::RESPONSE, false) => {
                self.is_established = true;
                match self.stream.accepted(self.ports.host) {
                    Ok(()) => Due::Nothing,
                    Err(_) => Due::Reset,
                }
            }
            (op::RW, true) => match self.take(packet.len.get(), body) {
                Ok(()) => Due::Nothing,
                Err(_) => Due::Reset,
            },
            (op::SHUTDOWN, true) => {
                self.guest_shutdown |= packet.flags.get() & shutdown::BOTH;
                Due::Nothing
            }
            (op::CREDIT_UPDATE, _) => Due::Nothing,
            (op::CREDIT_REQUEST, _) => Due::Say(op::CREDIT_UPDATE),
            _ => Due::Reset,
        }
    }

    /// Takes what the guest sends. It has no right to send more than there is room for, nor after it said that it
    /// sends nothing more.
    fn take(&mut self, length: u32, body: &mut impl Read) -> io::Result<()> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let room = (BUF_ALLOC as usize).saturating_sub(self.held.len());
        if length > room || self.guest_shutdown & shutdown::SEND != 0 {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        body.read_exact(&mut bytes)?;
        self.held.extend(bytes);
        Ok(())
    }

    /// Hands on what is held; gives whether anything was, and what is to be done then.
    pub(super) fn attend(&mut self) -> (bool, Due) {
        let before = self.held.len();
        let handed_on = self.hand_on();
        let did = self.held.len() < before;
        let due = match handed_on {
            Err(_) => Due::Reset,
            // Whoever shuts both directions down waits for the other to say that it has understood.
            Ok(()) if self.held.is_empty() && self.guest_shutdown == shutdown::BOTH => Due::Reset,
            Ok(()) if self.credit.owes_update() => Due::Say(op::CREDIT_UPDATE),
            Ok(()) if self.may_send() && self.credit.must_ask() => Due::Say(op::CREDIT_REQUEST),
            Ok(()) => Due::Nothing,
        };
        (did, due)
    }

    fn hand_on(&mut self) -> io::Result<()> {
        while !self.held.is_empty() {
            match self.stream.write(self.held.as_slices().0) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    let taken = taken.min(self.held.len());
                    self.held.drain(..taken);
                    self.credit.handed_on(u32::try_from(taken).unwrap_or(BUF_ALLOC));
                }
                Err(error) if is_not_now(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if self.guest_shutdown & shutdown::SEND != 0 && !self.is_shut {
            self.is_shut = true;
            self.stream.shutdown()?;
        }
        Ok(())
    }

    /// Whether the host has, or may have, something to send.
    fn may_send(&self) -> bool {
        self.is_established && !self.has_ended && self.guest_shutdown & shutdown::RECEIVE == 0
    }

    /// Whether the guest takes what the host may have to send.
    pub(super) fn may_give(&self) -> bool {
        self.may_send() && self.credit.room() > 0
    }

    /// Gives what the host sends, as far as the guest has room for it.
    pub(super) fn give(&mut self, buffer: &mut [u8]) -> (usize, Due) {
        let room = usize::try_from(self.credit.room()).unwrap_or(usize::MAX).min(buffer.len());
        match self.stream.read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => {
                self.has_ended = true;
                (0, Due::Say(op::SHUTDOWN))
            }
            Ok(bytes) => {
                let bytes = bytes.min(room);
                self.credit.sent(u32::try_from(bytes).unwrap_or(u32::MAX));
                (bytes, Due::Nothing)
            }
            Err(error) if is_not_now(&error) => (0, Due::Nothing),
            Err(_) => (0, Due::Reset),
        }
    }
}
