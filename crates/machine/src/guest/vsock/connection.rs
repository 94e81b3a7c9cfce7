//! The connection to the host's echo, and what goes over it: messages one after the other.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ECHO;
use super::packet::{Header, op};
use crate::guest::record::{check, record};

/// Bytes of a message.
const MESSAGE: u32 = 600;
/// Bytes that the guest says it has room for.
const ROOM: u32 = 4096;
/// The first of the guest's ports that are free for all.
const FIRST_PORT: u32 = 1024;

/// What there is of a connection.
const CLOSED: u32 = 0;
const REQUESTED: u32 = 1;
const CONNECTED: u32 = 2;

/// The connection to the echo.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Connection {
    /// The moment of the next connection.
    due: u64,
    /// Moments until then, if there is none to be had.
    period: u64,
    /// Its end of the connection: another port each time.
    port: u32,
    state: u32,
    /// Bytes taken and sent, and what the device says of its own (§5.10.6.3).
    fwd_cnt: u32,
    tx_cnt: u32,
    peer_buf_alloc: u32,
    peer_fwd_cnt: u32,
    /// Whether a message was sent whose echo has not come, and how much of that has.
    is_sent: u32,
    echoed: u32,
    echo: [u8; MESSAGE as usize],
    /// Messages that came back.
    pub(super) messages: u64,
    /// Connections that were made.
    pub(super) made: u64,
    /// Damaged messages, answers to nothing, and connections that ended by themselves.
    pub(super) bad: u64,
}

/// What the guest is to send.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) op: u16,
    pub(super) payload: Vec<u8>,
}

impl Connection {
    pub(super) fn new(period: u64) -> Self {
        Self {
            due: 0,
            period,
            port: FIRST_PORT,
            state: CLOSED,
            fwd_cnt: 0,
            tx_cnt: 0,
            peer_buf_alloc: 0,
            peer_fwd_cnt: 0,
            is_sent: 0,
            echoed: 0,
            echo: [0; MESSAGE as usize],
            messages: 0,
            made: 0,
            bad: 0,
        }
    }

    /// Both ports, the guest's first.
    pub(super) fn ports(&self) -> [u32; 2] {
        [self.port, ECHO]
    }

    /// Says in a packet how much room there is.
    pub(super) fn credit(&self, header: Header) -> Header {
        header.with_credit(ROOM, self.fwd_cnt)
    }

    /// It is gone: the next is due at once.
    pub(super) fn reset(&mut self, now: u64) {
        self.state = CLOSED;
        self.due = now;
    }

    /// Whether an answer has to come.
    pub(super) fn is_waiting(&self) -> bool {
        self.state == REQUESTED || self.is_sent != 0 && self.state == CONNECTED
    }

    /// The host has sent a packet; gives what it is answered at once, if anything.
    pub(super) fn hear(&mut self, header: &Header, payload: &[u8], now: u64) -> Option<u16> {
        let op = header.op.get();
        if header.ports() != [ECHO, self.port] || self.state == CLOSED {
            // Of a connection that is gone.
            return (op != op::RST).then_some(op::RST);
        }
        (self.peer_buf_alloc, self.peer_fwd_cnt) = (header.buf_alloc.get(), header.fwd_cnt.get());
        match (op, self.state) {
            (op::RESPONSE, REQUESTED) => {
                self.state = CONNECTED;
                self.made += 1;
            }
            (op::RW, CONNECTED) => self.take(payload),
            (op::CREDIT_UPDATE, CONNECTED) => {}
            (op::CREDIT_REQUEST, CONNECTED) => return Some(op::CREDIT_UPDATE),
            // Nobody listens, or is too busy.
            (op::RST, REQUESTED) => self.reset(now + self.period),
            (op::SHUTDOWN | op::RST, CONNECTED) => {
                self.bad += 1;
                self.reset(now + self.period);
                return (op == op::SHUTDOWN).then_some(op::RST);
            }
            _ => self.bad += 1,
        }
        None
    }

    /// Some of the echo has come.
    fn take(&mut self, payload: &[u8]) {
        let from = usize::try_from(self.echoed).unwrap_or_default();
        let Some(place) = self.echo.get_mut(from..from + payload.len()).filter(|_| self.is_sent != 0) else {
            self.bad += 1;
            return;
        };
        place.copy_from_slice(payload);
        let length = u32::try_from(payload.len()).unwrap_or_default();
        self.echoed += length;
        self.fwd_cnt = self.fwd_cnt.wrapping_add(length);
        if self.echoed < MESSAGE {
            return;
        }
        let is_it = check(&self.echo)
            .is_some_and(|head| head.stream.get() == self.port && head.number.get() == self.messages);
        (self.messages, self.bad) = (self.messages + u64::from(is_it), self.bad + u64::from(!is_it));
        (self.is_sent, self.echoed) = (0, 0);
    }

    /// What is to be sent now, if anything.
    pub(super) fn next(&mut self, now: u64) -> Option<Outgoing> {
        match self.state {
            CLOSED if now >= self.due => {
                self.port += 1;
                (self.fwd_cnt, self.tx_cnt, self.is_sent, self.echoed) = (0, 0, 0, 0);
                Some(Outgoing { op: op::REQUEST, payload: Vec::new() })
            }
            CONNECTED if self.is_sent == 0 && self.has_room() => {
                let payload = record(self.port, self.messages, MESSAGE as usize);
                Some(Outgoing { op: op::RW, payload })
            }
            _ => None,
        }
    }

    /// That was sent.
    pub(super) fn sent(&mut self, outgoing: &Outgoing) {
        if outgoing.op == op::REQUEST {
            self.state = REQUESTED;
        } else {
            self.is_sent = 1;
            self.tx_cnt = self.tx_cnt.wrapping_add(MESSAGE);
        }
    }

    /// Whether the device has room for a message.
    fn has_room(&self) -> bool {
        let on_its_way = self.tx_cnt.wrapping_sub(self.peer_fwd_cnt);
        self.peer_buf_alloc.saturating_sub(on_its_way) >= MESSAGE
    }
}
