//! A network device as it runs.

use vm_memory::GuestMemory;
use vmstate::types::Buffer;

use super::port::{Port, addresses};
use super::{Net, control, feature, frames};
use crate::core::Features;
use crate::device::{Device, DeviceState, DeviceType, Mac};
use crate::live::{Breakage, ConfigSpace, Context, InFlight, LiveDevice, Negotiated, ResumeError};
use crate::ring::Chain;
use crate::shape::{Switch, Switches};

/// Bits of the status (§5.1.4).
pub(super) const LINK_UP: u16 = 1;
pub(super) const ANNOUNCE: u16 = 2;

/// Frames that are received in one go.
const AT_ONCE: usize = 64;
/// Commands that a control queue has.
const CONTROL_SIZE: u16 = 64;

/// How a network device is set up.
#[derive(Debug, Clone, Copy)]
pub struct NetOptions {
    /// Its address.
    pub mac: Mac,
    /// Queue pairs.
    pub pairs: u16,
    /// Entries of each queue.
    pub queue_size: u16,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self { mac: Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]), pairs: 1, queue_size: 256 }
    }
}

/// A running network device.
pub struct LiveNet {
    port: Box<dyn Port>,
    options: NetOptions,
    /// What the driver has told it, as the stream has it.
    pub(super) state: Net,
    /// Pairs that the driver uses.
    pub(super) current_pairs: u16,
    pub(super) offloads: u64,
    /// A frame for which there was no room. Lost if the device is stopped: networks lose frames.
    waiting: Option<Vec<u8>>,
    /// Pairs whose transmit queue has frames that the network did not take.
    blocked: Vec<bool>,
}

impl std::fmt::Debug for LiveNet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveNet").field("options", &self.options).finish_non_exhaustive()
    }
}

impl LiveNet {
    /// A network device at a port.
    #[must_use]
    pub fn new(port: Box<dyn Port>, options: NetOptions) -> Self {
        let pairs = usize::from(options.pairs);
        Self {
            port,
            options,
            state: Net::blank(options.mac),
            current_pairs: 1,
            offloads: 0,
            waiting: None,
            blocked: vec![false; pairs],
        }
    }

    pub(super) fn pairs(&self) -> u16 {
        self.options.pairs
    }

    /// The number of the control queue: without `MQ` there is one pair (§5.1.2).
    fn control_queue(&self, negotiated: &Negotiated) -> usize {
        let pairs = if negotiated.features.has(feature::MQ) { self.options.pairs } else { 1 };
        2 * usize::from(pairs)
    }

    /// Sends what the driver offers, until the network takes no more.
    fn transmit<M: GuestMemory>(&mut self, index: usize, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let negotiated = cx.negotiated;
        let Some(mut queue) = cx.queue(index)? else { return Ok(false) };
        let mut did = false;
        let mut is_blocked = false;
        while let Some(chain) = queue.pop()? {
            if let Some(frame) = frames::read(&chain, queue.memory(), &negotiated) {
                // What a network that is gone does not take is lost.
                is_blocked = !self.port.send(&frame).unwrap_or(true);
            }
            if is_blocked {
                queue.unpop(chain)?;
                break;
            }
            queue.push(chain, 0)?;
            did = true;
        }
        if let Some(blocked) = self.blocked.get_mut(index / 2) {
            *blocked = is_blocked;
        }
        queue.signal()?;
        Ok(did)
    }

    /// Receives what has come, until there is no room.
    fn receive<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let negotiated = cx.negotiated;
        let mut did = false;
        for _ in 0..AT_ONCE {
            let next = self.waiting.take().or_else(|| self.port.receive().unwrap_or_default());
            let Some(frame) = next else { break };
            if !self.state.accepts(&frame) {
                did = true;
                continue;
            }
            let Some(mut queue) = cx.queue(self.queue_of(&frame))? else { break };
            if !frames::write(&frame, &mut queue, &negotiated)? {
                self.waiting = Some(frame);
                break;
            }
            queue.signal()?;
            did = true;
        }
        Ok(did)
    }

    /// Which receive queue a frame goes to: frames of one sender stay together, and so in order.
    fn queue_of(&self, frame: &[u8]) -> usize {
        let pairs = usize::from(self.current_pairs.max(1));
        let from = addresses(frame)
            .map_or(0, |(_, from)| from.0.iter().fold(0, |sum, &byte| sum + usize::from(byte)));
        let flow = frame
            .get(14..)
            .unwrap_or_default()
            .iter()
            .take(24)
            .fold(from, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        2 * (flow % pairs)
    }

    fn serve_control<M: GuestMemory>(
        &mut self,
        index: usize,
        cx: &mut Context<'_, M>,
    ) -> Result<(), Breakage> {
        let negotiated = cx.negotiated;
        let Some(mut queue) = cx.queue(index)? else { return Ok(()) };
        while let Some(chain) = queue.pop()? {
            if chain.writable_len() == 0 {
                let message = "a command without room for its status".to_owned();
                return Err(Breakage::Request { queue: index, message });
            }
            let length = usize::try_from(chain.readable_len().min(control::LONGEST)).unwrap_or_default();
            let mut command = vec![0; length];
            let is_read = std::io::Read::read_exact(&mut chain.reader(queue.memory()), &mut command).is_ok();
            let done = is_read && self.obey(&command, &negotiated);
            queue.answer(chain, &[u8::from(!done)])?;
        }
        queue.signal()
    }
}

impl<M: GuestMemory> LiveDevice<M> for LiveNet {
    fn device_type(&self) -> &'static DeviceType {
        const { &Net::TYPE }
    }

    fn features(&self) -> Features {
        let always = [
            feature::CSUM,
            feature::GUEST_CSUM,
            feature::CTRL_GUEST_OFFLOADS,
            feature::MAC,
            feature::MRG_RXBUF,
            feature::STATUS,
            feature::CTRL_VQ,
            feature::CTRL_RX,
            feature::CTRL_VLAN,
            feature::CTRL_RX_EXTRA,
            feature::GUEST_ANNOUNCE,
            feature::CTRL_MAC_ADDR,
        ];
        always.into_iter().chain((self.options.pairs > 1).then_some(feature::MQ)).collect()
    }

    fn queue_sizes(&self) -> Vec<u16> {
        let mut sizes = vec![self.options.queue_size; 2 * usize::from(self.options.pairs)];
        sizes.push(CONTROL_SIZE);
        sizes
    }

    fn switches(&self) -> Switches {
        match self.options.pairs {
            0 | 1 => Switches::default(),
            _ => Switches::default().with(Switch::Multiqueue),
        }
    }

    fn config(&self, negotiated: &Negotiated) -> Vec<u8> {
        ConfigSpace::new(negotiated.endianness)
            .bytes(&self.state.mac.0)
            .u16(self.state.status)
            .u16(self.options.pairs)
            .into_bytes()
    }

    fn driver_ok(&mut self, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        if !cx.has(feature::CTRL_VLAN) {
            self.state.vlans = Buffer::new([0xff; 512]);
        }
        self.offloads =
            u64::try_from((cx.negotiated.features & feature::GUEST_OFFLOADS).0).unwrap_or_default();
        Ok(())
    }

    fn notify(&mut self, queue: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        if queue == self.control_queue(&cx.negotiated) {
            self.serve_control(queue, cx)
        } else if queue % 2 == 1 {
            self.transmit(queue, cx).map(drop)
        } else {
            self.receive(cx).map(drop)
        }
    }

    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let mut did = self.receive(cx)?;
        for pair in 0..self.blocked.len() {
            if self.blocked.get(pair) == Some(&true) {
                did |= self.transmit(2 * pair + 1, cx)?;
            }
        }
        Ok(did)
    }

    fn reset(&mut self) {
        self.state = Net::blank(self.options.mac);
        self.current_pairs = 1;
        self.offloads = 0;
        self.blocked.fill(false);
    }

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        self.waiting = None;
        Vec::new()
    }

    fn state(&mut self, _: Vec<InFlight>, cx: &Context<'_, M>) -> DeviceState {
        let is_many = self.options.pairs > 1;
        let mut blocked = self.blocked.iter().map(|&blocked| u32::from(blocked));
        let first = blocked.next().unwrap_or_default();
        let others = usize::from(self.current_pairs.saturating_sub(1));
        DeviceState::Net(Net {
            tx_waiting: first,
            more_tx_waiting: if is_many { blocked.take(others).collect() } else { Vec::new() },
            mergeable_rx_bufs: cx.has(feature::MRG_RXBUF).into(),
            max_queue_pairs: is_many.then_some(self.options.pairs),
            curr_queue_pairs: is_many.then_some(self.current_pairs),
            curr_guest_offloads: cx.has(feature::CTRL_GUEST_OFFLOADS).then_some(self.offloads),
            ..self.state.clone()
        })
    }

    fn resume(&mut self, state: DeviceState, cx: &mut Context<'_, M>) -> Result<(), ResumeError> {
        let DeviceState::Net(state) = state else {
            return Err(ResumeError::other_type(state.device_type(), const { &Net::TYPE }));
        };
        let pairs = state.curr_queue_pairs.unwrap_or(1);
        if pairs > self.options.pairs {
            let message =
                format!("the driver uses {pairs} queue pairs, the device here has {}", self.options.pairs);
            return Err(ResumeError::Device(message));
        }
        if state.rss.as_ref().is_some_and(|rss| rss.enabled) {
            let message = "the driver uses receive-side scaling, which the device here does not offer";
            return Err(ResumeError::Device(message.to_owned()));
        }
        self.current_pairs = pairs.max(1);
        self.offloads = state.curr_guest_offloads.unwrap_or_default();
        let waiting = std::iter::once(&state.tx_waiting).chain(&state.more_tx_waiting);
        for (blocked, &waiting) in self.blocked.iter_mut().zip(waiting) {
            *blocked = waiting != 0;
        }
        self.state = state;
        // The network has to learn where the device is now.
        if cx.has(feature::GUEST_ANNOUNCE) && cx.has(feature::CTRL_VQ) {
            self.state.status |= ANNOUNCE;
            cx.config_changed();
        }
        Ok(())
    }
}
