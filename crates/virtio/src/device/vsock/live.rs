//! The device as it runs.

use vm_memory::GuestMemory;
use zerocopy::{FromBytes, IntoBytes};

use super::connections::Connections;
use super::host::VsockHost;
use super::packet::{HEADER, Header};
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
/// Most payload of a packet to the guest.
const MOST_PAYLOAD: usize = 64 << 10;

/// A running socket device.
pub struct LiveVsock {
    connections: Connections,
    /// Whether the driver is still to be told that its connections are gone.
    owes_reset: bool,
}

impl std::fmt::Debug for LiveVsock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveVsock")
            .field("cid", &self.connections.cid)
            .field("connections", &self.connections.len())
            .field("owes_reset", &self.owes_reset)
            .finish_non_exhaustive()
    }
}

impl LiveVsock {
    /// A socket device of a guest with this context ID (at least 3, 32 bits), and the host it is at.
    #[must_use]
    pub fn new(cid: u64, host: Box<dyn VsockHost>) -> Self {
        Self { connections: Connections::new(cid, host), owes_reset: false }
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

    /// Takes what the driver sends, unless it does not take what it is answered.
    fn transmit<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let Some(mut queue) = cx.queue(TX)? else { return Ok(false) };
        let mut did = false;
        while !self.connections.is_full()
            && let Some(chain) = queue.pop()?
        {
            let mut reader = chain.reader(queue.memory());
            // What is too short for a header says nothing.
            if let Ok(bytes) = reader.array::<HEADER>()
                && let Ok(packet) = Header::read_from_bytes(&bytes)
            {
                self.connections.hear(&packet, &mut reader);
            }
            queue.push(chain, 0)?;
            did = true;
        }
        queue.signal()?;
        Ok(did)
    }

    /// Gives the driver what waits for it, and then what the host sends: of each connection a packet.
    fn receive<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let Some(mut queue) = cx.queue(RX)? else { return Ok(false) };
        let mut did = false;
        while let Some(packet) = self.connections.waiting() {
            let Some(chain) = buffer(&mut queue, RX, HEADER)? else { break };
            queue.answer(chain, packet.as_bytes())?;
            self.connections.taken();
            did = true;
        }
        if self.connections.waiting().is_none() {
            did |= self.receive_payload(&mut queue)?;
        }
        queue.signal()?;
        Ok(did)
    }

    fn receive_payload<M: GuestMemory>(&mut self, queue: &mut ServedQueue<'_, M>) -> Result<bool, Breakage> {
        let mut did = false;
        let mut bytes = Vec::new();
        for ports in self.connections.turns() {
            if !self.connections.may_give(ports) {
                continue;
            }
            let Some(chain) = buffer(queue, RX, HEADER + 1)? else { break };
            let room = usize::try_from(chain.writable_len()).unwrap_or(usize::MAX) - HEADER;
            bytes.resize(HEADER + room.min(MOST_PAYLOAD), 0);
            let (head, payload) = bytes.split_at_mut(HEADER);
            let (packet, done) = self.connections.give(ports, payload);
            did |= done;
            match packet {
                Some(packet) => {
                    head.copy_from_slice(packet.as_bytes());
                    let end = HEADER + usize::try_from(packet.len.get()).unwrap_or(MOST_PAYLOAD);
                    queue.answer(chain, bytes.get(..end).unwrap_or_default())?;
                }
                None => queue.unpop(chain)?,
            }
        }
        Ok(did)
    }

    fn serve<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        // What was sent before a migration is answered after the driver is told of it.
        let mut did = self.tell_reset(cx)?;
        did |= self.connections.accept();
        did |= self.transmit(cx)?;
        did |= self.connections.attend();
        did |= self.receive(cx)?;
        Ok(did)
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
        ConfigSpace::new(Endianness::Little).u64(self.connections.cid).into_bytes()
    }

    fn notify(&mut self, _: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        self.serve(cx).map(drop)
    }

    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        self.serve(cx)
    }

    fn reset(&mut self) {
        self.connections.clear();
        self.owes_reset = false;
    }

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        self.connections.clear();
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
