//! virtio-mmio registers (virtio 1.3 §4.2.2).

use super::{Function, Queue};
use crate::guest::ring::{Ring, Style};
use crate::guest::{Board, Fault};
use crate::map;

const MAGIC: u64 = 0x000;
const DEVICE_ID: u64 = 0x008;
const DEVICE_FEATURES: u64 = 0x010;
const DEVICE_FEATURES_SEL: u64 = 0x014;
const DRIVER_FEATURES: u64 = 0x020;
const DRIVER_FEATURES_SEL: u64 = 0x024;
const QUEUE_SEL: u64 = 0x030;
const QUEUE_NUM_MAX: u64 = 0x034;
const QUEUE_NUM: u64 = 0x038;
const QUEUE_READY: u64 = 0x044;
const QUEUE_NOTIFY: u64 = 0x050;
const INTERRUPT_STATUS: u64 = 0x060;
const INTERRUPT_ACK: u64 = 0x064;
const STATUS: u64 = 0x070;
const QUEUE_DESC: u64 = 0x080;
const QUEUE_DRIVER: u64 = 0x090;
const QUEUE_DEVICE: u64 = 0x0a0;
const CONFIG: u64 = 0x100;

/// "virt".
const MAGIC_VALUE: u64 = 0x7472_6976;

pub(super) fn find(slot: usize, board: &mut dyn Board) -> Option<(u32, Function)> {
    let base = map::MMIO + map::MMIO_STRIDE * slot as u64;
    let device = board.read(base + DEVICE_ID, 4);
    if board.read(base + MAGIC, 4) != MAGIC_VALUE || device == 0 {
        return None;
    }
    let function = Function {
        transport: 0,
        slot: u32::try_from(slot).ok()?,
        common: base,
        isr: base + INTERRUPT_STATUS,
        config: base + CONFIG,
        ..Function::default()
    };
    Some((u32::try_from(device).ok()?, function))
}

pub(super) fn status(function: &Function) -> (u64, usize) {
    (function.common + STATUS, 4)
}

pub(super) fn offered(function: &Function) -> [u64; 2] {
    [DEVICE_FEATURES_SEL, DEVICE_FEATURES].map(|register| function.common + register)
}

pub(super) fn accepted(function: &Function) -> [u64; 2] {
    [DRIVER_FEATURES_SEL, DRIVER_FEATURES].map(|register| function.common + register)
}

pub(super) fn acknowledge(function: &Function, board: &mut dyn Board) -> u8 {
    let reasons = board.read(function.isr, 4);
    board.write(function.common + INTERRUPT_ACK, 4, reasons);
    u8::try_from(reasons & 0xff).unwrap_or_default()
}

pub(super) fn set_up_queue(
    function: &Function,
    index: u16,
    at: u64,
    style: Style,
    board: &mut dyn Board,
) -> Result<Queue, Fault> {
    let base = function.common;
    board.write(base + QUEUE_SEL, 4, index.into());
    let most = board.read(base + QUEUE_NUM_MAX, 4);
    if most == 0 {
        return Err(function.fault(format!("it has no queue {index}")));
    }
    let ring = Ring::new(at, u16::try_from(most).unwrap_or(u16::MAX), style);
    board.write(base + QUEUE_NUM, 4, ring.size.into());
    for (register, address) in
        [(QUEUE_DESC, ring.desc), (QUEUE_DRIVER, ring.avail), (QUEUE_DEVICE, ring.used)]
    {
        board.write(base + register, 4, address & 0xffff_ffff);
        board.write(base + register + 4, 4, address >> 32);
    }
    board.write(base + QUEUE_READY, 4, 1);
    Ok(Queue { ring, notify: base + QUEUE_NOTIFY, index: index.into(), width: 4 })
}
