//! Guests that go through sockets: from a file, through memory and straight through, into a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod multifd;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use migration::channel::{Address, Cancel, Channel, Listener, Patience, Settings};
use migration::event::{Event, State, Summary};
use migration::hold::{self, Held};
use migration::incoming::Terms;
use migration::judge::{Anything, Judge};
use migration::outgoing::Options;
use migration::peer::Peer;
use migration::receive::{Form, receive};
use migration::{Cause, Error, pass, send};
use tempfile::TempDir;
use vmstate::Writer;
use vmstate::source::{FileSource, Source};
use vmstate::stream::{
    Capabilities, Capability, Command, Configuration, Head, Kind, PageSizes, Stream, save_start,
};

/// A place for sockets and files.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn address(&self, name: &str) -> Address {
        Address::Unix(self.path(name))
    }
    fn listen(&self, name: &str) -> Waiting {
        let cancel = Cancel::new();
        let listener = Listener::bind(&self.address(name), &settings(&cancel)).unwrap();
        Waiting { listener, cancel }
    }
    fn connect(&self, name: &str) -> Peer {
        let cancel = Cancel::new();
        Peer::connect(&self.address(name), &settings(&cancel), cancel).unwrap()
    }
}

/// A listener that no peer has come to yet.
struct Waiting {
    listener: Listener,
    cancel: Cancel,
}

impl Waiting {
    fn accept(mut self) -> Peer {
        Peer::accept(&mut self.listener, self.cancel).unwrap()
    }
}

fn settings(cancel: &Cancel) -> Settings {
    let patience = Patience::any_within(Duration::from_secs(20));
    Settings { patience, cancel: cancel.clone(), ..Settings::default() }
}

fn nobody(_: Event) {}

/// A recorded stream.
fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/{name}.mig.zst"));
    zstd::decode_all(File::open(path).unwrap()).unwrap()
}

fn scan(source: &dyn Source) -> Stream {
    let scan = Stream::scan(source, &mut |_| {});
    assert!(scan.stopped.is_none(), "{:?}", scan.stopped);
    scan.stream
}

/// Everything but RAM, and RAM page by page: what must be the same, however it was sent.
fn assert_same(before: &dyn Source, after: &dyn Source) {
    let (a, b) = (scan(before), scan(after));
    let sections = |stream: &Stream| -> Vec<(String, u32, Option<Vec<u8>>)> {
        let state = stream.sections().filter(|section| section.body().is_some());
        state.map(|it| (it.name.clone(), it.instance, it.body().map(<[u8]>::to_vec))).collect()
    };
    assert_eq!(sections(&a), sections(&b));
    assert_eq!(a.description.map(|it| it.json), b.description.map(|it| it.json));
    let (one, other) = (a.ram.unwrap(), b.ram.unwrap());
    let names = |ram: &vmstate::ram::Ram| -> Vec<_> {
        ram.blocks.iter().map(|block| (block.name.clone(), block.bytes)).collect()
    };
    assert_eq!(names(&one), names(&other));
    let mut page = vec![0; usize::try_from(one.page_size).unwrap()];
    let mut same = page.clone();
    for (index, block) in one.blocks.iter().enumerate() {
        for offset in (0..block.bytes).step_by(page.len()) {
            one.read(before, index, offset, &mut page).unwrap();
            other.read(after, index, offset, &mut same).unwrap();
            assert!(page == same, "page {offset:#x} of {}", block.name);
        }
    }
}

fn send_fixture(place: &Place, name: &str, bytes: Vec<u8>) -> thread::JoinHandle<Result<Summary, Error>> {
    let peer = place.connect(name);
    thread::spawn(move || {
        let stream = scan(&bytes);
        send::send(&stream, &bytes, peer, Options::default(), &nobody)
    })
}

fn receive_file(
    place: &Place,
    name: &str,
    form: Form,
    file: &str,
) -> thread::JoinHandle<Result<Summary, Error>> {
    let waiting = place.listen(name);
    let file = File::options().read(true).write(true).create_new(true).open(place.path(file)).unwrap();
    thread::spawn(move || {
        receive(waiting.accept(), file, form, Terms::default(), &Anything, &mut |_| Ok(()), &nobody)
    })
}

#[test]
fn a_guest_is_the_same_in_every_form() {
    for (name, form) in [
        ("x86-q35-blk-ioerr-q10.0", Form::Verbatim),
        ("x86-q35-blk-ioerr-q10.0", Form::Mapped),
        ("s390x-ccw-ioerr-q10.0", Form::Mapped),
    ] {
        let place = Place::new();
        let bytes = fixture(name);
        let receiving = receive_file(&place, "a", form, "got");
        let sending = send_fixture(&place, "a", bytes.clone());
        let sent = sending.join().unwrap().unwrap();
        let received = receiving.join().unwrap().unwrap();
        assert_eq!(sent.progress.normal, received.progress.normal);
        assert_eq!((received.progress.remaining, received.progress.again), (0, 0));
        let after = FileSource::new(File::open(place.path("got")).unwrap()).unwrap();
        assert_same(&bytes, &after);
    }
}

/// How a guest goes through the middle.
fn relay(
    place: &Place,
    stream: bool,
    judge: Box<dyn Judge + Send>,
) -> thread::JoinHandle<Result<Summary, Error>> {
    let (waiting, to) = (place.listen("in"), place.connect("out"));
    thread::spawn(move || {
        let from = waiting.accept();
        if stream {
            let options = pass::Options { terms: Terms::default(), acknowledgement: Duration::from_secs(20) };
            pass::relay(from, to, options, judge.as_ref(), None, &nobody)
        } else {
            let mut save = |_: &Held| Ok(());
            hold::relay(from, to, Terms::default(), Options::default(), judge.as_ref(), &mut save, &nobody)
        }
    })
}

#[test]
fn a_guest_goes_through_the_middle() {
    for stream in [false, true] {
        let place = Place::new();
        let bytes = fixture("x86-q35-blk-ioerr-q10.0");
        let receiving = receive_file(&place, "out", Form::Verbatim, "got");
        let relaying = relay(&place, stream, Box::new(Anything));
        let sending = send_fixture(&place, "in", bytes.clone());
        sending.join().unwrap().unwrap();
        relaying.join().unwrap().unwrap();
        receiving.join().unwrap().unwrap();
        let after = FileSource::new(File::open(place.path("got")).unwrap()).unwrap();
        assert_same(&bytes, &after);
    }
}

/// Takes no guest.
struct Nothing;

impl Judge for Nothing {
    fn start(&self, _: &mut Configuration) -> Result<bool, Cause> {
        Ok(false)
    }
    fn judge(&self, _: &Stream, _: &dyn Source) -> Result<Option<Stream>, Cause> {
        Err(Cause::Refused("not this one".to_owned()))
    }
}

#[test]
fn a_refused_guest_stays_where_it_is() {
    for stream in [false, true] {
        let place = Place::new();
        let receiving = receive_file(&place, "out", Form::Verbatim, "got");
        let relaying = relay(&place, stream, Box::new(Nothing));
        let sending = send_fixture(&place, "in", fixture("x86-q35-blk-ioerr-q10.0"));
        let at_source = sending.join().unwrap().unwrap_err();
        assert!(matches!(at_source.cause, Cause::NotTaken { value: 1 }), "{at_source}");
        let refused = relaying.join().unwrap().unwrap_err();
        assert!(matches!(refused.cause, Cause::Refused(_)), "{refused}");
        assert_eq!((refused.state, refused.ends_as()), (State::Device, State::Failed));
        let at_destination = receiving.join().unwrap().unwrap_err();
        assert!(matches!(at_destination.cause, Cause::Closed { .. } | Cause::Io(_)), "{at_destination}");
    }
}

/// What becomes of a stream that begins so.
fn beginning(configuration: &Configuration, heads: &[Head]) -> Cause {
    let place = Place::new();
    let receiving = receive_file(&place, "a", Form::Verbatim, "got");
    let mut channel = Channel::connect(&place.address("a"), &settings(&Cancel::new())).unwrap();
    let mut out = Writer::new();
    save_start(Some(configuration), &mut out);
    heads.iter().for_each(|head| head.save(&mut out));
    channel.write_all(out.as_bytes()).unwrap();
    // The end of what comes must not be needed to see it.
    let error = receiving.join().unwrap().unwrap_err();
    assert_eq!(error.state, State::Setup);
    error.cause
}

fn machine() -> Configuration {
    Configuration { len: 7, name: b"pc-10.0".to_vec(), ..Configuration::default() }
}

#[test]
fn what_is_not_supported_is_refused_by_name_before_any_state() {
    let capability = Capability { name: b"x-ignore-shared".to_vec().into() };
    let capabilities = Some(Capabilities { caps_count: 1, capabilities: vec![capability] });
    let eof = Head::Eof;
    let cause = beginning(&Configuration { capabilities, ..machine() }, &[eof]);
    assert!(matches!(&cause, Cause::Capability { name, .. } if name == "x-ignore-shared"), "{cause}");

    let sizes = PageSizes { blocks: 4096, target: 4096 };
    let commands = [
        (Command::PostcopyAdvise(Some(sizes)), "postcopy-ram"),
        (Command::PostcopyAdvise(None), "dirty-bitmaps"),
        (Command::EnableColo, "x-colo"),
    ];
    for (command, expected) in commands {
        let cause = beginning(&machine(), &[Head::Command(Command::OpenReturnPath), Head::Command(command)]);
        assert!(matches!(&cause, Cause::Capability { name, .. } if name == expected), "{cause}");
    }

    let ram = Head::Section { kind: Kind::Start, id: 2, name: "ram".to_owned(), instance: 0, version: 4 };
    let cause = beginning(&machine(), &[ram]);
    assert!(matches!(cause, Cause::NoReturnPath), "{cause}");
}

#[test]
fn a_source_that_goes_away_ends_it() {
    let bytes = fixture("x86-q35-blk-ioerr-q10.0");
    for part in [3, 50, 97] {
        let place = Place::new();
        let receiving = receive_file(&place, "a", Form::Mapped, "got");
        let mut channel = Channel::connect(&place.address("a"), &settings(&Cancel::new())).unwrap();
        let mut stream = Writer::new();
        let scanned = scan(&bytes);
        save_start(scanned.configuration.as_ref(), &mut stream);
        let start = stream.len();
        Head::Command(Command::OpenReturnPath).save(&mut stream);
        stream.bytes(&bytes[start..bytes.len() * part / 100]);
        channel.write_all(stream.as_bytes()).unwrap();
        drop(channel);
        let error = receiving.join().unwrap().unwrap_err();
        assert!(matches!(error.cause, Cause::Closed { .. }), "{error}");
    }
}

#[test]
fn damage_on_the_way_is_noticed() {
    let mut bytes = fixture("x86-q35-blk-ioerr-q10.0");
    let stream = scan(&bytes);
    let ram = stream.sections().find(|section| section.is_ram()).unwrap();
    // A block that is not in the list.
    let at = usize::try_from(ram.body_offset).unwrap() + 8 + 1;
    bytes[at] ^= 0x55;
    let place = Place::new();
    let receiving = receive_file(&place, "a", Form::Verbatim, "got");
    let mut channel = Channel::connect(&place.address("a"), &settings(&Cancel::new())).unwrap();
    let mut out = Writer::new();
    save_start(stream.configuration.as_ref(), &mut out);
    let start = out.len();
    Head::Command(Command::OpenReturnPath).save(&mut out);
    out.bytes(&bytes[start..]);
    // It may stop listening in the middle.
    drop(channel.write_all(out.as_bytes()));
    let error = receiving.join().unwrap().unwrap_err();
    assert!(matches!(error.cause, Cause::Stream(_)), "{error}");
}
