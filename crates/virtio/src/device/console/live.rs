//! A console as it runs.
//!
//! What the guest writes is taken from its ring chain by chain. A chain of which the other end has taken only a part
//! stays with its port, and is carried when the device stops, with how far it was read out: no byte goes twice.

use std::collections::VecDeque;
use std::io::Read;

use vm_memory::GuestMemory;

use super::control::{Control, event};
use super::port::ConsolePort;
use super::{Console, PoppedElement, Port, feature};
use crate::core::Features;
use crate::device::{Device, DeviceState, DeviceType};
use crate::element::Element;
use crate::live::{Breakage, ConfigSpace, Context, InFlight, LiveDevice, Negotiated, ResumeError};
use crate::ring::Chain;

/// Where the driver writes a character without a queue (§5.3.4).
const EMERG_WR: usize = 8;
/// The queues of control messages.
const CONTROL_RECEIVE: usize = 2;
const CONTROL_TRANSMIT: usize = 3;
/// Bytes that go at once.
const PIECE: usize = 4096;
/// Messages to the driver that wait for buffers; a driver that gives none is not told more.
const MOST_MESSAGES: usize = 256;

/// A port, and what it is called.
pub struct PortOptions {
    /// The other end.
    pub end: Box<dyn ConsolePort>,
    /// What the driver calls it, if it is to have a name.
    pub name: Option<String>,
    /// Whether it is a console, and not just a channel.
    pub is_console: bool,
}

impl std::fmt::Debug for PortOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { end: _, name, is_console } = self;
        f.debug_struct("PortOptions")
            .field("name", name)
            .field("is_console", is_console)
            .finish_non_exhaustive()
    }
}

/// A port of a running console.
struct LivePort {
    options: PortOptions,
    guest_connected: bool,
    /// What the driver was told last.
    host_connected: bool,
    /// A chain that is being read out.
    popped: Option<Chain>,
    /// How many bytes of it have been.
    done: u64,
}

/// A running console.
pub struct LiveConsole {
    ports: Vec<LivePort>,
    size: (u16, u16),
    queue_size: u16,
    /// What the driver is still to be told.
    messages: VecDeque<Control>,
}

impl std::fmt::Debug for LiveConsole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveConsole").field("ports", &self.ports.len()).finish_non_exhaustive()
    }
}

/// The receive queue of a port; its transmit queue is the next (§5.3.2).
fn receive_queue(port: usize) -> usize {
    if port == 0 { 0 } else { 2 * port + 2 }
}

impl LiveConsole {
    /// A console with ports, of which there is at least one, and a size in columns and rows.
    #[must_use]
    pub fn new(ports: Vec<PortOptions>, size: (u16, u16)) -> Self {
        let port = |options: PortOptions| {
            let host_connected = options.end.is_open();
            LivePort { options, guest_connected: false, host_connected, popped: None, done: 0 }
        };
        Self { ports: ports.into_iter().map(port).collect(), size, queue_size: 64, messages: VecDeque::new() }
    }

    /// A console with one port.
    #[must_use]
    pub fn single(end: Box<dyn ConsolePort>) -> Self {
        Self::new(vec![PortOptions { end, name: None, is_console: true }], (80, 25))
    }

    fn say(&mut self, message: Control) {
        if self.messages.len() < MOST_MESSAGES {
            self.messages.push_back(message);
        }
    }

    /// The driver has said something.
    fn hear(&mut self, message: &Control) {
        let yes = message.value != 0;
        if message.event == event::DEVICE_READY {
            for id in (0..self.ports.len()).filter_map(|id| u32::try_from(id).ok()).filter(|_| yes) {
                self.say(Control::new(id, event::PORT_ADD, 1));
            }
            return;
        }
        let id = message.port;
        let Some(port) = usize::try_from(id).ok().and_then(|id| self.ports.get_mut(id)) else { return };
        match message.event {
            event::PORT_READY if yes => {
                let (is_console, is_open) = (port.options.is_console, port.host_connected);
                let name = port.options.name.clone().unwrap_or_default().into_bytes();
                if is_console {
                    self.say(Control::new(id, event::CONSOLE_PORT, 1));
                }
                if !name.is_empty() {
                    self.say(Control { name, ..Control::new(id, event::PORT_NAME, 1) });
                }
                if is_open {
                    self.say(Control::new(id, event::PORT_OPEN, 1));
                }
            }
            event::PORT_OPEN => port.guest_connected = yes,
            _ => {}
        }
    }

    fn hear_all<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let endianness = cx.negotiated.endianness;
        let Some(mut queue) = cx.queue(CONTROL_TRANSMIT)? else { return Ok(()) };
        while let Some(chain) = queue.pop()? {
            // What is too short says nothing.
            if let Ok(bytes) = chain.reader(queue.memory()).array() {
                self.hear(&Control::from_bytes(bytes, endianness));
            }
            queue.push(chain, 0)?;
        }
        queue.signal()
    }

    /// Tells the driver what it is to be told, as far as there are buffers.
    fn tell<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        for id in 0..self.ports.len() {
            let Some(port) = self.ports.get_mut(id) else { continue };
            let is_open = port.options.end.is_open();
            if std::mem::replace(&mut port.host_connected, is_open) != is_open {
                let id = u32::try_from(id).unwrap_or(u32::MAX);
                self.say(Control::new(id, event::PORT_OPEN, is_open.into()));
            }
        }
        if self.messages.is_empty() || !cx.has(feature::MULTIPORT) {
            return Ok(false);
        }
        let endianness = cx.negotiated.endianness;
        let Some(mut queue) = cx.queue(CONTROL_RECEIVE)? else { return Ok(false) };
        let mut did = false;
        while let Some(message) = self.messages.front() {
            let Some(chain) = queue.pop()? else { break };
            queue.answer(chain, &message.to_bytes(endianness))?;
            self.messages.pop_front();
            did = true;
        }
        queue.signal()?;
        Ok(did)
    }

    /// Hands on what the guest writes to a port, until its other end takes no more.
    fn read_out<M: GuestMemory>(&mut self, id: usize, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let Some(port) = self.ports.get_mut(id) else { return Ok(false) };
        let Some(mut queue) = cx.queue(receive_queue(id) + 1)? else { return Ok(false) };
        let mut did = false;
        loop {
            let chain = match port.popped.take() {
                Some(chain) => chain,
                None => {
                    port.done = 0;
                    let Some(chain) = queue.pop()? else { break };
                    chain
                }
            };
            let before = port.done;
            port.write_out(&chain, queue.memory());
            did |= port.done > before;
            if port.done < chain.readable_len() {
                port.popped = Some(chain);
                break;
            }
            queue.push(chain, 0)?;
            did = true;
        }
        queue.signal()?;
        Ok(did)
    }

    /// Has the guest read what there is for it at a port.
    fn read_in<M: GuestMemory>(&mut self, id: usize, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let Some(port) = self.ports.get_mut(id) else { return Ok(false) };
        if cx.has(feature::MULTIPORT) && !port.guest_connected {
            return Ok(false);
        }
        let Some(mut queue) = cx.queue(receive_queue(id))? else { return Ok(false) };
        let mut did = false;
        while let Some(chain) = queue.pop()? {
            let room = usize::try_from(chain.writable_len()).unwrap_or(PIECE).min(PIECE);
            let mut bytes = vec![0; room];
            let length = port.options.end.read(&mut bytes).unwrap_or_default();
            if length == 0 {
                queue.unpop(chain)?;
                break;
            }
            queue.answer(chain, bytes.get(..length).unwrap_or_default())?;
            did = true;
        }
        queue.signal()?;
        Ok(did)
    }

    fn serve<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let mut did = self.tell(cx)?;
        let ports = if cx.has(feature::MULTIPORT) { self.ports.len() } else { 1 };
        for id in 0..ports {
            did |= self.read_out(id, cx)?;
            did |= self.read_in(id, cx)?;
        }
        Ok(did)
    }
}

impl LivePort {
    /// Hands on what is left of a chain, until the other end takes no more.
    fn write_out<M: GuestMemory>(&mut self, chain: &Chain, memory: &M) {
        let length = chain.readable_len();
        let mut reader = chain.reader(memory);
        reader.skip(self.done);
        while self.done < length {
            let piece = usize::try_from(length - self.done).unwrap_or(PIECE).min(PIECE);
            let mut bytes = vec![0; piece];
            let is_read = reader.read_exact(&mut bytes).is_ok();
            // An end that is gone takes everything, and keeps nothing.
            let is_there = is_read && self.options.end.is_open();
            let Some(taken) = is_there.then(|| self.options.end.write(&bytes).ok()).flatten() else {
                self.done = length;
                return;
            };
            self.done += taken as u64;
            if taken < piece {
                return;
            }
        }
    }

    /// The port's state, with what is being read out of it.
    fn state(&self, id: usize, popped: Option<PoppedElement>) -> Port {
        Port {
            id: u32::try_from(id).unwrap_or(u32::MAX),
            guest_connected: self.guest_connected,
            host_connected: self.host_connected,
            elem_popped: popped.is_some().into(),
            element: popped,
        }
    }
}

impl PoppedElement {
    /// An element of which so many bytes were read out.
    fn new(element: Element, mut done: u64) -> Self {
        let mut iov_idx = 0;
        for buffer in &element.out_sg {
            if done < buffer.len {
                break;
            }
            done -= buffer.len;
            iov_idx += 1;
        }
        Self { iov_idx, iov_offset: done, element }
    }

    /// How many bytes of it were read out.
    fn done(&self) -> u64 {
        let before = self.element.out_sg.iter().take(usize::try_from(self.iov_idx).unwrap_or(usize::MAX));
        before.map(|buffer| buffer.len).sum::<u64>().saturating_add(self.iov_offset)
    }
}

impl<M: GuestMemory> LiveDevice<M> for LiveConsole {
    fn device_type(&self) -> &'static DeviceType {
        const { &Console::TYPE }
    }

    fn features(&self) -> Features {
        let many = (self.ports.len() > 1).then_some(feature::MULTIPORT);
        [feature::SIZE, feature::EMERG_WRITE].into_iter().chain(many).collect()
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![self.queue_size; 2 * (self.ports.len() + 1)]
    }

    fn config(&self, negotiated: &Negotiated) -> Vec<u8> {
        let ports = u32::try_from(self.ports.len()).unwrap_or(u32::MAX);
        let space = ConfigSpace::new(negotiated.endianness);
        space.u16(self.size.0).u16(self.size.1).u32(ports).u32(0).into_bytes()
    }

    fn write_config(&mut self, offset: usize, data: &[u8], cx: &mut Context<'_, M>) {
        if let (EMERG_WR, Ok(value), Some(port)) = (offset, data.try_into(), self.ports.first_mut()) {
            let character = u8::try_from(cx.negotiated.endianness.u32(value) & 0xff).unwrap_or_default();
            // It is a last resort: what does not get through is lost.
            let _ = port.options.end.write(&[character]);
        }
    }

    fn driver_ok(&mut self, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        // A driver that knows one port only does not say that it has opened it.
        if let Some(port) = self.ports.first_mut()
            && !cx.has(feature::MULTIPORT)
        {
            port.guest_connected = true;
        }
        Ok(())
    }

    fn notify(&mut self, queue: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        if queue == CONTROL_TRANSMIT && cx.has(feature::MULTIPORT) {
            self.hear_all(cx)?;
        }
        self.serve(cx).map(drop)
    }

    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        self.serve(cx)
    }

    fn reset(&mut self) {
        self.messages.clear();
        for port in &mut self.ports {
            port.guest_connected = false;
            port.popped = None;
        }
    }

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        let ports = self.ports.iter_mut().enumerate();
        ports.filter_map(|(id, port)| Some((receive_queue(id) + 1, port.popped.take()?))).collect()
    }

    fn state(&mut self, in_flight: Vec<InFlight>, cx: &Context<'_, M>) -> DeviceState {
        let endianness = cx.negotiated.endianness;
        // As it lies in the configuration space, read by a little-endian host.
        let config = |value: u16| u16::from_le_bytes(endianness.u16_bytes(value));
        let ports = u32::try_from(self.ports.len()).unwrap_or(u32::MAX);
        let mut ports_map = vec![0_u32; self.ports.len().div_ceil(32)];
        for (id, word) in (0..self.ports.len()).map(|id| (id, id / 32)) {
            if let Some(word) = ports_map.get_mut(word) {
                *word |= 1 << (id % 32);
            }
        }
        let states = self.ports.iter().enumerate().map(|(id, port)| {
            let popped = in_flight.iter().find(|it| it.queue == receive_queue(id) + 1);
            port.state(id, popped.map(|it| PoppedElement::new(it.element.clone(), port.done)))
        });
        DeviceState::Console(Console {
            cols: config(self.size.0),
            rows: config(self.size.1),
            max_nr_ports: u32::from_le_bytes(endianness.u32_bytes(ports)),
            ports_map,
            ports: states.collect::<Vec<_>>().into(),
        })
    }

    fn resume(&mut self, state: DeviceState, cx: &mut Context<'_, M>) -> Result<(), ResumeError> {
        let DeviceState::Console(console) = state else {
            return Err(ResumeError::other_type(state.device_type(), const { &Console::TYPE }));
        };
        for saved in console.ports.iter() {
            let id = usize::try_from(saved.id).unwrap_or(usize::MAX);
            let Some(port) = self.ports.get_mut(id) else {
                let ports = self.ports.len();
                let message = format!("the state has port {id}, the console here has {ports}");
                return Err(ResumeError::Device(message));
            };
            port.guest_connected = saved.guest_connected;
            // Where that is not so here, the driver is told.
            port.host_connected = saved.host_connected;
            if let Some(popped) = &saved.element {
                port.done = popped.done();
                port.popped = Some(cx.resume(receive_queue(id) + 1, &popped.element)?);
            }
        }
        Ok(())
    }
}
