//! A driver for network devices (virtio 1.3 §5.1), and its work: each queue pair sends numbered frames, one after the
//! other, to a peer that sends them back; what does not come back is sent again, as on any network.

mod control;
mod frame;
mod pair;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::cpu::Moment;
use super::function::{CONFIG_CHANGED, Function};
use super::{Cell, Fault};

pub use control::Control;
pub use frame::{ETHERTYPE, HEADER, PEER, peer_answer};
pub use pair::Pair;

/// The virtio device ID.
pub const ID: u32 = 1;

const F_MAC: u8 = 5;
const F_STATUS: u8 = 16;
const F_CTRL_VQ: u8 = 17;
const F_CTRL_RX: u8 = 18;
const F_CTRL_VLAN: u8 = 19;
const F_GUEST_ANNOUNCE: u8 = 21;
const F_MQ: u8 = 22;

/// Fields of the configuration space (§5.1.4).
const STATUS: u64 = 6;
const MAX_PAIRS: u64 = 8;
/// Bit of the status: the driver is to announce where the device is now.
const ANNOUNCE: u64 = 2;

/// The driver of a device.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Net {
    function: Function,
    /// Queue pairs that it uses.
    count: u64,
    /// Guest addresses of their [`Pair`]s.
    pairs: [u64; 32],
    /// Guest address of its [`Control`]; 0 if the device has no control queue.
    control: u64,
    /// Frames that came and were damaged, or nobody's.
    pub bad: u64,
}

pub(super) fn set_up(function: &Function, booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let known = [F_MAC, F_STATUS, F_CTRL_VQ, F_CTRL_RX, F_CTRL_VLAN, F_GUEST_ANNOUNCE, F_MQ];
    let config = *function;
    let mut most = 1;
    let set_up = function.set_up(&known, booting, |features, board| {
        let has = |bit: u8| features >> bit & 1 == 1;
        if has(F_MQ) {
            most = usize::try_from(config.config(MAX_PAIRS, 2, board)).unwrap_or(1).clamp(1, 32);
        }
        // The control queue is behind all pairs that there could be (§5.1.2).
        2 * most + usize::from(has(F_CTRL_VQ))
    })?;
    let mac = mac(function, booting);
    let mut queues = set_up.queues.into_iter();
    let mut net = Net { function: *function, count: most as u64, pairs: [0; 32], control: 0, bad: 0 };
    for (index, place) in (0..most as u64).zip(&mut net.pairs) {
        let both = queues.next().zip(queues.next());
        let (receive, transmit) = both.ok_or_else(|| function.fault("a queue is missing".to_owned()))?;
        let stream = u64::from(function.slot) << 8 | index;
        let pair = Pair::set_up(receive, transmit, stream, mac, booting)?;
        *place = booting.place(&pair)?;
    }
    if let Some(queue) = queues.next() {
        let control = Control::set_up(queue, most, booting)?;
        net.control = booting.place(&control)?;
    }
    function.start(booting.board);
    for cell in net.cells() {
        let mut pair = cell.load(booting.memory())?;
        pair.start(booting.board)?;
        cell.store(&pair, booting.memory())?;
    }
    booting.place(&net)
}

fn mac(function: &Function, booting: &mut Booting<'_>) -> [u8; 6] {
    let mut mac = [0; 6];
    for (offset, byte) in (0..).zip(&mut mac) {
        *byte = u8::try_from(function.config(offset, 1, booting.board)).unwrap_or_default();
    }
    mac
}

pub(super) fn step(cell: u64, moment: &mut Moment<'_>) -> Result<(), Fault> {
    let cell = Cell::<Net>::at(cell);
    let mut net = cell.load(moment.board.memory())?;
    let reasons = if moment.interrupted { net.function.acknowledge(moment.board) } else { 0 };
    let mut answers = Vec::new();
    for cell in net.cells() {
        let mut pair = cell.load(moment.board.memory())?;
        if moment.interrupted || pair.is_late(moment) {
            pair.receive(&mut answers, moment.board)?;
            cell.store(&pair, moment.board.memory())?;
        }
    }
    for cell in net.cells() {
        let mut pair = cell.load(moment.board.memory())?;
        pair.work(&mut answers, moment)?;
        cell.store(&pair, moment.board.memory())?;
    }
    if !answers.is_empty() {
        net.bad += answers.len() as u64;
        cell.store(&net, moment.board.memory())?;
    }
    if net.control != 0 {
        let cell = Cell::<Control>::at(net.control);
        let mut control = cell.load(moment.board.memory())?;
        let changed = reasons & CONFIG_CHANGED != 0;
        if changed && net.function.config(STATUS, 2, moment.board) & ANNOUNCE != 0 {
            control.announce();
        }
        control.step(moment)?;
        cell.store(&control, moment.board.memory())?;
    }
    Ok(())
}

impl Net {
    /// Its queue pairs.
    pub fn cells(&self) -> impl Iterator<Item = Cell<Pair>> {
        let count = usize::try_from(self.count).unwrap_or_default();
        self.pairs.into_iter().take(count).map(Cell::at)
    }

    /// Its control queue.
    #[must_use]
    pub fn control(&self) -> Option<Cell<Control>> {
        (self.control != 0).then(|| Cell::at(self.control))
    }
}
