//! virtio-mmio.

use virtio::core::{Endianness, Features, Status};
use virtio::live::Window::Registers;
use virtio::transport::LiveMmio;
use virtio::transport::mmio::register::*;

use super::*;

fn get(device: &mut Device, register: u64) -> u64 {
    read(device, Registers, register, 4)
}

fn set(device: &mut Device, register: u64, value: u64) {
    write(device, Registers, register, 4, value);
}

/// A driver sets the device up, as far as the queue.
fn set_up(device: &mut Device) {
    assert_eq!((get(device, MAGIC_VALUE), get(device, VERSION), get(device, DEVICE_ID)), (0x7472_6976, 2, 4));
    set(device, STATUS, 3);
    set(device, DRIVER_FEATURES_SEL, 1);
    set(device, DRIVER_FEATURES, 1);
    set(device, STATUS, 11);
    assert_eq!(get(device, STATUS), 11, "the features were taken");
    set(device, QUEUE_SEL, 0);
    assert_eq!(get(device, QUEUE_NUM_MAX), 8);
    set(device, QUEUE_NUM, 8);
    for (register, address) in [(QUEUE_DESC_LOW, DESC), (QUEUE_DRIVER_LOW, AVAIL), (QUEUE_DEVICE_LOW, USED)] {
        set(device, register, address);
    }
}

fn start(device: &mut Device) {
    set(device, QUEUE_READY, 1);
    set(device, STATUS, 15);
}

#[test]
fn a_driver_is_served_and_interrupted() {
    let memory = memory();
    let mut device = mmio(&memory);
    set_up(&mut device);
    start(&mut device);
    offer(&memory, 0);
    set(&mut device, QUEUE_NOTIFY, 0);
    assert_eq!(returned(&memory), 1);
    assert_eq!(memory.read_obj::<u8>(GuestAddress(BUFFER)).unwrap(), 7);
    assert!(device.signals().line);
    assert_eq!(get(&mut device, INTERRUPT_STATUS), 1);
    set(&mut device, INTERRUPT_ACK, 1);
    assert!(!device.signals().line);
    set(&mut device, STATUS, 0);
    assert_eq!((get(&mut device, STATUS), get(&mut device, QUEUE_READY)), (0, 0));
}

#[test]
fn moves_in_the_middle_of_being_set_up() {
    let memory = memory();
    let mut device = mmio(&memory);
    set_up(&mut device);
    let mut to = mmio(&memory);
    let stopped = loaded(&mut device, &to, &memory).unwrap();
    to.resume(stopped).unwrap();
    // What the driver wrote for the queue is there, and it goes on with the next step.
    start(&mut to);
    offer(&memory, 0);
    set(&mut to, QUEUE_NOTIFY, 0);
    assert_eq!(returned(&memory), 1);
}

#[test]
fn an_interrupt_that_was_not_seen_survives() {
    let memory = memory();
    let mut device = mmio(&memory);
    set_up(&mut device);
    start(&mut device);
    offer(&memory, 0);
    set(&mut device, QUEUE_NOTIFY, 0);
    let mut to = mmio(&memory);
    let stopped = loaded(&mut device, &to, &memory).unwrap();
    to.resume(stopped).unwrap();
    assert!(to.signals().line);
    offer(&memory, 1);
    to.core_mut().kick();
    assert_eq!(returned(&memory), 2);
}

#[test]
fn features_that_are_not_offered_are_not_taken() {
    let memory = memory();
    let mut device = mmio(&memory);
    set(&mut device, STATUS, 3);
    set(&mut device, DRIVER_FEATURES_SEL, 1);
    set(&mut device, DRIVER_FEATURES, 1 | 1 << 2);
    set(&mut device, STATUS, 11);
    assert!(!Status(u8::try_from(get(&mut device, STATUS)).unwrap()).has(Status::FEATURES_OK));
}

#[test]
fn a_legacy_driver_is_served() {
    let memory = memory();
    let legacy = LiveMmio::legacy(rng(), memory.clone(), Features(0), Endianness::Little);
    let mut device: Device = Box::new(legacy);
    assert_eq!(get(&mut device, VERSION), 1);
    set(&mut device, STATUS, 3);
    set(&mut device, GUEST_PAGE_SIZE, 4096);
    set(&mut device, QUEUE_SEL, 0);
    set(&mut device, QUEUE_NUM, 8);
    set(&mut device, QUEUE_ALIGN, 4096);
    set(&mut device, QUEUE_PFN, DESC / 4096);
    assert_eq!(get(&mut device, QUEUE_PFN), DESC / 4096);
    set(&mut device, STATUS, 7);
    // The available ring is behind the descriptors, the used ring on the next page.
    let avail = DESC + 8 * 16;
    offer(&memory, 0);
    memory.write_obj(0_u16, GuestAddress(avail + 4)).unwrap();
    memory.write_obj(1_u16, GuestAddress(avail + 2)).unwrap();
    set(&mut device, QUEUE_NOTIFY, 0);
    assert_eq!(memory.read_obj::<u16>(GuestAddress(DESC + 0x1000 + 2)).unwrap(), 1);
}
