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

use std::io::{Read, Write};

use driver::{Bench, GuestRam, Memory, Registers};
use virtio::device::blk::{BlkOptions, LiveBlk};
use virtio::device::console::LiveConsole;
use virtio::device::console::port::MemoryConsole;
use virtio::device::disk::MemoryDisk;
use virtio::device::input::{InputHandle, LiveInput};
use virtio::device::net::port::{Port, Switch};
use virtio::device::net::{LiveNet, NetOptions};
use virtio::device::rng::LiveRng;
use virtio::device::vsock::LiveVsock;
use virtio::device::vsock::memory::{MemoryHost, MemoryStream};
use virtio::live::LiveDevice;
use virtio_drivers::device::blk::VirtIOBlk;
use virtio_drivers::device::console::VirtIOConsole;
use virtio_drivers::device::input::VirtIOInput;
use virtio_drivers::device::net::{TxBuffer, VirtIONet};
use virtio_drivers::device::rng::VirtIORng;
use virtio_drivers::device::socket::{
    DisconnectReason, VirtIOSocket, VsockAddr, VsockConnectionManager, VsockEventType,
};

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

/// The port of an echo on the host, and one on which the guest listens.
const ECHO: VsockAddr = VsockAddr { cid: 2, port: 7 };
const LISTENING: u32 = 9;

#[test]
fn vsock() {
    let host = MemoryHost::new();
    host.listen(ECHO.port, || MemoryStream::echo(4096));
    let make = || -> Live { Box::new(LiveVsock::new(42, Box::new(host.clone()))) };
    for is_pci in [false, true] {
        let bench = Bench::new(is_pci, make());
        let driver = VirtIOSocket::<GuestRam, Registers>::new(bench.registers()).unwrap();
        let mut sockets = VsockConnectionManager::new(driver);
        assert_eq!(sockets.guest_cid(), 42);
        sockets.listen(LISTENING);
        for round in 0..12_u8 {
            let port = 1000 + u32::from(round);
            sockets.connect(ECHO, port).unwrap();
            assert_eq!(next(&bench, &mut sockets).1, VsockEventType::Connected);
            // Far more than the 1,024 bytes that the driver has room for.
            for piece in 0..20_u8 {
                let sent = [round ^ piece; 400];
                sockets.send(ECHO, port, &sent).unwrap();
                assert_eq!(next(&bench, &mut sockets).1, VsockEventType::Received { length: 400 });
                let mut back = [0; 400];
                assert_eq!(sockets.recv(ECHO, port, &mut back).unwrap(), 400);
                assert_eq!(back, sent);
            }
            if round % 5 == 3 {
                bench.migrate(make());
                // This driver gives no buffers for events: it learns that its connection is gone when it uses it.
                sockets.send(ECHO, port, b"still there?").unwrap();
            } else {
                sockets.shutdown(ECHO, port).unwrap();
            }
            let reset = VsockEventType::Disconnected { reason: DisconnectReason::Reset };
            assert_eq!(next(&bench, &mut sockets).1, reset);
            is_listening(&bench, &host, &mut sockets);
        }
    }
}

type Sockets = VsockConnectionManager<GuestRam, Registers>;

/// The next that the driver sees, and whom it is from.
fn next(bench: &Bench, sockets: &mut Sockets) -> (VsockAddr, VsockEventType) {
    bench.poll();
    let event = sockets.poll().unwrap().unwrap();
    (event.source, event.event_type)
}

/// The host connects to the guest, both say something, and the host hangs up.
fn is_listening(bench: &Bench, host: &MemoryHost, sockets: &mut Sockets) {
    let mut here = host.connect_to_guest(LISTENING, 100);
    let (peer, event) = next(bench, sockets);
    assert_eq!(event, VsockEventType::ConnectionRequest);
    here.write_all(b"ping").unwrap();
    assert_eq!(next(bench, sockets).1, VsockEventType::Received { length: 4 });
    let mut said = [0; 4];
    sockets.recv(peer, LISTENING, &mut said).unwrap();
    sockets.send(peer, LISTENING, b"pong").unwrap();
    here.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"pong");
    drop(here);
    let shut = VsockEventType::Disconnected { reason: DisconnectReason::Shutdown };
    assert_eq!(next(bench, sockets).1, shut);
    bench.poll();
    assert!(sockets.poll().unwrap().is_none());
}
