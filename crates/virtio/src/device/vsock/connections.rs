//! All connections of a device, whatever its queues are: who has which ports, and what the driver is to be told.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::ops::Bound::{Excluded, Unbounded};

use super::connection::{Connection, Due};
use super::host::VsockHost;
use super::packet::{HOST_CID, Header, Ports, STREAM, op};

/// Connections; more are refused.
const MOST_CONNECTIONS: usize = 1024;
/// Packets without payload that wait for the driver to take them.
const MOST_WAITING: usize = 256;
/// The host's ports of connections that the host asks for.
const FIRST_PORT: u32 = 1 << 30;

/// All connections of a device.
pub(super) struct Connections {
    /// The guest's context ID.
    pub(super) cid: u64,
    host: Box<dyn VsockHost>,
    all: BTreeMap<Ports, Connection>,
    /// Packets without payload that the driver is to get before any payload.
    waiting: VecDeque<Header>,
    /// Who sent to the guest last: the others come first.
    last: Ports,
    next_port: u32,
}

impl Connections {
    pub(super) fn new(cid: u64, host: Box<dyn VsockHost>) -> Self {
        Self {
            cid,
            host,
            all: BTreeMap::new(),
            waiting: VecDeque::new(),
            last: Ports::default(),
            next_port: FIRST_PORT,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Every connection is gone, at the host's end too.
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.waiting.clear();
    }

    /// Whether as much waits for the driver as it may: whoever takes nothing is not heard (virtio 1.3 §5.10.6.1).
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MOST_WAITING
    }

    /// The next packet without payload for the driver.
    pub(super) fn waiting(&self) -> Option<&Header> {
        self.waiting.front()
    }

    /// The driver has taken it.
    pub(super) fn taken(&mut self) {
        self.waiting.pop_front();
    }

    /// Asks the guest for the connections that the host wants; whether there were any.
    pub(super) fn accept(&mut self) -> bool {
        let mut did = false;
        while self.all.len() < MOST_CONNECTIONS
            && let Some((guest, stream)) = self.host.accept()
        {
            let ports = Ports { host: self.free_port(guest), guest };
            let mut connection = Connection::requested(stream, ports);
            self.waiting.push_back(connection.packet(self.cid, op::REQUEST));
            self.all.insert(ports, connection);
            did = true;
        }
        did
    }

    /// A port of the host's that has no connection to this one of the guest's.
    fn free_port(&mut self, guest: u32) -> u32 {
        loop {
            let host = self.next_port;
            self.next_port = host.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.all.contains_key(&Ports { host, guest }) {
                return host;
            }
        }
    }

    /// The driver has sent a packet, whose payload `body` has. One between others than the guest and its host is
    /// dropped; one that makes no sense, or has no connection, is answered with a reset, unless it is one (§5.10.6.4,
    /// §5.10.6.5).
    pub(super) fn hear(&mut self, packet: &Header, body: &mut impl Read) {
        if packet.src_cid != self.cid || packet.dst_cid != HOST_CID {
            return;
        }
        let (ports, op) = (packet.ports(), packet.op.get());
        if op == op::RST {
            self.all.remove(&ports);
            return;
        }
        let due = match self.all.get_mut(&ports) {
            _ if packet.kind != STREAM => Due::Reset,
            Some(connection) => connection.hear(packet, body),
            None if op == op::REQUEST => self.connect(packet),
            None => Due::Reset,
        };
        self.settle(ports, due);
        // Of another type there is no connection, but an answer.
        if let Some(answer) = self.waiting.back_mut().filter(|_| due == Due::Reset) {
            answer.kind = packet.kind;
        }
    }

    /// The guest asks for a connection.
    fn connect(&mut self, packet: &Header) -> Due {
        if self.all.len() >= MOST_CONNECTIONS {
            return Due::Reset;
        }
        let Some(stream) = self.host.connect(packet.dst_port.get()) else { return Due::Reset };
        self.all.insert(packet.ports(), Connection::accepted(stream, packet));
        Due::Say(op::RESPONSE)
    }

    /// Does what is to be done about a connection.
    fn settle(&mut self, ports: Ports, due: Due) {
        match due {
            Due::Nothing => {}
            Due::Say(op) => {
                if let Some(connection) = self.all.get_mut(&ports) {
                    self.waiting.push_back(connection.packet(self.cid, op));
                }
            }
            Due::Reset => {
                self.all.remove(&ports);
                self.waiting.push_back(Header::to_guest(self.cid, ports, op::RST));
            }
        }
    }

    /// Hands on to the host what the guest has sent; whether anything was done.
    pub(super) fn attend(&mut self) -> bool {
        let mut did = false;
        for ports in self.turns() {
            if self.is_full() {
                break;
            }
            let Some(connection) = self.all.get_mut(&ports) else { continue };
            let (handed_on, due) = connection.attend();
            did |= handed_on || due != Due::Nothing;
            self.settle(ports, due);
        }
        did
    }

    /// The connections, in the order in which it is their turn.
    pub(super) fn turns(&self) -> Vec<Ports> {
        let after = self.all.range((Excluded(self.last), Unbounded));
        after.chain(self.all.range(..=self.last)).map(|(&ports, _)| ports).collect()
    }

    /// Whether a connection may have payload that the guest takes.
    pub(super) fn may_give(&self, ports: Ports) -> bool {
        self.all.get(&ports).is_some_and(Connection::may_give)
    }

    /// Gives payload of a connection, and the header before it; nothing if there is none, and whether anything was
    /// done.
    pub(super) fn give(&mut self, ports: Ports, payload: &mut [u8]) -> (Option<Header>, bool) {
        let Some(connection) = self.all.get_mut(&ports) else { return (None, false) };
        let (length, due) = connection.give(payload);
        let packet = (length > 0).then(|| {
            let len = u32::try_from(length).unwrap_or(u32::MAX).into();
            self.last = ports;
            Header { len, ..connection.packet(self.cid, op::RW) }
        });
        self.settle(ports, due);
        (packet, length > 0 || due != Due::Nothing)
    }
}
