//! virtio-pci.

use virtio::live::Message;
use virtio::live::Window::{Bar, Config};
use virtio::transport::LivePci;

use super::*;

const COMMON: u64 = 0;
const NOTIFY: u64 = 0x3000;
const MSIX_CONTROL: u64 = 0x9a;

fn common(device: &mut Device, offset: u64, bytes: usize, value: u64) {
    write(device, Bar(4), COMMON + offset, bytes, value);
}

/// A driver sets the device up, with vector 1 for its queue.
fn set_up(device: &mut Device) {
    write(device, Config, 4, 2, 6);
    write(device, Config, MSIX_CONTROL, 2, 0x8001);
    write(device, Bar(1), 16, 4, 0xfee0_0000);
    write(device, Bar(1), 16 + 8, 4, 42);
    for (offset, bytes, value) in [
        (0x14, 1, 3),
        (0x08, 4, 1),
        (0x0c, 4, 1),
        (0x14, 1, 11),
        (0x16, 2, 0),
        (0x18, 2, 8),
        (0x1a, 2, 1),
        (0x20, 4, DESC),
        (0x28, 4, AVAIL),
        (0x30, 4, USED),
        (0x1c, 2, 1),
        (0x14, 1, 15),
    ] {
        common(device, offset, bytes, value);
    }
    assert_eq!(read(device, Bar(4), COMMON + 0x14, 1), 15);
}

fn ask(device: &mut Device, memory: &Memory, number: u16) {
    offer(memory, number);
    write(device, Bar(4), NOTIFY, 2, 0);
    assert_eq!(returned(memory), number + 1);
}

fn unmask(device: &mut Device) {
    write(device, Bar(1), 16 + 12, 4, 0);
}

const MESSAGE: Message = Message { address: 0xfee0_0000, data: 42 };

#[test]
fn interrupts_by_message() {
    let memory = memory();
    let mut device = pci(&memory);
    set_up(&mut device);
    unmask(&mut device);
    ask(&mut device, &memory, 0);
    let signals = device.signals();
    assert_eq!((signals.line, signals.messages), (false, vec![MESSAGE]));
    assert_eq!(device.signals().messages, []);
}

#[test]
fn a_masked_vector_stays_pending_over_a_move() {
    let memory = memory();
    let mut device = pci(&memory);
    set_up(&mut device);
    ask(&mut device, &memory, 0);
    assert_eq!(device.signals().messages, [], "vectors are masked after a reset");
    assert_eq!(read(&mut device, Bar(1), 0x800, 1), 0b10);
    let mut to = pci(&memory);
    let stopped = loaded(&mut device, &to, &memory).unwrap();
    to.resume(stopped).unwrap();
    assert_eq!(read(&mut to, Bar(1), 0x800, 1), 0b10);
    unmask(&mut to);
    assert_eq!(to.signals().messages, [MESSAGE]);
    assert_eq!(read(&mut to, Bar(1), 0x800, 1), 0);
    ask(&mut to, &memory, 1);
    assert_eq!(to.signals().messages, [MESSAGE]);
}

#[test]
fn masking_all_keeps_all_pending() {
    let memory = memory();
    let mut device = pci(&memory);
    set_up(&mut device);
    unmask(&mut device);
    write(&mut device, Config, MSIX_CONTROL, 2, 0xc001);
    ask(&mut device, &memory, 0);
    assert_eq!(device.signals().messages, []);
    write(&mut device, Config, MSIX_CONTROL, 2, 0x8001);
    assert_eq!(device.signals().messages, [MESSAGE]);
}

#[test]
fn without_vectors_the_line_is_up_until_it_is_seen() {
    let memory = memory();
    let mut device: Device = Box::new(LivePci::with_vectors(rng(), memory.clone(), Features(0), 0));
    set_up(&mut device);
    ask(&mut device, &memory, 0);
    assert!(device.signals().line);
    assert_eq!(read(&mut device, Config, 6, 2) & 8, 8, "the status register says so");
    assert_eq!(read(&mut device, Bar(4), 0x1000, 1), 1);
    assert!(!device.signals().line);
}

#[test]
fn registers_are_where_the_driver_put_them() {
    let memory = memory();
    let mut device = pci(&memory);
    assert_eq!(device.decode(0xfe00_0000), None);
    write(&mut device, Config, 0x20, 4, 0xffff_ffff);
    assert_eq!(read(&mut device, Config, 0x20, 4), 0xffff_c00c, "16 KiB, 64 bits, prefetchable");
    write(&mut device, Config, 0x20, 4, 0xfe00_0000);
    assert_eq!(device.decode(0xfe00_1234), None, "memory is not enabled");
    write(&mut device, Config, 4, 2, 2);
    assert_eq!(device.decode(0xfe00_1234), Some((Bar(4), 0x1234)));
    assert_eq!(device.decode(0xfe00_4000), None);
}

#[test]
fn the_window_in_configuration_space_reaches_registers() {
    let memory = memory();
    let mut device = pci(&memory);
    write(&mut device, Config, 0x74, 1, 4);
    write(&mut device, Config, 0x78, 4, 0x14);
    write(&mut device, Config, 0x7c, 4, 1);
    write(&mut device, Config, 0x80, 1, 3);
    assert_eq!(read(&mut device, Config, 0x80, 1), 3);
    assert_eq!(read(&mut device, Bar(4), COMMON + 0x14, 1), 3);
}

#[test]
fn another_configuration_space_is_refused_and_the_byte_named() {
    let memory = memory();
    let mut device: Device = Box::new(LivePci::with_vectors(rng(), memory.clone(), Features(0), 3));
    let mut to = pci(&memory);
    let stopped = loaded(&mut device, &to, &memory).unwrap();
    let error = to.resume(stopped).unwrap_err().to_string();
    assert!(error.starts_with("byte 0x9a of the configuration space is 0x02, expected 0x01"), "{error}");
}

#[test]
fn a_device_of_another_transport_is_refused() {
    let memory = memory();
    let mut device = mmio(&memory);
    let same = mmio(&memory);
    let stopped = loaded(&mut device, &same, &memory).unwrap();
    let error = pci(&memory).resume(stopped).unwrap_err().to_string();
    assert!(error.contains("another transport"), "{error}");
}
