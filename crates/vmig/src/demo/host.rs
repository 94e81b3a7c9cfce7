//! A host: a process with a machine, which boots a guest or waits for one, and does as it is ordered.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use machine::guest::{Options, balloon};
use machine::{Host, Kit, Proof, World};
use migration::channel::{Address, Cancel, Listener, Settings};
use migration::event::{Event, Side, State, Summary};
use migration::incoming::Terms;
use migration::outgoing::Limits;
use migration::peer::Peer;
use migration::{Cause, Error};
use virtio::device::balloon::BalloonHandle;
use virtio::device::console::port::SocketConsole;
use virtio::device::disk::FileDisk;
use virtio::device::input::InputHandle;
use virtio::device::net::port::SocketPort;
use virtio::device::vsock::unix::UnixHost;
use virtio::transport::TransportKind;

use super::protocol::{Order, Rings, Setting, Step, Transport, Word};
use super::steps::hear;
use super::world::{CONSOLE, DISK, NETWORK, SOCKETS, targets};
use crate::verb::{Failure, Outcome};

/// How long a rest is: time enough for something to happen.
const REST: Duration = Duration::from_millis(400);

/// How often somebody types, and how often the host wants other memory.
const TYPES: Duration = Duration::from_millis(10);
const WANTS: u32 = 10;

/// A host of the demonstration: started by `vmig demo`
#[derive(Debug, Args)]
pub(crate) struct DemoHost {
    /// Where the world is
    dir: PathBuf,
    /// What the host is called
    name: String,
    /// The machine and its guest's work, as JSON
    setting: String,
    /// Boot a guest, and do not wait for one
    #[arg(long)]
    boot: bool,
    /// Keep the stream that arrives
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

impl DemoHost {
    pub(crate) fn run(&self) -> Outcome {
        hear(|step: Step| say(&Word::Step(step)));
        let told = |error: &dyn ToString| Failure::NotThere(format!("{}: {}", self.name, error.to_string()));
        let setting: Setting = serde_json::from_str(&self.setting).map_err(|error| told(&error))?;
        let kit = kit(&setting);
        let world = self.world().map_err(|error| told(&error))?;
        let (keyboard, balloon) = (world.keyboard.clone(), world.balloon.clone());
        let mut machine = kit.build(world).map_err(|error| told(&error))?;
        say(&Word::Ready { queues: kit.queues() });
        if self.boot {
            machine.boot(options(&setting)).map_err(|error| told(&error))?;
        }
        let host = Arc::new(Host::new(machine));
        let processor = Arc::clone(&host);
        thread::spawn(move || processor.run());
        if self.boot {
            host.start();
        } else {
            self.arrive(&host);
        }
        let wants = balloon.clone();
        thread::spawn(move || type_and_want(&keyboard, &wants));
        // The world is gone when it orders nothing more.
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line).map_err(|error| told(&error))? {
                Order::Depart { to, bandwidth, postcopy, rest } => {
                    let postcopy = postcopy.then_some(1);
                    let limits = Limits { bandwidth, postcopy, ..Limits::default() };
                    depart(&host, &to, limits, rest.as_deref());
                }
                Order::Report => report(&host, &balloon),
            }
        }
        host.end();
        Ok(std::process::ExitCode::SUCCESS)
    }

    /// The parts of the world that the devices are connected to.
    fn world(&self) -> io::Result<World> {
        let disk = File::options().read(true).write(true).open(self.dir.join(DISK))?;
        let network = UnixDatagram::bind(self.dir.join(format!("{}.net", self.name)))?;
        network.connect(self.dir.join(NETWORK))?;
        let console = UnixStream::connect(self.dir.join(CONSOLE))?;
        Ok(World {
            disk: Box::new(FileDisk::new(disk, false)?),
            targets: targets(&self.dir, false)?,
            port: Box::new(SocketPort::new(network)?),
            console: Box::new(SocketConsole::new(console)?),
            entropy: Box::new(File::open("/dev/urandom")?),
            sockets: Box::new(UnixHost::new(self.dir.join(SOCKETS))),
            keyboard: InputHandle::default(),
            balloon: BalloonHandle::default(),
        })
    }

    /// Waits for a guest, and runs it once it has come, unless it runs already.
    fn arrive(&self, host: &Host) {
        let arrived = (|| {
            let setup = |cause: Cause| Error { state: State::Setup, side: Side::In, cause };
            let (settings, cancel) = settings();
            let address = Address::Unix(self.dir.join(format!("{}.mig", self.name)));
            let listener = Listener::bind(&address, &settings).map_err(|error| setup(error.into()));
            let mut listener = listener?;
            say(&Word::Listening { channel: address.to_string() });
            let peer = Peer::accept(&mut listener, cancel).map_err(setup)?;
            let create = |path: &PathBuf| {
                File::options().read(true).write(true).create(true).truncate(true).open(path)
            };
            let keep = self.keep.as_ref().map(create).transpose();
            let keep = keep.map_err(|error| setup(Cause::Keep(error)))?;
            migration::arrive(host, peer, Terms::default(), keep, &|event| say(&Word::Migration(event)))
        })();
        if arrived.is_ok() {
            host.start();
        }
        told(arrived);
    }
}

fn depart(host: &Host, to: &str, limits: Limits, rest: Option<&str>) {
    let observer = |event: Event| {
        let is_rest = matches!(&event, Event::State { state, .. } if Some(state.name()) == rest);
        say(&Word::Migration(event));
        if is_rest {
            thread::sleep(REST);
        }
    };
    let (settings, cancel) = settings();
    let setup = |cause| Error { state: State::Setup, side: Side::Out, cause };
    let peer = to.parse::<Address>().map_err(|error| setup(Cause::Refused(error.to_string())));
    let peer = peer.and_then(|address| Peer::connect(&address, &settings, cancel).map_err(setup));
    told(peer.and_then(|peer| migration::depart(host, peer, limits, &observer)));
}

/// Types, and has the guest give all memory that it can do without, and take it back, for as long as the host lives.
fn type_and_want(keyboard: &InputHandle, balloon: &BalloonHandle) {
    for turn in 0_u32.. {
        thread::sleep(TYPES);
        // Caps lock: the guest has its light go on and off.
        [true, false].into_iter().for_each(|down| keyboard.key(58, down));
        if turn % WANTS == 0 {
            balloon.set_target(if (turn / WANTS).is_multiple_of(2) { balloon::PAGES } else { 0 });
        }
    }
}

fn report(host: &Host, balloon: &BalloonHandle) {
    host.pause();
    let machine = host.machine();
    let mut broken: Vec<String> =
        machine.broken().into_iter().map(|(slot, why)| format!("the device in slot {slot}: {why}")).collect();
    broken.extend(host.fault().map(|fault| fault.to_string()));
    let report = machine.report().unwrap_or_else(|fault| {
        broken.push(fault.to_string());
        machine::guest::Report::default()
    });
    broken.extend(Proof::balloon(&report, balloon));
    let bad_pages = machine.inspect_pages().unwrap_or(u64::MAX);
    say(&Word::Report { report, bad_pages, broken });
}

/// The machine of a setting.
fn kit(setting: &Setting) -> Kit {
    Kit {
        ram: setting.ram,
        transport: match setting.transport {
            Transport::Mmio => TransportKind::Mmio,
            Transport::Pci => TransportKind::Pci,
        },
        packed: setting.rings == Rings::Packed,
        blk_queues: setting.blk_queues,
        scsi_queues: setting.scsi_queues,
        net_pairs: setting.net_pairs,
        blk_at_once: 4,
    }
}

fn options(setting: &Setting) -> Options {
    Options {
        packed: setting.rings == Rings::Packed,
        dirty_bytes: setting.dirty,
        dirty_pages: setting.dirty_pages,
        ..Options::default()
    }
}

fn settings() -> (Settings, Cancel) {
    let cancel = Cancel::new();
    (Settings { cancel: cancel.clone(), ..Settings::default() }, cancel)
}

fn told(moved: Result<Summary, Error>) {
    match moved {
        Ok(summary) => say(&Word::Moved(summary)),
        Err(error) => say(&Word::Failed { state: error.state, error: error.to_string() }),
    }
}

/// Says something to the world. That nobody hears it is no reason to end: the guest may be here.
fn say(word: &Word) {
    let mut out = io::stdout().lock();
    drop(serde_json::to_writer(&mut out, word).map_err(io::Error::from).and_then(|()| writeln!(out)));
}
