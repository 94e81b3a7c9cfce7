//! virtio-pci (virtio 1.3 §4.1): the driver places the device's registers, finds its structures in the capability
//! list, and gives each queue a vector.

use super::{Function, Registers};
use crate::guest::{Board, Fault};
use crate::map;

/// Configuration space (PCI 3.0 §6.1).
const VENDOR_ID: u64 = 0x00;
const DEVICE_ID: u64 = 0x02;
const COMMAND: u64 = 0x04;
const BAR: u64 = 0x10;
const CAPABILITIES: u64 = 0x34;
/// Command: memory space, bus master.
const MEMORY_AND_MASTER: u64 = 6;
const VIRTIO: u64 = 0x1af4;
const FIRST_MODERN: u64 = 0x1040;

const CAPABILITY_VENDOR: u64 = 0x09;
const CAPABILITY_MSIX: u64 = 0x11;
/// MSI-X enable, in the message control of its capability.
const MSIX_ENABLE: u64 = 1 << 15;

/// Bytes that each base address register gets.
const BAR_STRIDE: u64 = 0x10_0000;
/// Space for the registers of one device.
const DEVICE_STRIDE: u64 = 4 * BAR_STRIDE;

/// The common configuration (§4.1.4.3).
const DEVICE_FEATURE_SELECT: u64 = 0x00;
const DEVICE_FEATURE: u64 = 0x04;
const DRIVER_FEATURE_SELECT: u64 = 0x08;
const DRIVER_FEATURE: u64 = 0x0c;
const CONFIG_MSIX_VECTOR: u64 = 0x10;
const DEVICE_STATUS: u64 = 0x14;
const QUEUE_SELECT: u64 = 0x16;
const QUEUE_SIZE: u64 = 0x18;
const QUEUE_MSIX_VECTOR: u64 = 0x1a;
const QUEUE_ENABLE: u64 = 0x1c;
const QUEUE_NOTIFY_OFF: u64 = 0x1e;
const QUEUE_DESC: u64 = 0x20;
const QUEUE_DRIVER: u64 = 0x28;
const QUEUE_DEVICE: u64 = 0x30;

pub(super) const REGISTERS: Registers = Registers {
    status: (DEVICE_STATUS, 1),
    device_features: [DEVICE_FEATURE_SELECT, DEVICE_FEATURE],
    driver_features: [DRIVER_FEATURE_SELECT, DRIVER_FEATURE],
    queue_width: 2,
    queue_select: QUEUE_SELECT,
    queue_most: QUEUE_SIZE,
    queue_size: QUEUE_SIZE,
    queue_addresses: [QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE],
    queue_enable: QUEUE_ENABLE,
};

pub(super) fn find(slot: usize, board: &mut dyn Board) -> Result<Option<(u32, Function)>, Fault> {
    let config = map::ECAM + map::ECAM_STRIDE * slot as u64;
    let device = board.read(config + DEVICE_ID, 2);
    if board.read(config + VENDOR_ID, 2) != VIRTIO || device < FIRST_MODERN {
        return Ok(None);
    }
    let bars = place(config, slot, board);
    board.write(config + COMMAND, 2, MEMORY_AND_MASTER);
    let mut function = Function {
        transport: super::PCI,
        slot: u32::try_from(slot).unwrap_or_default(),
        ..Function::default()
    };
    let mut at = board.read(config + CAPABILITIES, 1);
    for _ in 0..48 {
        if at == 0 {
            break;
        }
        match board.read(config + at, 1) {
            CAPABILITY_VENDOR => structure(&mut function, config + at, &bars, board),
            CAPABILITY_MSIX => set_up_msix(config + at, slot, &bars, board),
            _ => {}
        }
        at = board.read(config + at + 1, 1);
    }
    if [function.common, function.notify, function.isr].contains(&0) {
        return Err(function.fault("its capabilities do not say where its registers are".to_owned()));
    }
    Ok(Some((u32::try_from(device - FIRST_MODERN).unwrap_or_default(), function)))
}

/// Gives each base address register that the device has a place.
fn place(config: u64, slot: usize, board: &mut dyn Board) -> [u64; 6] {
    let mut bars = [0; 6];
    let mut next = map::BARS + DEVICE_STRIDE * slot as u64;
    let mut index = 0;
    while index < 6 {
        let register = config + BAR + 4 * index;
        board.write(register, 4, 0xffff_ffff);
        let answer = board.read(register, 4);
        let (is_io, is_wide) = (answer & 1 == 1, answer & 6 == 4);
        if answer != 0 && !is_io {
            board.write(register, 4, next);
            if is_wide {
                board.write(register + 4, 4, 0);
            }
            if let Some(bar) = usize::try_from(index).ok().and_then(|index| bars.get_mut(index)) {
                *bar = next;
            }
            next += BAR_STRIDE;
        }
        index += if is_wide && !is_io { 2 } else { 1 };
    }
    bars
}

/// A structure of the device's, as a vendor capability says (§4.1.4).
fn structure(function: &mut Function, capability: u64, bars: &[u64; 6], board: &mut dyn Board) {
    let kind = board.read(capability + 3, 1);
    let bar = usize::try_from(board.read(capability + 4, 1)).unwrap_or(usize::MAX);
    let Some(&base) = bars.get(bar).filter(|&&base| base != 0) else { return };
    let at = base + board.read(capability + 8, 4);
    match kind {
        1 if function.common == 0 => function.common = at,
        2 if function.notify == 0 => {
            function.notify = at;
            function.notify_multiplier = board.read(capability + 16, 4);
        }
        3 if function.isr == 0 => function.isr = at,
        4 if function.config == 0 => function.config = at,
        _ => {}
    }
}

/// Every vector interrupts for the slot: the data that is written says which.
fn set_up_msix(capability: u64, slot: usize, bars: &[u64; 6], board: &mut dyn Board) {
    let control = board.read(capability + 2, 2);
    let table = board.read(capability + 4, 4);
    let bar = usize::try_from(table & 7).unwrap_or(usize::MAX);
    let Some(&base) = bars.get(bar).filter(|&&base| base != 0) else { return };
    for vector in 0..=(control & 0x7ff) {
        let entry = base + (table & !7) + 16 * vector;
        board.write(entry, 4, map::MSI & 0xffff_ffff);
        board.write(entry + 4, 4, map::MSI >> 32);
        board.write(entry + 8, 4, slot as u64);
        board.write(entry + 12, 4, 0);
    }
    board.write(capability + 2, 2, control | MSIX_ENABLE);
}

/// Gives the queue that is selected its vector.
pub(super) fn give_vector(function: &Function, index: u16, board: &mut dyn Board) {
    let common = function.common;
    board.write(common + CONFIG_MSIX_VECTOR, 2, 0);
    // Vector 0 is for the configuration; the queues come after it. Where there are too few, they share that.
    let vector = u64::from(index) + 1;
    board.write(common + QUEUE_MSIX_VECTOR, 2, vector);
    if board.read(common + QUEUE_MSIX_VECTOR, 2) != vector {
        board.write(common + QUEUE_MSIX_VECTOR, 2, 0);
    }
}

/// Where the queue that is selected is notified.
pub(super) fn notify(function: &Function, board: &mut dyn Board) -> u64 {
    let offset = board.read(function.common + QUEUE_NOTIFY_OFF, 2);
    function.notify + offset * function.notify_multiplier
}
