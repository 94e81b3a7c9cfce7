//! An independent judge: the drivers of the crate `virtio-drivers` work vmig's devices, and keep at it while the devices
//! are stopped, saved, dropped, and loaded in new objects beneath them.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the drivers want pointers into guest memory; a test that cannot go on fails"
)]

mod driver;

use driver::{Bench, GuestRam, Memory, Registers};
use virtio::device::blk::{BlkOptions, LiveBlk};
use virtio::device::console::LiveConsole;
use virtio::device::console::port::MemoryConsole;
use virtio::device::disk::MemoryDisk;
use virtio::device::input::{InputHandle, LiveInput};
use virtio::device::net::port::{Port, Switch};
use virtio::device::net::{LiveNet, NetOptions};
use virtio::device::rng::LiveRng;
use virtio::live::LiveDevice;
use virtio_drivers::device::blk::VirtIOBlk;
use virtio_drivers::device::console::VirtIOConsole;
use virtio_drivers::device::input::VirtIOInput;
use virtio_drivers::device::net::{TxBuffer, VirtIONet};
use virtio_drivers::device::rng::VirtIORng;

type Live = Box<dyn LiveDevice<Memory>>;

#[test]
fn blk() {
    let disk = MemoryDisk::new(256);
    let make = || -> Live {
        let options = BlkOptions { serial: "judged".to_owned(), ..BlkOptions::default() };
        Box::new(LiveBlk::new(Box::new(disk.clone()), options))
    };
    for is_pci in [false, true] {
        let bench = Bench::new(is_pci, make());
        let mut driver = VirtIOBlk::<GuestRam, Registers>::new(bench.registers()).unwrap();
        assert_eq!(driver.capacity(), 256);
        let mut id = [0; 20];
        assert_eq!(driver.device_id(&mut id).unwrap(), 6);
        for round in 0..50_u8 {
            driver.write_blocks(usize::from(round) % 200, &[round; 1024]).unwrap();
            if round % 10 == 3 {
                bench.migrate(make());
            }
            let mut back = [0; 1024];
            driver.read_blocks(usize::from(round) % 200, &mut back).unwrap();
            assert_eq!(back, [round; 1024]);
        }
        driver.flush().unwrap();
    }
}

#[test]
fn net() {
    let switch = Switch::new();
    let mut other = switch.plug();
    let make = || -> Live { Box::new(LiveNet::new(Box::new(switch.plug()), NetOptions::default())) };
    for is_pci in [false, true] {
        let bench = Bench::new(is_pci, make());
        let mut driver = VirtIONet::<GuestRam, Registers, 16>::new(bench.registers(), 2048).unwrap();
        let mac = driver.mac_address();
        for round in 0..40_u8 {
            let sent = [[0xff; 6].as_slice(), &mac, &[0x88, 0xb5, round]].concat();
            driver.send(TxBuffer::from(&sent)).unwrap();
            assert_eq!(other.receive().unwrap(), Some(sent));
            if round % 10 == 3 {
                bench.migrate(make());
            }
            let back = [mac.as_slice(), &[2, 0, 0, 0, 0, 1], &[0x88, 0xb5, round]].concat();
            other.send(&back).unwrap();
            bench.poll();
            let received = driver.receive().unwrap();
            assert_eq!(received.packet(), back);
            driver.recycle_rx_buffer(received).unwrap();
        }
        // Frames of a device that is gone are lost.
        while other.receive().unwrap().is_some() {}
    }
}

#[test]
fn console() {
    let end = MemoryConsole::new(1000);
    let make = || -> Live { Box::new(LiveConsole::single(Box::new(end.clone()))) };
    for is_pci in [false, true] {
        let bench = Bench::new(is_pci, make());
        let mut driver = VirtIOConsole::<GuestRam, Registers>::new(bench.registers()).unwrap();
        let size = driver.size().unwrap().unwrap();
        assert_eq!((size.columns, size.rows), (80, 25));
        for round in 0..20_u8 {
            driver.send_bytes(&[round, b'!']).unwrap();
            assert_eq!(end.take(), [round, b'!']);
            if round % 5 == 3 {
                bench.migrate(make());
            }
            end.type_in(&[round]);
            bench.poll();
            assert_eq!(driver.recv(true).unwrap(), Some(round));
        }
        driver.emergency_write(b'?').unwrap();
        assert_eq!(end.take(), b"?");
    }
}

#[test]
fn input() {
    let handle = InputHandle::default();
    let make = || -> Live { Box::new(LiveInput::keyboard(handle.clone())) };
    for is_pci in [false, true] {
        let bench = Bench::new(is_pci, make());
        let mut driver = VirtIOInput::<GuestRam, Registers>::new(bench.registers()).unwrap();
        assert_eq!(driver.name().unwrap(), "vmig virtio keyboard");
        assert_eq!(driver.ids().unwrap().product, 1);
        assert_eq!(driver.ev_bits(17).unwrap().as_ref(), [7]);
        for round in 0..40_u16 {
            handle.key(round, true);
            if round % 10 == 3 {
                bench.migrate(make());
            }
            bench.poll();
            let event = driver.pop_pending_event().unwrap();
            assert_eq!((event.event_type, event.code, event.value), (1, round, 1));
            assert_eq!(driver.pop_pending_event().unwrap().event_type, 0, "the end of the group");
            assert!(driver.pop_pending_event().is_none());
        }
    }
}

#[test]
fn rng() {
    let make = || -> Live { Box::new(LiveRng::new(std::io::repeat(9))) };
    for is_pci in [false, true] {
        let bench = Bench::new(is_pci, make());
        let mut driver = VirtIORng::<GuestRam, Registers>::new(bench.registers()).unwrap();
        for round in 0..20 {
            let mut entropy = [0; 64];
            assert_eq!(driver.request_entropy(&mut entropy).unwrap(), 64);
            assert_eq!(entropy, [9; 64]);
            if round % 5 == 3 {
                bench.migrate(make());
            }
        }
    }
}
