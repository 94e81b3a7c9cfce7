//! The devices that run, each with what makes the world outside ask for its queues: one list, for all tests that are
//! the same for every device, and for `fuzz`.
#![allow(dead_code, reason = "each user takes its part")]

use virtio::core::Features;
use virtio::device::Mac;
use virtio::device::balloon::{BalloonHandle, KeepsAll, LiveBalloon};
use virtio::device::blk::{BlkOptions, LiveBlk};
use virtio::device::console::port::MemoryConsole;
use virtio::device::console::{LiveConsole, PortOptions};
use virtio::device::disk::MemoryDisk;
use virtio::device::input::{InputHandle, LiveInput};
use virtio::device::net::port::{Port, Switch};
use virtio::device::net::{LiveNet, NetOptions};
use virtio::device::rng::LiveRng;
use virtio::device::scsi::{LiveScsi, ScsiAddress, ScsiBay, ScsiDrive, ScsiOptions};
use virtio::device::vsock::LiveVsock;
use virtio::device::vsock::memory::{MemoryHost, MemoryStream};
use virtio::live::LiveDevice;
use vm_memory::GuestMemoryMmap;

/// Guest memory.
pub(crate) type Memory = GuestMemoryMmap<()>;

/// A device, and what happens outside that it has something to do for.
pub(crate) type Running = (Box<dyn LiveDevice<Memory>>, Box<dyn FnMut()>);

/// A device that runs.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Running,
    /// The features of its type that its driver knows.
    pub(crate) known: Features,
    /// Queues from which it takes nothing before its driver has told it something in another.
    pub(crate) quiet: &'static [usize],
}

const ALL: Features = Features(u128::MAX);

/// To add a device: a line here, and a function that makes it.
pub(crate) const KINDS: &[Kind] = &[
    Kind { name: "blk", make: blk, known: ALL, quiet: &[] },
    Kind { name: "net", make: net, known: ALL, quiet: &[2] },
    Kind { name: "console", make: console, known: ALL, quiet: &[0, 2, 4] },
    Kind {
        name: "console of one port",
        make: console_of_one_port,
        known: Features(!(1 << 1)),
        quiet: &[2, 3],
    },
    Kind { name: "rng", make: rng, known: ALL, quiet: &[] },
    Kind { name: "balloon", make: balloon, known: ALL, quiet: &[] },
    Kind { name: "input", make: input, known: ALL, quiet: &[] },
    // Events tell of disks that come and go.
    Kind { name: "scsi", make: scsi, known: ALL, quiet: &[1] },
    // Events come after a migration only.
    Kind { name: "vsock", make: vsock, known: ALL, quiet: &[2] },
];

fn blk() -> Running {
    let options = BlkOptions { queues: 2, ..BlkOptions::default() };
    (Box::new(LiveBlk::new(Box::new(MemoryDisk::new(64)), options)), Box::new(|| ()))
}

fn scsi() -> Running {
    let disk = ScsiDrive { disk: Box::new(MemoryDisk::new(64)), serial: String::new() };
    let address = ScsiAddress { target: 0, lun: 0 };
    let device = LiveScsi::new([(address, disk)], ScsiBay::default(), ScsiOptions::default());
    (Box::new(device), Box::new(|| ()))
}

fn net() -> Running {
    let switch = Switch::new();
    let options = NetOptions { mac: Mac([0x52, 0x54, 0, 0, 0, 1]), pairs: 2, queue_size: 64 };
    let device = LiveNet::new(Box::new(switch.plug()), options);
    let mut peer = switch.plug();
    let stir = move || {
        let _ = peer.send(&[0xff; 60]);
        // What the device sends is not kept.
        while let Ok(Some(_)) = peer.receive() {}
    };
    (Box::new(device), Box::new(stir))
}

fn console() -> Running {
    let ends = [MemoryConsole::new(1000), MemoryConsole::new(1000)];
    let [first, second] = ends.clone();
    let first = PortOptions { end: Box::new(first), name: None, is_console: true };
    let second =
        PortOptions { end: Box::new(second), name: Some("org.vmig.0".to_owned()), is_console: false };
    let device = LiveConsole::new(vec![first, second], (80, 25));
    let stir = move || {
        for end in &ends {
            end.type_in(b"text");
            drop(end.take());
        }
    };
    (Box::new(device), Box::new(stir))
}

fn console_of_one_port() -> Running {
    let end = MemoryConsole::new(1000);
    let device = LiveConsole::single(Box::new(end.clone()));
    let stir = move || {
        end.type_in(b"text");
        drop(end.take());
    };
    (Box::new(device), Box::new(stir))
}

fn rng() -> Running {
    (Box::new(LiveRng::new(std::io::repeat(7))), Box::new(|| ()))
}

fn balloon() -> Running {
    let handle = BalloonHandle::default();
    let device = LiveBalloon::new(Box::new(KeepsAll), handle.clone());
    let mut target = 0;
    let stir = move || {
        target ^= 1;
        handle.set_target(target);
        handle.ask_for_statistics();
    };
    (Box::new(device), Box::new(stir))
}

fn input() -> Running {
    let handle = InputHandle::default();
    let device = LiveInput::keyboard(handle.clone());
    (Box::new(device), Box::new(move || handle.key(30, true)))
}

fn vsock() -> Running {
    let host = MemoryHost::new();
    host.listen(7, || MemoryStream::echo(1000));
    let device = LiveVsock::new(3, Box::new(host.clone()));
    (Box::new(device), Box::new(move || drop(host.connect_to_guest(1, 100))))
}
