//! Guests whose pages go over channels of their own.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};

use migration::multifd::{Compression, Initial};

use super::*;

const GUEST: &str = "x86-q35-blk-ioerr-q10.0";
/// Bytes of the initial packet, and of a packet before its content.
const INITIAL: usize = 64;
const PACKET: usize = 320 + 8 * 128;

fn send_over(
    place: &Place,
    name: &str,
    channels: u8,
    compression: Compression,
) -> thread::JoinHandle<Result<Summary, Error>> {
    let cancel = Cancel::new();
    let peer = Peer::connect_all(&place.address(name), &Initial::first(channels), &settings(&cancel), cancel)
        .unwrap();
    thread::spawn(move || {
        let bytes = fixture(GUEST);
        let options = Options { compression, ..Options::default() };
        send::send(&scan(&bytes), &bytes, peer, options, &nobody)
    })
}

fn receive_over(
    place: &Place,
    name: &str,
    channels: u8,
    form: Form,
) -> thread::JoinHandle<Result<Summary, Error>> {
    let Waiting { mut listener, cancel } = place.listen(name);
    let file = File::options().read(true).write(true).create_new(true).open(place.path("guest.mig")).unwrap();
    thread::spawn(move || {
        let peer = Peer::accept_all(&mut listener, channels, cancel).map_err(|cause| Error {
            state: State::Setup,
            side: migration::event::Side::In,
            cause,
        })?;
        receive(peer, file, form, Terms::default(), &Anything, &mut |_| Ok(()), &nobody)
    })
}

#[test]
fn a_guest_is_the_same_over_any_number_of_channels() {
    for channels in [1, 2, 5] {
        for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
            let place = Place::new();
            let receiving = receive_over(&place, "in", channels, Form::Mapped);
            let sending = send_over(&place, "in", channels, compression);
            let sent = sending.join().unwrap().unwrap();
            let received = receiving.join().unwrap().unwrap();
            assert_eq!(sent.progress.normal, received.progress.normal, "{channels} {compression}");
            let after = FileSource::new(File::open(place.path("guest.mig")).unwrap()).unwrap();
            assert_same(&fixture(GUEST), &after);
        }
    }
}

#[test]
fn a_guest_goes_through_a_relay_over_channels() {
    for is_stream in [false, true] {
        let place = Place::new();
        let receiving = receive_over(&place, "out", 2, Form::Mapped);
        let Waiting { mut listener, cancel } = place.listen("in");
        let out_cancel = Cancel::new();
        let out = place.address("out");
        let relaying = thread::spawn(move || {
            let mut from = Peer::accept_all(&mut listener, 2, cancel).unwrap();
            let channels = if is_stream { from.initials().unwrap() } else { Initial::first(2) };
            let to = Peer::connect_all(&out, &channels, &settings(&out_cancel), out_cancel.clone()).unwrap();
            if is_stream {
                let options =
                    pass::Options { terms: Terms::default(), acknowledgement: Duration::from_secs(20) };
                pass::relay(from, to, options, &Anything, None, &nobody)
            } else {
                hold::relay(
                    from,
                    to,
                    Terms::default(),
                    Options::default(),
                    &Anything,
                    &mut |_| Ok(()),
                    &nobody,
                )
            }
        });
        let sending = send_over(&place, "in", 2, Compression::Zstd);
        sending.join().unwrap().unwrap();
        relaying.join().unwrap().unwrap();
        receiving.join().unwrap().unwrap();
        let after = FileSource::new(File::open(place.path("guest.mig")).unwrap()).unwrap();
        assert_same(&fixture(GUEST), &after);
    }
}

/// What is done to the first packets of a channel, given its number.
type Damage = fn(usize, &mut Vec<u8>);

/// Passes the connections of `from` on to `to`, and damages those that pages go over.
fn damage(place: &Place, from: &str, to: &str, count: usize, change: Damage) {
    let listener = UnixListener::bind(place.path(from)).unwrap();
    let to = place.path(to);
    thread::spawn(move || {
        let mut number = 0;
        for _ in 0..count {
            let (mut near, _) = listener.accept().unwrap();
            let mut far = UnixStream::connect(&to).unwrap();
            let (mut back, mut near_back) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut back, &mut near_back));
            let mut start = [0; 4];
            near.read_exact(&mut start).unwrap();
            let mut first = start.to_vec();
            if start == 0x1122_3344_u32.to_be_bytes() {
                first.resize(INITIAL + PACKET, 0);
                near.read_exact(&mut first[4..]).unwrap();
                change(number, &mut first);
                number += 1;
            }
            thread::spawn(move || {
                let cut = first.is_empty();
                drop(far.write_all(&first));
                if !cut {
                    drop(std::io::copy(&mut near, &mut far));
                }
                drop(far.shutdown(Shutdown::Both));
            });
        }
    });
}

/// What the receiving side says of damaged channels. Neither side hangs, and the source keeps its guest.
fn refused(change: Damage) -> String {
    let place = Place::new();
    let receiving = receive_over(&place, "behind", 2, Form::Mapped);
    damage(&place, "before", "behind", 3, change);
    let sending = send_over(&place, "before", 2, Compression::None);
    let error = receiving.join().unwrap().unwrap_err();
    assert!(sending.join().unwrap().is_err());
    assert_eq!(error.cause.code(), vmstate::Code(704), "{error}");
    error.cause.to_string()
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Makes a packet one with a page of zeros.
fn zero_page(bytes: &mut [u8], block: &[u8], offset: u64) {
    put(bytes, INITIAL + 32, 1);
    bytes[INITIAL + 64..][..block.len()].copy_from_slice(block);
    bytes[INITIAL + 320..][..8].copy_from_slice(&offset.to_be_bytes());
}

#[test]
fn damaged_channels_are_refused() {
    const FLAGS: usize = INITIAL + 8;
    const NORMAL: usize = INITIAL + 16;
    const CONTENT: usize = INITIAL + 20;
    let cases: [(Damage, &str); 11] = [
        (|_, bytes| put(bytes, 4, 2), "multifd: the version of the initial packet is 0x2, expected 0x1"),
        (|_, bytes| bytes[24] = 2, "multifd: channel 2: there are 2 channels, expected a number below that"),
        (|_, bytes| put(bytes, INITIAL, 7), "the magic number of a packet is 0x7, expected 0x11223344"),
        (|_, bytes| put(bytes, FLAGS, 8), "pages are compressed with qpl"),
        (|_, bytes| put(bytes, FLAGS, 1 << 6), "device state comes over it"),
        (|_, bytes| put(bytes, NORMAL, 129), "a packet has 129 and 0 pages of 128, at most 128"),
        (
            |_, bytes| (put(bytes, NORMAL, 1), put(bytes, CONTENT, u32::MAX)).0,
            "a packet has 4294967295 bytes of content, at most",
        ),
        (|_, bytes| zero_page(bytes, b"X", 0), "a packet has pages of the block X"),
        (|_, bytes| zero_page(bytes, b"pc.ram", 1), "a page at 0x1 of the block pc.ram"),
        (|_, bytes| zero_page(bytes, b"pc.ram", 1 << 40), "a page at 0x10000000000 of the block pc.ram"),
        (|_, bytes| bytes.clear(), "a channel was closed before it said what it is"),
    ];
    for (change, expected) in cases {
        let refused = refused(change);
        assert!(refused.contains(expected), "{refused}\nexpected {expected}");
    }
}

#[test]
fn the_same_channel_twice_is_refused() {
    let refused = refused(|_, bytes| bytes[24] = 0);
    assert_eq!(refused, "multifd: channel 0: there are two of it");
}

#[test]
fn another_number_of_channels_is_refused() {
    let place = Place::new();
    let receiving = receive_over(&place, "in", 0, Form::Mapped);
    let sending = send_over(&place, "in", 1, Compression::None);
    assert_eq!(receiving.join().unwrap().unwrap_err().cause.code(), vmstate::Code(704));
    assert!(sending.join().unwrap().is_err());
}

#[test]
fn what_comes_over_channels_cannot_be_kept_as_it_comes() {
    let place = Place::new();
    let receiving = receive_over(&place, "in", 1, Form::Verbatim);
    let sending = send_over(&place, "in", 1, Compression::None);
    let error = receiving.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("keep each once (--mapped-ram)"), "{error}");
    assert!(sending.join().unwrap().is_err());
}
