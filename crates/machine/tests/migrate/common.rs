//! Machines with all devices, and the world around them, which stays where it is when a guest moves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use machine::guest::net::peer_answer;
use machine::guest::vsock::ECHO;
use machine::guest::{Options, Report};
use machine::{Host, Kit, Machine, Proof};
use migration::Error;
use migration::channel::{Address, Cancel, Listener, Settings};
use migration::event::{Event, Summary};
use migration::incoming::Terms;
use migration::outgoing::Limits;
use migration::peer::Peer;
use virtio::device::balloon::BalloonHandle;
use virtio::device::console::port::MemoryConsole;
use virtio::device::disk::{Disk, MemoryDisk};
use virtio::device::input::InputHandle;
use virtio::device::net::port::{Port, Switch};
use virtio::device::vsock::memory::{MemoryHost, MemoryStream};
use virtio::transport::TransportKind;

/// How devices are offered to a guest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) transport: TransportKind,
    pub(crate) packed: bool,
}

/// What stays where it is: storage, a network with a peer that answers, an echo for sockets, whoever reads the console,
/// and types, and wants memory.
pub(crate) struct World {
    pub(crate) disk: MemoryDisk,
    targets: [MemoryDisk; 2],
    switch: Switch,
    console: MemoryConsole,
    sockets: MemoryHost,
    keyboard: InputHandle,
    /// Keys that were typed.
    typed: AtomicU64,
    balloon: BalloonHandle,
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
        let targets = [MemoryDisk::new(SECTORS), MemoryDisk::new(SECTORS / 2)];
        let sockets = MemoryHost::new();
        sockets.listen(ECHO, || MemoryStream::echo(1000));
        Self {
            disk: MemoryDisk::new(SECTORS),
            targets,
            switch,
            console,
            sockets,
            keyboard: InputHandle::default(),
            typed: AtomicU64::new(0),
            balloon: BalloonHandle::default(),
            read: Mutex::default(),
            ends,
        }
    }

    /// A machine with all devices.
    pub(crate) fn machine(&self, style: Style) -> Machine {
        let kit = Kit {
            ram: RAM,
            transport: style.transport,
            packed: style.packed,
            blk_queues: 4,
            scsi_queues: 3,
            net_pairs: 2,
            blk_at_once: 3,
        };
        let world = machine::World {
            disk: Box::new(self.disk.clone()),
            targets: self.targets(),
            port: Box::new(self.switch.plug()),
            console: Box::new(self.console.clone()),
            entropy: Box::new(std::io::repeat(1)),
            sockets: Box::new(self.sockets.clone()),
            keyboard: self.keyboard.clone(),
            balloon: self.balloon.clone(),
        };
        kit.build(world).unwrap()
    }

    /// The disks of the SCSI host.
    fn targets(&self) -> Vec<Box<dyn Disk>> {
        self.targets.iter().cloned().map(|disk| Box::new(disk) as Box<dyn Disk>).collect()
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

    /// Types a key, and wants more or less memory.
    fn type_and_want(&self) {
        self.keyboard.key(30, true);
        self.keyboard.key(30, false);
        let typed = self.typed.fetch_add(1, Ordering::Relaxed);
        self.balloon.set_target(u32::try_from(typed * 37 % 200).unwrap());
    }

    /// Compares what the guest says it did with what is to be seen of it out here.
    pub(crate) fn verify(&self, report: &Report) {
        self.read_console();
        let text = String::from_utf8(self.read.lock().unwrap().clone()).unwrap();
        let proof = Proof::of(report, &mut self.disk.clone(), &mut self.targets(), &text).unwrap();
        assert_eq!(proof.problems, Vec::<String>::new(), "{report:?}");
        assert_eq!(Proof::balloon(report, &self.balloon), None);
        // Whatever was typed before the guest was stopped has come, but for what waits in the device.
        let typed = self.typed.load(Ordering::Relaxed);
        assert!((1..=typed).contains(&report.keys) && report.keys + 8 > typed, "{typed} {report:?}");
        assert_eq!(self.keyboard.lights(), if report.light { 2 } else { 0 });
        assert!(proof.lines > 0 && report.blk.iter().all(|queue| queue.written > 0), "{report:?}");
        assert!(report.tasks > 0 && report.scsi.iter().all(|queue| queue.written > 0), "{report:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn run(host: &Arc<Host>) {
    let host = Arc::clone(host);
    thread::spawn(move || host.run());
}

/// Lets the guest work for so many moments, however long they take.
pub(crate) fn work(world: &World, host: &Host, moments: u64) {
    let until = host.report().unwrap().ticks + moments;
    while host.report().unwrap().ticks < until {
        assert_eq!(host.fault(), None);
        thread::sleep(Duration::from_millis(1));
        world.read_console();
        world.type_and_want();
    }
}

/// Lets the guest work for a while, and moves it to another machine.
pub(crate) fn hop(world: &World, source: Arc<Host>, style: Style, moments: u64) -> Arc<Host> {
    hop_within(world, source, style, moments, Limits::default()).0
}

/// The same within limits, and what source and destination say of it.
pub(crate) fn hop_within(
    world: &World,
    source: Arc<Host>,
    style: Style,
    moments: u64,
    limits: Limits,
) -> (Arc<Host>, Summary, Summary) {
    work(world, &source, moments);
    let destination = Arc::new(Host::new(world.machine(style)));
    let (gone, come) = attempt(&source, &destination, limits, &|_, _| {});
    let (gone, come) = (gone.unwrap(), come.unwrap());
    destination.start();
    source.end();
    (destination, gone, come)
}

/// Tries to move a guest, and gives what source and destination say of it. `observer` is told what happens at the source,
/// and has what breaks it off there.
pub(crate) fn attempt(
    source: &Host,
    destination: &Arc<Host>,
    limits: Limits,
    observer: &(dyn Fn(Event, &Cancel) + Sync),
) -> (Result<Summary, Error>, Result<Summary, Error>) {
    run(destination);
    let (here, there) = (Cancel::new(), Cancel::new());
    let settings = |cancel: &Cancel| Settings { cancel: cancel.clone(), ..Settings::default() };
    let address = "tcp:127.0.0.1:0".parse::<Address>().unwrap();
    let mut listener = Listener::bind(&address, &settings(&there)).unwrap();
    let address = listener.address().clone();
    thread::scope(|scope| {
        let arriving = scope.spawn(|| {
            let peer = Peer::accept(&mut listener, there.clone()).unwrap();
            migration::arrive(&**destination, peer, Terms::default(), None, &|_| {})
        });
        let peer = Peer::connect(&address, &settings(&here), here.clone()).unwrap();
        let gone = migration::depart(source, peer, limits, &|event| observer(event, &here));
        (gone, arriving.join().unwrap())
    })
}

/// Lets the guest work for a little longer, stops it, and gives what it has done.
pub(crate) fn settle(world: &World, host: &Host, moments: u64) -> Report {
    work(world, host, moments);
    host.pause();
    host.end();
    assert_eq!(host.fault(), None);
    assert_eq!(host.machine().broken(), []);
    host.report().unwrap()
}
