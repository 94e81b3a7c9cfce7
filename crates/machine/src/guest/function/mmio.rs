//! virtio-mmio registers (virtio 1.3 §4.2.2).

use super::{Function, Registers};
use crate::guest::Board;
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

pub(super) const REGISTERS: Registers = Registers {
    status: (STATUS, 4),
    device_features: [DEVICE_FEATURES_SEL, DEVICE_FEATURES],
    driver_features: [DRIVER_FEATURES_SEL, DRIVER_FEATURES],
    queue_width: 4,
    queue_select: QUEUE_SEL,
    queue_most: QUEUE_NUM_MAX,
    queue_size: QUEUE_NUM,
    queue_addresses: [QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE],
    queue_enable: QUEUE_READY,
};

/// "virt".
const MAGIC_VALUE: u64 = 0x7472_6976;

pub(super) fn find(slot: usize, board: &mut dyn Board) -> Option<(u32, Function)> {
    let base = map::MMIO + map::MMIO_STRIDE * slot as u64;
    let device = board.read(base + DEVICE_ID, 4);
    if board.read(base + MAGIC, 4) != MAGIC_VALUE || device == 0 {
        return None;
    }
    let function = Function {
        transport: super::MMIO,
        slot: u32::try_from(slot).ok()?,
        common: base,
        isr: base + INTERRUPT_STATUS,
        config: base + CONFIG,
        ..Function::default()
    };
    Some((u32::try_from(device).ok()?, function))
}

pub(super) fn acknowledge(function: &Function, board: &mut dyn Board) -> u8 {
    let reasons = board.read(function.isr, 4);
    board.write(function.common + INTERRUPT_ACK, 4, reasons);
    u8::try_from(reasons & 0xff).unwrap_or_default()
}

/// Where all queues are notified.
pub(super) fn notify(function: &Function) -> u64 {
    function.common + QUEUE_NOTIFY
}
