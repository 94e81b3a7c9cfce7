//! A guest that runs at its destination before its RAM has followed; and who has it when that is broken off.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use machine::Host;
use machine::guest::Options;
use migration::channel::{Address, Cancel, Listener, Settings};
use migration::event::{Event, Side, State};
use migration::guest::PostcopyHome;
use migration::incoming::Terms;
use migration::outgoing::Limits;
use migration::peer::Peer;
use migration::return_path::Message;
use migration::{Cause, Error};
use virtio::transport::TransportKind;
use vmstate::Writer;
use vmstate::ram::{Block, Encoder};
use vmstate::stream::{Command, Configuration, Head, Kind, PageSizes, RamDiscard, footer, save_start};

use super::common::{Style, World, attempt, hop, hop_within, settle, work};

const STYLE: Style = Style { transport: TransportKind::Pci, packed: true };
const MOMENTS: u64 = 600;
/// Post-copy after the first round.
const POSTCOPY: Limits = Limits {
    bandwidth: None,
    downtime: Duration::from_millis(300),
    auto_converge: true,
    rounds: 64,
    postcopy: Some(1),
};

fn options() -> Options {
    Options { dirty_bytes: 16 << 20, dirty_pages: 64, ..Options::default() }
}

/// Whether guests can come by post-copy here; if not, it is said why.
fn is_possible(host: &Host) -> bool {
    let advised = host.advise(PageSizes { blocks: 4096, target: 4096 });
    if let Err(error) = &advised {
        eprintln!("SKIPPED: no guest moves by post-copy here: {error}");
    }
    host.release();
    advised.is_ok()
}

/// Two moves by post-copy, and one by pre-copy behind them: what was written after an arrival must be known as dirty.
#[test]
fn nothing_is_lost() {
    let world = World::new();
    let mut host = world.booted(STYLE, options());
    if !is_possible(&host) {
        return;
    }
    for _ in 0..2 {
        let (next, gone, come) = hop_within(&world, host, STYLE, MOMENTS, POSTCOPY);
        host = next;
        let (gone, come) = (gone.postcopy.unwrap(), come.postcopy.unwrap());
        assert!(gone.bytes > 0 && gone.bytes == come.bytes, "{gone:?} {come:?}");
        // The guest touches its pages at once, and far more of them than go unasked in that time.
        assert!(come.requested > 0 && come.longest >= come.median, "{come:?}");
        assert!(gone.requested <= come.requested && !come.longest.is_zero(), "{gone:?} {come:?}");
    }
    host = hop(&world, host, STYLE, MOMENTS);
    let report = settle(&world, &host, MOMENTS);
    world.verify(&report);
    assert!(report.page_writes > 4096 && report.frames > 0, "{report:?}");
    assert_eq!(report.announced, 3);
    assert_eq!(host.machine().inspect_pages().unwrap(), 0);
}

/// The guest is well, and where it was.
fn goes_on(world: &World, host: &Host) {
    work(world, host, MOMENTS);
    let report = settle(world, host, MOMENTS);
    world.verify(&report);
    assert_eq!(host.machine().inspect_pages().unwrap(), 0);
}

#[test]
fn a_destination_that_cannot_load_it_leaves_it_at_the_source() {
    let world = World::new();
    let source = world.booted(STYLE, options());
    if !is_possible(&source) {
        return;
    }
    let destination = Arc::new(Host::new(world.machine(Style { transport: TransportKind::Mmio, ..STYLE })));
    let (gone, come) = attempt(&source, &destination, POSTCOPY, &|_, _| {});
    let (gone, come) = (gone.unwrap_err(), come.unwrap_err());
    assert!(matches!(gone.cause, Cause::NotTaken { value: 1 }), "{gone}");
    assert!(matches!(&come.cause, Cause::Refused(why) if why.contains("nothing like it")), "{come}");
    goes_on(&world, &source);
    destination.end();
}

#[test]
fn a_source_that_goes_away_leaves_nobody_running_it() {
    let world = World::new();
    let source = world.booted(STYLE, options());
    if !is_possible(&source) {
        return;
    }
    work(&world, &source, MOMENTS);
    let destination = Arc::new(Host::new(world.machine(STYLE)));
    // What is left takes seconds.
    let limits = Limits { bandwidth: Some(16 << 20), ..POSTCOPY };
    let break_off = |event, cancel: &Cancel| {
        if event == (Event::State { side: Side::Out, state: State::PostcopyActive }) {
            cancel.cancel();
        }
    };
    let (gone, come) = attempt(&source, &destination, limits, &break_off);
    let (gone, come) = (gone.unwrap_err(), come.unwrap_err());
    assert!(matches!(&gone.cause, Cause::Lost(cause) if cause.is_cancelled()), "{gone}");
    assert!(matches!(come.cause, Cause::Lost(_)), "{come}");
    assert_eq!((come.state, come.ends_as()), (State::PostcopyActive, State::Failed));
    let ticks = source.report().unwrap().ticks;
    thread::sleep(Duration::from_millis(50));
    assert_eq!(source.report().unwrap().ticks, ticks);
    source.end();
}

/// What becomes of a guest whose destination takes all that comes, and says this once it has the package. Then it closes
/// the channel: the way back, or both.
fn answered(words: &[Message], closed: Shutdown) -> (World, Arc<Host>, Error) {
    let world = World::new();
    let source = world.booted(STYLE, options());
    work(&world, &source, MOMENTS);
    let place = tempfile::TempDir::new().unwrap();
    let path = place.path().join("channel");
    let listener = UnixListener::bind(&path).unwrap();
    let cancel = Cancel::new();
    let settings = Settings { cancel: cancel.clone(), ..Settings::default() };
    let error = thread::scope(|scope| {
        let peer = Peer::connect(&Address::Unix(path), &settings, cancel).unwrap();
        let (channel, _) = listener.accept().unwrap();
        let mut reading = channel.try_clone().unwrap();
        scope.spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(1..) = reading.read(&mut bytes) {}
        });
        // It has done what it was told, before it is asked.
        Message::Pong(2).write(&mut &channel).unwrap();
        let observer = |event| {
            if event == (Event::State { side: Side::Out, state: State::PostcopyDevice }) {
                let mut said = Vec::new();
                words.iter().for_each(|word| word.write(&mut said).unwrap());
                (&channel).write_all(&said).unwrap();
                channel.shutdown(closed).unwrap();
            }
        };
        let error = migration::depart(&*source, peer, POSTCOPY, &observer).unwrap_err();
        // Its reader ends.
        drop(channel.shutdown(Shutdown::Both));
        error
    });
    (world, source, error)
}

fn request(block: Option<&str>, start: u64, bytes: u32) -> Message {
    Message::RequestPages { block: block.map(str::to_owned), start, bytes }
}

#[test]
fn a_destination_that_never_ran_it_leaves_it_at_the_source() {
    let asks = request(Some("vmig.ram"), 0, 1 << 20);
    for (words, closed) in [
        (vec![], Shutdown::Write),
        (vec![Message::Shut(1)], Shutdown::Write),
        (vec![Message::Pong(1), asks.clone(), asks.clone(), Message::Shut(7)], Shutdown::Write),
        // What it asks for cannot be sent any more.
        (vec![asks], Shutdown::Both),
    ] {
        let (world, source, error) = answered(&words, closed);
        assert!(matches!(error.cause, Cause::NotTaken { .. } | Cause::NotAcknowledged), "{error}");
        assert_eq!(error.state, State::PostcopyDevice);
        goes_on(&world, &source);
    }
}

#[test]
fn a_destination_that_may_have_run_it_keeps_the_source_from_going_on() {
    let loaded = Message::Pong(0x42);
    for (words, why) in [
        (vec![loaded.clone()], "before it acknowledged"),
        (vec![loaded.clone(), Message::Shut(1)], "did not take the guest"),
        (vec![loaded.clone(), Message::Shut(0)], "before all of RAM"),
        (vec![request(None, 0, 4096)], "there is none of"),
        (vec![request(Some("pc.ram"), 0, 4096)], "there is none of"),
        (vec![request(Some("vmig.ram"), 64 << 20, 4096)], "which has 0x4000000"),
        (vec![request(Some("vmig.ram"), !4095, 8192)], "which has 0x4000000"),
        (vec![request(Some("vmig.ram"), 1, 4096)], "in pages of 0x1000"),
        (vec![Message::ResumeAck(1)], "nobody asked for"),
    ] {
        let (_world, source, error) = answered(&words, Shutdown::Write);
        assert!(matches!(&error.cause, Cause::Lost(cause) if cause.to_string().contains(why)), "{error}");
        assert_eq!(error.cause.code(), vmstate::Code(710));
        let ticks = source.report().unwrap().ticks;
        thread::sleep(Duration::from_millis(20));
        assert_eq!(source.report().unwrap().ticks, ticks);
        source.end();
    }
}

/// What a machine says of a stream of which this is the beginning; it may have to keep a copy.
fn refused(world: &World, stream: &[u8], copy: Option<File>) -> String {
    let place = tempfile::TempDir::new().unwrap();
    let path = place.path().join("channel");
    let cancel = Cancel::new();
    let settings = Settings { cancel: cancel.clone(), ..Settings::default() };
    let mut listener = Listener::bind(&Address::Unix(path.clone()), &settings).unwrap();
    let host = Host::new(world.machine(STYLE));
    thread::scope(|scope| {
        let arriving = scope.spawn(|| {
            let peer = Peer::accept(&mut listener, cancel.clone()).unwrap();
            migration::arrive(&host, peer, Terms::default(), copy, &|_| {}).unwrap_err()
        });
        let mut channel = UnixStream::connect(&path).unwrap();
        channel.write_all(stream).unwrap();
        let error = arriving.join().unwrap();
        // The source is told, and nothing has run here.
        let (mut said, mut failed) = (Vec::new(), Vec::new());
        channel.read_to_end(&mut said).unwrap();
        Message::Shut(1).write(&mut failed).unwrap();
        assert!(said.ends_with(&failed), "{said:?}");
        assert_eq!(host.machine().ram().take_dirty().iter().map(|word| word.count_ones()).sum::<u32>(), 0);
        error.to_string()
    })
}

#[test]
fn what_is_out_of_place_is_refused() {
    let world = World::new();
    if !is_possible(&Host::new(world.machine(STYLE))) {
        return;
    }
    let name = b"vmig-1".to_vec();
    let configuration = Configuration { len: 6, name, ..Configuration::default() };
    let advise = |size| Command::PostcopyAdvise(Some(PageSizes { blocks: 4096, target: size }));
    let discard = |block: &str, range| {
        Command::PostcopyRamDiscard(RamDiscard { block: block.to_owned(), ranges: vec![range] })
    };
    let save = |heads: &[Command], out: &mut Writer| {
        heads.iter().for_each(|command| Head::Command(command.clone()).save(out));
    };
    // A stream up to its RAM, of which nothing comes; these commands before its block list, and those behind.
    let stream = |before: &[Command], behind: &[Command], package: &[Command]| {
        let mut out = Writer::new();
        save_start(Some(&configuration), &mut out);
        save(&[Command::OpenReturnPath], &mut out);
        save(before, &mut out);
        let ram = Head::Section { kind: Kind::Start, id: 2, name: "ram".into(), instance: 0, version: 4 };
        ram.save(&mut out);
        Encoder::block_list(&[Block::new("vmig.ram", 64 << 20)], &mut out);
        Encoder::end_of_section(&mut out);
        out.bytes(&footer(2));
        save(behind, &mut out);
        if !package.is_empty() {
            let mut inner = Writer::new();
            save(package, &mut inner);
            save(&[Command::Packaged { bytes: u32::try_from(inner.len()).unwrap() }], &mut out);
            out.bytes(inner.as_bytes());
        }
        out.into_bytes()
    };
    let (listen, run) = (Command::PostcopyListen, Command::PostcopyRun);
    let nothing = Command::Packaged { bytes: 0 };
    for (before, behind, package, why) in [
        (vec![advise(4096), advise(4096)], vec![], vec![], "a second time"),
        (vec![], vec![advise(4096)], vec![], "after RAM has begun"),
        (vec![advise(8192)], vec![], vec![], "expected 0x1000 for both"),
        (vec![advise(4096), nothing.clone()], vec![], vec![], "out of place"),
        (vec![], vec![nothing], vec![], "without its announcement"),
        (vec![advise(4096)], vec![listen.clone()], vec![], "out of place"),
        (vec![advise(4096)], vec![run.clone()], vec![], "out of place"),
        (vec![advise(4096)], vec![discard("pc.ram", (0, 4096))], vec![], "there is none"),
        (vec![advise(4096)], vec![discard("vmig.ram", (64 << 20, 4096))], vec![], "RAM has 0x4000000"),
        (vec![advise(4096)], vec![], vec![run.clone()], "no LISTEN"),
        (vec![advise(4096)], vec![], vec![listen.clone()], "no RUN"),
        (vec![advise(4096)], vec![], vec![listen.clone(), listen.clone()], "the stream has no section"),
        (vec![advise(4096)], vec![], vec![listen, run], "the stream has no section"),
    ] {
        let error = refused(&world, &stream(&before, &behind, &package), None);
        assert!(error.contains(why), "{error}; expected {why}");
    }
    let error = refused(&world, &stream(&[advise(4096)], &[], &[]), Some(tempfile::tempfile().unwrap()));
    assert!(error.contains("no copy can be kept"), "{error}");
}
