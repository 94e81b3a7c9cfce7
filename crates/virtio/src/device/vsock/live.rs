//! The device as it runs.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::ops::Bound::{Excluded, Unbounded};

use vm_memory::GuestMemory;
use zerocopy::{FromBytes, IntoBytes};

use super::connection::{Connection, Due};
use super::host::VsockHost;
use super::packet::{HEADER, HOST_CID, Header, Ports, STREAM, op};
use crate::core::{Endianness, Features};
use crate::device::no_state::Vsock;
use crate::device::{Device, DeviceState, DeviceType};
use crate::live::{
    Breakage, ConfigSpace, Context, InFlight, LiveDevice, Negotiated, ResumeError, ServedQueue,
};
use crate::ring::Chain;

/// The queues (§5.10.2).
const RX: usize = 0;
const TX: usize = 1;
const EVENT: usize = 2;

/// `VIRTIO_VSOCK_EVENT_TRANSPORT_RESET` (§5.10.6.7).
const TRANSPORT_RESET: [u8; 4] = 0_u32.to_le_bytes();
/// Connections; more are refused.
const MOST_CONNECTIONS: usize = 1024;
/// Packets without payload that wait for buffers. While there are so many, nothing is taken from a driver that takes
/// nothing itself (§5.10.6.1).
const MOST_WAITING: usize = 256;
/// Most payload of a packet to the guest.
const MOST_PAYLOAD: usize = 64 << 10;
/// The host's ports of connections that the host asks for.
const FIRST_PORT: u32 = 1 << 30;

/// A running socket device.
pub struct LiveVsock {
    cid: u64,
    host: Box<dyn VsockHost>,
    connections: BTreeMap<Ports, Connection>,
    /// Packets without payload that the driver is to get before any payload.
    waiting: VecDeque<Header>,
    /// Who sent to the guest last: the others come first.
    last: Ports,
    next_port: u32,
    /// Whether the driver is still to be told that its connections are gone.
    owes_reset: bool,
}

impl std::fmt::Debug for LiveVsock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveVsock")
            .field("cid", &self.cid)
            .field("connections", &self.connections.len())
            .field("owes_reset", &self.owes_reset)
            .finish_non_exhaustive()
    }
}

impl LiveVsock {
    /// A socket device of a guest with this context ID (at least 3, 32 bits), and the host it is at.
    #[must_use]
    pub fn new(cid: u64, host: Box<dyn VsockHost>) -> Self {
        Self {
            cid,
            host,
            connections: BTreeMap::new(),
            waiting: VecDeque::new(),
            last: Ports::default(),
            next_port: FIRST_PORT,
            owes_reset: false,
        }
    }

    /// Tells the driver that its connections are gone, if there is a buffer to do so.
    fn tell_reset<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        if !self.owes_reset {
            return Ok(false);
        }
        let Some(mut queue) = cx.queue(EVENT)? else { return Ok(false) };
        let Some(chain) = buffer(&mut queue, EVENT, TRANSPORT_RESET.len())? else { return Ok(false) };
        queue.answer(chain, &TRANSPORT_RESET)?;
        queue.signal()?;
        self.owes_reset = false;
        Ok(true)
    }

    /// Asks the guest for the connections that the host wants.
    fn accept(&mut self) -> bool {
        let mut did = false;
        while self.connections.len() < MOST_CONNECTIONS
            && let Some((guest, stream)) = self.host.accept()
        {
            let ports = Ports { host: self.free_port(guest), guest };
            let mut connection = Connection::requested(stream, ports);
            self.waiting.push_back(connection.packet(self.cid, op::REQUEST));
            self.connections.insert(ports, connection);
            did = true;
        }
        did
    }

    /// A port of the host's that has no connection to this one of the guest's.
    fn free_port(&mut self, guest: u32) -> u32 {
        loop {
            let host = self.next_port;
            self.next_port = host.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.connections.contains_key(&Ports { host, guest }) {
                return host;
            }
        }
    }

    /// Takes what the driver sends.
    fn transmit<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let Some(mut queue) = cx.queue(TX)? else { return Ok(false) };
        let mut did = false;
        while self.waiting.len() < MOST_WAITING
            && let Some(chain) = queue.pop()?
        {
            let mut reader = chain.reader(queue.memory());
            // What is too short for a header says nothing.
            if let Ok(bytes) = reader.array::<HEADER>()
                && let Ok(packet) = Header::read_from_bytes(&bytes)
            {
                self.hear(&packet, &mut reader);
            }
            queue.push(chain, 0)?;
            did = true;
        }
        queue.signal()?;
        Ok(did)
    }

    /// The driver has sent a packet. One between others than the guest and its host is dropped; one that makes no
    /// sense, or has no connection, is answered with a reset, unless it is one (§5.10.6.4, §5.10.6.5).
    fn hear(&mut self, packet: &Header, body: &mut impl Read) {
        if packet.src_cid != self.cid || packet.dst_cid != HOST_CID {
            return;
        }
        let (ports, op) = (packet.ports(), packet.op.get());
        if op == op::RST {
            self.connections.remove(&ports);
            return;
        }
        let due = match self.connections.get_mut(&ports) {
            _ if packet.kind != STREAM => Due::Reset,
            Some(connection) => connection.hear(packet, body),
            None if op == op::REQUEST => self.connect(packet),
            None => Due::Reset,
        };
        if due == Due::Reset {
            self.connections.remove(&ports);
            let reset = Header::to_guest(self.cid, ports, op::RST);
            self.waiting.push_back(Header { kind: packet.kind, ..reset });
        } else {
            self.settle(ports, due);
        }
    }

    /// The guest asks for a connection.
    fn connect(&mut self, packet: &Header) -> Due {
        if self.connections.len() >= MOST_CONNECTIONS {
            return Due::Reset;
        }
        let Some(stream) = self.host.connect(packet.dst_port.get()) else { return Due::Reset };
        self.connections.insert(packet.ports(), Connection::accepted(stream, packet));
        Due::Say(op::RESPONSE)
    }

    /// Does what is to be done about a connection.
    fn settle(&mut self, ports: Ports, due: Due) {
        match due {
            Due::Nothing => {}
            Due::Say(op) => {
                if let Some(connection) = self.connections.get_mut(&ports) {
                    self.waiting.push_back(connection.packet(self.cid, op));
                }
            }
            Due::Reset => {
                self.connections.remove(&ports);
                self.waiting.push_back(Header::to_guest(self.cid, ports, op::RST));
            }
        }
    }

    /// Hands on to the host what the guest has sent.
    fn attend(&mut self) -> bool {
        let mut did = false;
        for ports in self.turns() {
            if self.waiting.len() >= MOST_WAITING {
                break;
            }
            let Some(connection) = self.connections.get_mut(&ports) else { continue };
            let (handed_on, due) = connection.attend();
            did |= handed_on || due != Due::Nothing;
            self.settle(ports, due);
        }
        did
    }

    /// Gives the driver what waits for it, and then what the host sends: of each connection a packet.
    fn receive<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let Some(mut queue) = cx.queue(RX)? else { return Ok(false) };
        let mut did = false;
        while let Some(packet) = self.waiting.front() {
            let Some(chain) = buffer(&mut queue, RX, HEADER)? else { break };
            queue.answer(chain, packet.as_bytes())?;
            self.waiting.pop_front();
            did = true;
        }
        if self.waiting.is_empty() {
            did |= self.receive_payload(&mut queue)?;
        }
        queue.signal()?;
        Ok(did)
    }

    fn receive_payload<M: GuestMemory>(&mut self, queue: &mut ServedQueue<'_, M>) -> Result<bool, Breakage> {
        let mut did = false;
        for ports in self.turns() {
            let Some(connection) = self.connections.get_mut(&ports).filter(|it| it.may_give()) else {
                continue;
            };
            let Some(chain) = buffer(queue, RX, HEADER + 1)? else { break };
            let room = usize::try_from(chain.writable_len()).unwrap_or(usize::MAX) - HEADER;
            let mut bytes = vec![0; HEADER + room.min(MOST_PAYLOAD)];
            let Some((head, payload)) = bytes.split_first_chunk_mut::<HEADER>() else { break };
            let (length, due) = connection.give(payload);
            if length == 0 {
                queue.unpop(chain)?;
            } else {
                let len = u32::try_from(length).unwrap_or(u32::MAX).into();
                let packet = Header { len, ..connection.packet(self.cid, op::RW) };
                head.copy_from_slice(packet.as_bytes());
                queue.answer(chain, bytes.get(..HEADER + length).unwrap_or_default())?;
                self.last = ports;
            }
            did |= length > 0 || due != Due::Nothing;
            self.settle(ports, due);
        }
        Ok(did)
    }

    /// The connections, in the order in which it is their turn.
    fn turns(&self) -> Vec<Ports> {
        let after = self.connections.range((Excluded(self.last), Unbounded));
        after.chain(self.connections.range(..=self.last)).map(|(&ports, _)| ports).collect()
    }

    fn serve<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        // What was sent before a migration is answered after the driver is told of it.
        let mut did = self.tell_reset(cx)?;
        did |= self.accept();
        did |= self.transmit(cx)?;
        did |= self.attend();
        did |= self.receive(cx)?;
        Ok(did)
    }

    /// Every connection is gone, at the host's end too.
    fn disconnect(&mut self) {
        self.connections.clear();
        self.waiting.clear();
    }
}

/// Takes a buffer of the driver's that has room for so many bytes.
fn buffer<M: GuestMemory>(
    queue: &mut ServedQueue<'_, M>,
    index: usize,
    room: usize,
) -> Result<Option<Chain>, Breakage> {
    let Some(chain) = queue.pop()? else { return Ok(None) };
    let length = chain.writable_len();
    if length < room as u64 {
        queue.unpop(chain)?;
        let message = format!("a buffer of {length} bytes, expected at least {room}");
        return Err(Breakage::Request { queue: index, message });
    }
    Ok(Some(chain))
}

impl<M: GuestMemory> LiveDevice<M> for LiveVsock {
    fn device_type(&self) -> &'static DeviceType {
        const { &Vsock::TYPE }
    }

    fn features(&self) -> Features {
        // Without a feature of its own it has stream sockets (§5.10.3). Those of the host's kernel offer no bit for
        // them: a guest that had accepted it could not go there.
        Features(0)
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![128; 3]
    }

    fn config(&self, _: &Negotiated) -> Vec<u8> {
        // There is no legacy form of this device (§5.10.4).
        ConfigSpace::new(Endianness::Little).u64(self.cid).into_bytes()
    }

    fn notify(&mut self, _: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        self.serve(cx).map(drop)
    }

    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        self.serve(cx)
    }

    fn reset(&mut self) {
        self.disconnect();
        self.owes_reset = false;
    }

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        self.disconnect();
        Vec::new()
    }

    fn state(&mut self, _: Vec<InFlight>, _: &Context<'_, M>) -> DeviceState {
        DeviceState::Vsock(Vsock {})
    }

    fn resume(&mut self, state: DeviceState, cx: &mut Context<'_, M>) -> Result<(), ResumeError> {
        let DeviceState::Vsock(_) = state else {
            return Err(ResumeError::other_type(state.device_type(), const { &Vsock::TYPE }));
        };
        // Whatever another device had taken and not returned is of connections that are gone.
        for queue in [RX, TX, EVENT] {
            cx.take_again(queue);
        }
        self.owes_reset = true;
        Ok(())
    }
}
