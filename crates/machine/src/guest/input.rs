//! A driver for keyboards (virtio 1.3 §5.8): counts what is typed, and has a light go on and off with each key.

use vm_memory::{Bytes, GuestAddress};
use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::{Function, Queue};
use super::ring::{MAX_SIZE, Piece};
use super::sleep::Sleep;
use super::{Cell, Fault};
use crate::ram::Memory;

/// The virtio device ID.
pub const ID: u32 = 18;

/// Buffers for events.
const EVENTS: u16 = 16;
/// Kinds of events of Linux's evdev, and the light that is used.
const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const EV_LED: u16 = 17;
const CAPS_LOCK: u16 = 1;

/// An event (§5.8.5).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Event {
    kind: U16,
    code: U16,
    value: U32,
}

/// Bytes of an event.
const EVENT: u32 = 8;
const _: () = assert!(size_of::<Event>() == EVENT as usize);

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Input {
    function: Function,
    events: Queue,
    status: Queue,
    sleep: Sleep,
    /// Guest address of the buffers: those for events come first.
    buffers: u64,
    /// Whether a key's event has come, and the end of its group has not.
    is_open: u64,
    /// Whether that was a key that went down.
    is_down: u64,
    /// Whether the light is on, as the device was told.
    pub light: u64,
    /// Keys that went down.
    pub keys: u64,
    /// Events that make no sense, and groups that were not whole.
    pub bad: u64,
}

pub(super) fn set_up(function: &Function, booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let set_up = function.set_up(&[], booting, |_, _| 2)?;
    let Ok([events, status]) = <[Queue; 2]>::try_from(set_up.queues) else {
        return Err(function.fault("it has not both of its queues".to_owned()));
    };
    let buffers = booting.allocate(2 * u64::from(EVENT) * u64::from(MAX_SIZE))?;
    let sleep = Sleep::default();
    let mut input = Input {
        function: *function,
        events,
        status,
        sleep,
        buffers,
        is_open: 0,
        is_down: 0,
        light: 0,
        keys: 0,
        bad: 0,
    };
    for _ in 0..EVENTS {
        input.offer(booting.memory())?;
    }
    function.start(booting.board);
    input.events.kick(booting.board)?;
    booting.place(&input)
}

pub(super) fn step(cell: u64, moment: &mut Moment<'_>) -> Result<(), Fault> {
    let cell = Cell::<Input>::at(cell);
    let mut input = cell.load(moment.board.memory())?;
    if moment.interrupted {
        input.function.acknowledge(moment.board);
    }
    if input.sleep.is_over(&mut input.events.ring, moment)? {
        input.read(moment)?;
        input.shine(moment)?;
        input.sleep.begin(&mut input.events.ring, moment)?;
    }
    cell.store(&input, moment.board.memory())
}

impl Input {
    /// Interrupts that should have come and did not.
    #[must_use]
    pub fn lost_interrupts(&self) -> u64 {
        self.sleep.lost
    }

    /// The buffer of a request: those for events come first.
    fn buffer(&self, number: u16) -> u64 {
        self.buffers + u64::from(EVENT) * u64::from(number)
    }

    fn offer(&mut self, memory: &Memory) -> Result<(), Fault> {
        let Some(id) = self.events.ring.next_id() else { return Ok(()) };
        let piece = Piece::input(self.buffer(id), EVENT);
        self.events.ring.add(&[piece], memory)?;
        Ok(())
    }

    fn read(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        let memory = moment.board.memory();
        while let Some((id, written)) = self.events.ring.take(memory)? {
            let event = Cell::<Event>::at(self.buffer(id)).load(memory)?;
            self.hear(&event, written == EVENT);
            self.offer(memory)?;
        }
        self.events.kick(moment.board)
    }

    fn hear(&mut self, event: &Event, is_whole: bool) {
        match (event.kind.get(), event.value.get(), self.is_open) {
            (EV_KEY, down @ 0..=1, 0) if is_whole => (self.is_open, self.is_down) = (1, down.into()),
            (EV_SYN, 0, 1) if is_whole => {
                self.keys += self.is_down;
                self.is_open = 0;
            }
            _ => self.bad += 1,
        }
    }

    /// Has the light on after every other key.
    fn shine(&mut self, moment: &mut Moment<'_>) -> Result<(), Fault> {
        let memory = moment.board.memory();
        while self.status.ring.take(memory)?.is_some() {}
        let light = self.keys % 2;
        let Some(id) = self.status.ring.next_id().filter(|_| light != self.light) else { return Ok(()) };
        let at = self.buffer(MAX_SIZE + id);
        let value = u32::try_from(light).unwrap_or_default().into();
        let event = Event { kind: EV_LED.into(), code: CAPS_LOCK.into(), value };
        memory.write_slice(event.as_bytes(), GuestAddress(at)).map_err(|_| Fault::at(at))?;
        if self.status.ring.add(&[Piece::out(at, EVENT)], memory)?.is_some() {
            self.light = light;
        }
        self.status.kick(moment.board)
    }
}
