//! Machines with all devices, and the world around them, which stays where it is when a guest moves.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use machine::guest::{Options, Report};
use machine::{Host, Machine, Memory};
use migration::channel::{Address, Cancel, Listener, Settings};
use migration::incoming::Terms;
use migration::outgoing::Limits;
use migration::peer::Peer;
use virtio::core::Features;
use virtio::device::rng::LiveRng;
use virtio::live::LiveTransport;
use virtio::transport::{LiveMmio, TransportKind};

/// How devices are offered to a guest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) transport: TransportKind,
    pub(crate) packed: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { transport: TransportKind::Mmio, packed: false }
    }
}

/// What stays where it is.
pub(crate) struct World;

const RAM: u64 = 64 << 20;

impl World {
    pub(crate) fn new() -> Self {
        Self
    }

    /// A machine with all devices.
    pub(crate) fn machine(&self, style: Style) -> Machine {
        let mut machine = Machine::new(RAM, style.transport).unwrap();
        let memory = machine.ram().memory().clone();
        let reserved = [
            (true, Features::INDIRECT_DESC),
            (true, Features::EVENT_IDX),
            (style.packed, Features::RING_PACKED),
        ];
        let reserved = Features(reserved.iter().filter(|(on, _)| *on).map(|(_, bit)| 1_u128 << bit).sum());
        let device = LiveRng::new(Ones);
        let mmio: Box<dyn LiveTransport<Memory>> =
            Box::new(LiveMmio::new(Box::new(device), memory, reserved));
        machine.plug(mmio);
        machine
    }

    /// A machine whose guest has booted.
    pub(crate) fn booted(&self, style: Style, options: Options) -> Arc<Host> {
        let mut machine = self.machine(style);
        machine.boot(Options { packed: style.packed, ..options }).unwrap();
        let host = Arc::new(Host::new(machine));
        run(&host);
        host.start();
        host
    }
}

struct Ones;

impl Read for Ones {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        buf.fill(1);
        Ok(buf.len())
    }
}

fn run(host: &Arc<Host>) {
    let host = Arc::clone(host);
    thread::spawn(move || host.run());
}

/// Lets the guest work for a while, and moves it to another machine.
pub(crate) fn hop(world: &World, source: Arc<Host>, style: Style, work: Duration) -> Arc<Host> {
    thread::sleep(work);
    let destination = Arc::new(Host::new(world.machine(style)));
    run(&destination);
    let cancel = Cancel::new();
    let settings = Settings { cancel: cancel.clone(), ..Settings::default() };
    let mut listener = Listener::bind(&"tcp:127.0.0.1:0".parse::<Address>().unwrap(), &settings).unwrap();
    let address = listener.address().clone();
    let nothing = |_| {};
    thread::scope(|scope| {
        let arriving = scope.spawn(|| {
            let peer = Peer::accept(&mut listener, cancel.clone()).unwrap();
            migration::arrive(&*destination, peer, Terms::default(), None, &nothing).unwrap();
            destination.start();
        });
        let peer = Peer::connect(&address, &settings, cancel.clone()).unwrap();
        migration::depart(&*source, peer, Limits::default(), &nothing).unwrap();
        arriving.join().unwrap();
    });
    source.end();
    destination
}

/// Lets the guest work for a little longer, stops it, and gives what it has done.
pub(crate) fn settle(host: &Host) -> Report {
    thread::sleep(Duration::from_millis(100));
    host.pause();
    host.end();
    assert_eq!(host.fault(), None);
    assert_eq!(host.machine().broken(), []);
    host.report().unwrap()
}
