//! A driver for socket devices (virtio 1.3 §5.10), and its work: over a connection to an echo on the host it sends
//! numbered messages, one after the other. After a migration the device says that all connections are gone: the driver
//! connects anew, and goes on with the message whose echo has not come.

mod connection;
mod packet;

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::{Function, Queue};
use super::ring::{MAX_SIZE, Piece};
use super::sleep::Sleep;
use super::{Board, Cell, Fault};
use crate::ram::Memory;
use connection::Connection;
use packet::{HEADER, Header};

/// The virtio device ID.
pub const ID: u32 = 19;
/// The port of the host's where an echo listens (RFC 862).
pub const ECHO: u32 = 7;

/// Room for a packet.
const BUFFER: u64 = 1024;
/// Bytes of a buffer for what comes: a message comes in more than one.
const RECEIVE: u32 = 512;
/// Buffers for what comes, and for events.
const RECEIVE_BUFFERS: u16 = 8;
const EVENT_BUFFERS: u16 = 4;
/// Bytes of an event, and the one that there is (§5.10.6.7).
const EVENT: u32 = 4;
const TRANSPORT_RESET: [u8; EVENT as usize] = [0; EVENT as usize];

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Vsock {
    function: Function,
    receive: Queue,
    transmit: Queue,
    events: Queue,
    sleep: Sleep,
    /// Guest address of the buffers: a block for each queue, in their order.
    buffers: u64,
    /// The guest's context ID.
    cid: u64,
    connection: Connection,
    /// How often the device said that all connections are gone.
    pub resets: u64,
    /// Packets and events that make no sense.
    nonsense: u64,
}

pub(super) fn set_up(function: &Function, booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let set_up = function.set_up(&[], booting, |_, _| 3)?;
    let Ok([receive, transmit, events]) = <[Queue; 3]>::try_from(set_up.queues) else {
        return Err(function.fault("it has not all of its queues".to_owned()));
    };
    let buffers = booting.allocate(BUFFER * 3 * u64::from(MAX_SIZE))?;
    let mut vsock = Vsock {
        function: *function,
        receive,
        transmit,
        events,
        sleep: Sleep::default(),
        buffers,
        cid: cid(function, booting.board),
        connection: Connection::new(booting.options.period),
        resets: 0,
        nonsense: 0,
    };
    for _ in 0..RECEIVE_BUFFERS {
        vsock.offer_to_receive(booting.memory())?;
    }
    for _ in 0..EVENT_BUFFERS {
        vsock.offer_for_event(booting.memory())?;
    }
    function.start(booting.board);
    vsock.receive.kick(booting.board)?;
    vsock.events.kick(booting.board)?;
    booting.place(&vsock)
}

/// The guest's context ID: the upper half of its 64 bits is always zero (§5.10.4).
fn cid(function: &Function, board: &mut dyn Board) -> u64 {
    function.config(0, 4, board)
}

pub(super) fn step(cell: u64, moment: &mut Moment<'_>) -> Result<(), Fault> {
    let cell = Cell::<Vsock>::at(cell);
    let mut vsock = cell.load(moment.board.memory())?;
    if moment.interrupted {
        vsock.function.acknowledge(moment.board);
    }
    if vsock.sleep.is_over(&mut vsock.receive.ring, moment)? {
        // That connections are gone comes before what is said of them.
        vsock.take_events(moment)?;
        vsock.take_packets(moment)?;
        vsock.work(moment)?;
    }
    cell.store(&vsock, moment.board.memory())
}

impl Vsock {
    /// Messages that came back.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.connection.messages
    }

    /// Connections that were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connection.made
    }

    /// Packets and events that make no sense, damaged messages, and connections that ended by themselves.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.nonsense + self.connection.bad
    }

    /// Interrupts that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    /// The buffer of a request to a queue.
    fn buffer(&self, queue: u64, id: u16) -> u64 {
        self.buffers + BUFFER * (queue * u64::from(MAX_SIZE) + u64::from(id))
    }

    fn offer_to_receive(&mut self, memory: &Memory) -> Result<(), Fault> {
        let Some(id) = self.receive.ring.next_id() else { return Ok(()) };
        let piece = Piece::input(self.buffer(0, id), RECEIVE);
        self.receive.ring.add(&[piece], memory)?;
        Ok(())
    }

    fn offer_for_event(&mut self, memory: &Memory) -> Result<(), Fault> {
        let Some(id) = self.events.ring.next_id() else { return Ok(()) };
        let piece = Piece::input(self.buffer(2, id), EVENT);
        self.events.ring.add(&[piece], memory)?;
        Ok(())
    }

    fn take_events(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        while let Some((id, written)) = self.events.ring.take(moment.board.memory())? {
            let event = read(self.buffer(2, id), written.min(EVENT), moment.board.memory())?;
            if event == TRANSPORT_RESET {
                self.resets += 1;
                self.connection.reset(moment.now);
                self.cid = cid(&self.function, moment.board);
            } else {
                self.nonsense += 1;
            }
            self.offer_for_event(moment.board.memory())?;
        }
        self.events.kick(moment.board)?;
        self.events.ring.want_interrupt(moment.board.memory())?;
        Ok(())
    }

    fn take_packets(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        while let Some((id, written)) = self.receive.ring.take(moment.board.memory())? {
            let packet = read(self.buffer(0, id), written.min(RECEIVE), moment.board.memory())?;
            match Header::to_guest(self.cid, &packet) {
                Some((header, payload)) => {
                    let [host, guest] = header.ports();
                    if let Some(answer) = self.connection.hear(&header, payload, moment.now) {
                        self.send(answer, [guest, host], &[], moment)?;
                    }
                }
                None => self.nonsense += 1,
            }
            self.offer_to_receive(moment.board.memory())?;
        }
        self.receive.kick(moment.board)
    }

    fn work(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        if let Some(outgoing) = self.connection.next(moment.now)
            && self.send(outgoing.op, self.connection.ports(), &outgoing.payload, moment)?
        {
            self.connection.sent(&outgoing);
        }
        match self.connection.is_waiting() {
            true => self.sleep.begin(&mut self.receive.ring, moment),
            false => Ok(()),
        }
    }

    /// Sends a packet, from and to these ports; whether there was room for it.
    fn send(
        &mut self,
        op: u16,
        ports: [u32; 2],
        payload: &[u8],
        moment: &mut Moment<'_>,
    ) -> Result<bool, Fault> {
        let memory = moment.board.memory();
        while self.transmit.ring.take(memory)?.is_some() {}
        let Some(id) = self.transmit.ring.next_id() else { return Ok(false) };
        let length = u32::try_from(payload.len()).unwrap_or_default();
        let header = self.connection.credit(Header::to_host(self.cid, ports, op, length));
        let at = self.buffer(1, id);
        let packet = [header.as_bytes(), payload].concat();
        memory.write_slice(&packet, GuestAddress(at)).map_err(|_| Fault::at(at))?;
        let pieces = [Piece::out(at, HEADER), Piece::out(at + u64::from(HEADER), length)];
        let pieces = if payload.is_empty() { pieces.get(..1).unwrap_or_default() } else { &pieces };
        let is_added = self.transmit.ring.add(pieces, memory)?.is_some();
        self.transmit.kick(moment.board)?;
        Ok(is_added)
    }
}

fn read(at: u64, length: u32, memory: &Memory) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    memory.read_slice(&mut bytes, GuestAddress(at)).map_err(|_| Fault::at(at))?;
    Ok(bytes)
}
