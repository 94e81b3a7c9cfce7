//! Input device as it runs (virtio 1.3 §5.8): a keyboard. Its state is in core and transport alone: [`Input`].

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use vm_memory::GuestMemory;

use super::no_state::Input;
use super::{Device, DeviceState, DeviceType};
use crate::core::Features;
use crate::live::{Breakage, Context, InFlight, LiveDevice, Negotiated, ResumeError, ServedQueue};
use crate::ring::Chain;

/// The queues (§5.8.2).
const EVENTS: usize = 0;
const STATUS: usize = 1;

/// What the driver asks for in the configuration space (§5.8.4).
mod select {
    pub(super) const ID_NAME: u8 = 0x01;
    pub(super) const ID_SERIAL: u8 = 0x02;
    pub(super) const ID_DEVIDS: u8 = 0x03;
    pub(super) const EV_BITS: u8 = 0x11;
}

/// Kinds of events, and codes, of Linux's evdev.
const EV_SYN: u8 = 0;
const EV_KEY: u8 = 1;
const EV_LED: u8 = 17;
/// Codes of the keys that a keyboard has: up to `KEY_MICMUTE`.
const LAST_KEY: u8 = 248;
/// Num lock, caps lock, scroll lock.
const LEDS: u8 = 0b111;
/// Groups of events that wait for the driver; more are lost.
const MOST_WAITING: usize = 1024;
/// Bytes of an event: two 16-bit values and one of 32 bits.
const EVENT: usize = 8;
/// Bytes of the configuration space: select, subsel, size, five reserved, 128 of answer.
const ANSWER_AT: usize = 8;
const ANSWER: usize = 128;

/// An event of an input device (§5.8.5): values of Linux's evdev.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputEvent {
    /// What kind it is.
    pub kind: u16,
    /// Which key, axis, or light.
    pub code: u16,
    /// What it is now.
    pub value: u32,
}

/// Who types, and sees the lights. Clones are of the same keyboard.
#[derive(Debug, Clone, Default)]
pub struct InputHandle(Arc<Mutex<Hands>>);

#[derive(Debug, Default)]
struct Hands {
    /// Groups of events, each of which ends with `SYN_REPORT`.
    waiting: VecDeque<Vec<InputEvent>>,
    /// A bit for each light that the guest has on.
    lights: u32,
}

impl InputHandle {
    /// A key goes down, or up.
    pub fn key(&self, code: u16, down: bool) {
        let key = InputEvent { kind: EV_KEY.into(), code, value: down.into() };
        let report = InputEvent { kind: EV_SYN.into(), code: 0, value: 0 };
        let mut hands = self.0.lock();
        if hands.waiting.len() < MOST_WAITING {
            hands.waiting.push_back(vec![key, report]);
        }
    }

    /// A bit for each light that the guest has on: num lock, caps lock, scroll lock.
    #[must_use]
    pub fn lights(&self) -> u32 {
        self.0.lock().lights
    }
}

/// A running keyboard.
#[derive(Debug)]
pub struct LiveInput {
    handle: InputHandle,
    select: u8,
    subsel: u8,
}

impl LiveInput {
    /// A keyboard.
    #[must_use]
    pub fn keyboard(handle: InputHandle) -> Self {
        Self { handle, select: 0, subsel: 0 }
    }

    /// What the driver is answered.
    fn answer(&self) -> Vec<u8> {
        match (self.select, self.subsel) {
            (select::ID_NAME, 0) => b"vmig virtio keyboard".to_vec(),
            (select::ID_SERIAL, 0) => b"1".to_vec(),
            // Bus virtual, vendor, product, version.
            (select::ID_DEVIDS, 0) => [6, 0x0627, 1, 1].into_iter().flat_map(u16::to_le_bytes).collect(),
            (select::EV_BITS, EV_KEY) => {
                let mut bits = vec![0xff; usize::from(LAST_KEY).div_ceil(8)];
                // There is no key 0.
                if let Some(first) = bits.first_mut() {
                    *first = 0xfe;
                }
                bits
            }
            (select::EV_BITS, EV_LED) => vec![LEDS],
            _ => Vec::new(),
        }
    }

    /// Hands a group of events over, if there is room for all of it; whether there was.
    fn hand<M: GuestMemory>(
        group: &[InputEvent],
        queue: &mut ServedQueue<'_, M>,
        negotiated: &Negotiated,
    ) -> Result<bool, Breakage> {
        let mut chains = Vec::new();
        for _ in group {
            let Some(chain) = queue.pop()? else {
                queue.unpop_all(chains)?;
                return Ok(false);
            };
            chains.push(chain);
        }
        let endianness = negotiated.endianness;
        for (event, chain) in group.iter().zip(chains) {
            let mut bytes = endianness.u16_bytes(event.kind).to_vec();
            bytes.extend(endianness.u16_bytes(event.code));
            bytes.extend(endianness.u32_bytes(event.value));
            queue.answer(chain, &bytes)?;
        }
        Ok(true)
    }
}

impl<M: GuestMemory> LiveDevice<M> for LiveInput {
    fn device_type(&self) -> &'static DeviceType {
        const { &Input::TYPE }
    }

    fn features(&self) -> Features {
        Features(0)
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![64; 2]
    }

    fn config(&self, _: &Negotiated) -> Vec<u8> {
        let answer = self.answer();
        let mut config = vec![0; ANSWER_AT + ANSWER];
        let size = u8::try_from(answer.len()).unwrap_or_default();
        for (at, value) in [self.select, self.subsel, size].into_iter().enumerate() {
            if let Some(place) = config.get_mut(at) {
                *place = value;
            }
        }
        config.iter_mut().skip(ANSWER_AT).zip(answer).for_each(|(place, value)| *place = value);
        config
    }

    fn write_config(&mut self, offset: usize, data: &[u8], _: &mut Context<'_, M>) {
        for (at, &value) in (offset..).zip(data) {
            match at {
                0 => self.select = value,
                1 => self.subsel = value,
                _ => {}
            }
        }
    }

    fn notify(&mut self, index: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        if index != STATUS {
            return self.poll(cx).map(drop);
        }
        let endianness = cx.negotiated.endianness;
        let Some(mut queue) = cx.queue(STATUS)? else { return Ok(()) };
        while let Some(chain) = queue.pop()? {
            if let Ok([k0, k1, c0, c1, value @ ..]) = chain.reader(queue.memory()).array::<EVENT>()
                && endianness.u16([k0, k1]) == u16::from(EV_LED)
            {
                let light = 1_u32.checked_shl(endianness.u16([c0, c1]).into()).unwrap_or_default();
                let mut hands = self.handle.0.lock();
                let is_on = endianness.u32(value) != 0;
                hands.lights = if is_on { hands.lights | light } else { hands.lights & !light };
            }
            queue.push(chain, 0)?;
        }
        queue.signal()
    }

    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let negotiated = cx.negotiated;
        let mut hands = self.handle.0.lock();
        if hands.waiting.is_empty() {
            return Ok(false);
        }
        let Some(mut queue) = cx.queue(EVENTS)? else { return Ok(false) };
        let mut did = false;
        while let Some(group) = hands.waiting.front() {
            if !Self::hand(group, &mut queue, &negotiated)? {
                break;
            }
            hands.waiting.pop_front();
            did = true;
        }
        queue.signal()?;
        Ok(did)
    }

    fn reset(&mut self) {
        (self.select, self.subsel) = (0, 0);
    }

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        Vec::new()
    }

    fn state(&mut self, _: Vec<InFlight>, _: &Context<'_, M>) -> DeviceState {
        DeviceState::Input(Input {})
    }

    fn resume(&mut self, state: DeviceState, _: &mut Context<'_, M>) -> Result<(), ResumeError> {
        match state {
            DeviceState::Input(_) => Ok(()),
            other => Err(ResumeError::other_type(other.device_type(), const { &Input::TYPE })),
        }
    }
}
