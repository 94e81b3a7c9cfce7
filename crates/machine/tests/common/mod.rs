//! Machines with all devices, and the world around them, which stays where it is when a guest moves.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use machine::guest::blk::RECORD;
use machine::guest::console::number;
use machine::guest::net::peer_answer;
use machine::guest::record::check;
use machine::guest::{Options, Report};
use machine::{Host, Machine, Memory};
use migration::channel::{Address, Cancel, Listener, Settings};
use migration::incoming::Terms;
use migration::outgoing::Limits;
use migration::peer::Peer;
use virtio::core::Features;
use virtio::device::blk::{BlkOptions, LiveBlk};
use virtio::device::console::LiveConsole;
use virtio::device::console::port::MemoryConsole;
use virtio::device::disk::{Disk, MemoryDisk};
use virtio::device::net::port::{Port, Switch};
use virtio::device::net::{LiveNet, NetOptions};
use virtio::device::rng::LiveRng;
use virtio::live::LiveDevice;
use virtio::transport::{LiveMmio, LivePci, TransportKind};

/// How devices are offered to a guest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) transport: TransportKind,
    pub(crate) packed: bool,
}

/// What stays where it is: storage, a network with a peer that answers, and whoever reads the console.
pub(crate) struct World {
    pub(crate) disk: MemoryDisk,
    switch: Switch,
    console: MemoryConsole,
    read: Mutex<Vec<u8>>,
    ends: Arc<AtomicBool>,
}

const RAM: u64 = 64 << 20;
const SECTORS: u64 = 64 << 10;

impl World {
    pub(crate) fn new() -> Self {
        let (switch, ends) = (Switch::new(), Arc::new(AtomicBool::new(false)));
        let mut peer = switch.plug();
        let over = Arc::clone(&ends);
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match peer.receive().unwrap() {
                    Some(frame) => drop(peer_answer(&frame).map(|answer| peer.send(&answer))),
                    None => thread::sleep(Duration::from_micros(100)),
                }
            }
        });
        let console = MemoryConsole::new(300);
        Self { disk: MemoryDisk::new(SECTORS), switch, console, read: Mutex::default(), ends }
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
        let blk = BlkOptions { queues: 4, at_once: 3, ..BlkOptions::default() };
        let net = NetOptions { pairs: 2, ..NetOptions::default() };
        let devices: [Box<dyn LiveDevice<Memory>>; 4] = [
            Box::new(LiveBlk::new(Box::new(self.disk.clone()), blk)),
            Box::new(LiveNet::new(Box::new(self.switch.plug()), net)),
            Box::new(LiveConsole::single(Box::new(self.console.clone()))),
            Box::new(LiveRng::new(Ones)),
        ];
        for device in devices {
            machine.plug(match style.transport {
                TransportKind::Pci => Box::new(LivePci::new(device, memory.clone(), reserved)),
                _ => Box::new(LiveMmio::new(device, memory.clone(), reserved)),
            });
        }
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

    /// Reads what is on the console.
    pub(crate) fn read_console(&self) {
        self.read.lock().unwrap().extend(self.console.take());
    }

    /// Compares what the guest says it did with what is to be seen of it out here.
    pub(crate) fn verify(&self, report: &Report) {
        assert_eq!((report.bad, report.lost_interrupts), (0, 0), "{report:?}");
        self.read_console();
        let text = String::from_utf8(self.read.lock().unwrap().clone()).unwrap();
        // The last may still be on its way.
        let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let lines: Vec<_> = whole.map(|line| number(line).expect(line)).collect();
        assert_eq!(lines, (0..lines.len() as u64).collect::<Vec<_>>(), "each line once, and in order");
        assert!(lines.len() as u64 <= report.lines && lines.len() as u64 + 8 >= report.lines, "{report:?}");
        for queue in &report.blk {
            assert!(queue.written > 0, "{queue:?}");
            // A place that is being written may hold the older record or the newer.
            for record in queue.next.saturating_sub(queue.places)..queue.written {
                let mut bytes = vec![0; RECORD as usize];
                let sector = queue.first_sector + record % queue.places * 8;
                self.disk.clone().read(sector * 512, &mut bytes).unwrap();
                let head = check(&bytes).unwrap_or_else(|| panic!("record {record} of {queue:?}"));
                assert_eq!((head.stream.get(), head.number.get()), (queue.stream, record));
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
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
    for _ in 0..work.as_millis() {
        thread::sleep(Duration::from_millis(1));
        world.read_console();
    }
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
