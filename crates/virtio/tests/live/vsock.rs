//! The socket device, with an echo, a host that reads nothing, and Unix sockets at its other side.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use proptest::prelude::*;
use virtio::core::Features;
use virtio::device::vsock::LiveVsock;
use virtio::device::vsock::host::{NobodyListens, VsockHost, VsockStream};
use virtio::device::vsock::memory::{MemoryHost, MemoryStream};
use virtio::device::vsock::unix::UnixHost;

use crate::bench::Bench;

const CID: u64 = 7;
/// The guest's port in most of these tests, and that of the echo.
const GUEST: u32 = 1000;
const ECHO: u32 = 5;
/// A port whose other end is kept, and takes what fits in.
const KEPT: u32 = 6;

const REQUEST: u16 = 1;
const RESPONSE: u16 = 2;
const RST: u16 = 3;
const SHUTDOWN: u16 = 4;
const RW: u16 = 5;
const CREDIT_UPDATE: u16 = 6;
const CREDIT_REQUEST: u16 = 7;

/// A packet, field by field, as the specification has them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packet {
    cids: (u64, u64),
    ports: (u32, u32),
    len: u32,
    kind: u16,
    op: u16,
    flags: u32,
    buf_alloc: u32,
    fwd_cnt: u32,
    payload: Vec<u8>,
}

impl Packet {
    /// One of the guest's, to a port of the host's.
    fn new(port: u32, op: u16) -> Self {
        Self {
            cids: (CID, 2),
            ports: (GUEST, port),
            len: 0,
            kind: 1,
            op,
            flags: 0,
            buf_alloc: 1 << 20,
            fwd_cnt: 0,
            payload: Vec::new(),
        }
    }

    fn data(port: u32, payload: &[u8]) -> Self {
        Self { len: payload.len() as u32, payload: payload.to_vec(), ..Self::new(port, RW) }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.cids.0.to_le_bytes(), self.cids.1.to_le_bytes()].concat();
        for word in [self.ports.0, self.ports.1, self.len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend([self.kind.to_le_bytes(), self.op.to_le_bytes()].concat());
        for word in [self.flags, self.buf_alloc, self.fwd_cnt] {
            bytes.extend(word.to_le_bytes());
        }
        assert_eq!(bytes.len(), 44);
        bytes.extend(&self.payload);
        bytes
    }

    fn parse(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let cid = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let half = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
        let packet = Self {
            cids: (cid(0), cid(8)),
            ports: (word(16), word(20)),
            len: word(24),
            kind: half(28),
            op: half(30),
            flags: word(32),
            buf_alloc: word(36),
            fwd_cnt: word(40),
            payload: bytes[44..].to_vec(),
        };
        assert_eq!(packet.len as usize, packet.payload.len());
        packet
    }
}

/// Room that the driver has for a packet.
const BUFFER: u32 = 44 + 100;

/// A driver with some buffers for what comes.
fn driver(device: LiveVsock) -> Bench {
    let mut bench = Bench::new(device);
    give_buffers(&mut bench, 32);
    bench
}

fn give_buffers(bench: &mut Bench, count: usize) {
    for _ in 0..count {
        bench.offer(0, &[], &[BUFFER]);
    }
    bench.core.notify(0);
}

fn send(bench: &mut Bench, packet: &Packet) {
    assert_eq!(bench.ask(1, &[&packet.bytes()], &[]).written, 0);
}

/// Takes what has come; the buffers are given again.
fn received(bench: &mut Bench) -> Vec<Packet> {
    let mut packets = Vec::new();
    loop {
        bench.settle();
        let Some(used) = bench.used(0) else { return packets };
        packets.push(Packet::parse(&used.data[..used.written as usize]));
        give_buffers(bench, 1);
    }
}

fn ops(packets: &[Packet]) -> Vec<u16> {
    packets.iter().map(|packet| packet.op).collect()
}

fn echo() -> LiveVsock {
    let host = MemoryHost::new();
    host.listen(ECHO, || MemoryStream::echo(1 << 20));
    LiveVsock::new(CID, Box::new(host))
}

/// A driver that is connected to an end that is kept, which has room for so many bytes.
fn kept(room: usize) -> (Bench, MemoryStream) {
    let host = MemoryHost::new();
    let (here, there) = MemoryStream::pair(room);
    let mut there = Some(there);
    host.listen(KEPT, move || there.take().unwrap());
    let mut bench = driver(LiveVsock::new(CID, Box::new(host)));
    send(&mut bench, &Packet::new(KEPT, REQUEST));
    assert_eq!(ops(&received(&mut bench)), [RESPONSE]);
    (bench, here)
}

/// What can be read now, and whether that is the end.
fn read(stream: &mut impl Read) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => (bytes, true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => (bytes, false),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_guest_connects_and_is_answered() {
    let mut bench = driver(echo());
    let mut config = [0; 8];
    bench.core.read_config(0, &mut config);
    assert_eq!(u64::from_le_bytes(config), CID);
    send(&mut bench, &Packet::new(ECHO, REQUEST));
    let response =
        Packet { cids: (2, CID), ports: (ECHO, GUEST), buf_alloc: 64 << 10, ..Packet::new(ECHO, RESPONSE) };
    assert_eq!(received(&mut bench), std::slice::from_ref(&response));
    send(&mut bench, &Packet::data(ECHO, b"hello"));
    let payload = b"hello".to_vec();
    assert_eq!(received(&mut bench), [Packet { op: RW, len: 5, fwd_cnt: 5, payload, ..response }]);
    // What is longer than a buffer comes in pieces, and nothing is lost.
    let long: Vec<u8> = (0..1000_u32).map(|at| at as u8).collect();
    send(&mut bench, &Packet::data(ECHO, &long));
    let pieces = received(&mut bench);
    assert!(pieces.len() >= 10 && pieces.iter().all(|piece| piece.op == RW));
    let all: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.payload).collect();
    assert_eq!(all, long);
    send(&mut bench, &Packet::new(KEPT, REQUEST));
    assert_eq!(ops(&received(&mut bench)), [RST], "nobody listens there");
}

#[test]
fn the_guest_is_not_sent_more_than_it_has_room_for() {
    let (mut bench, mut here) = kept(1000);
    send(&mut bench, &Packet { buf_alloc: 10, ..Packet::new(KEPT, CREDIT_UPDATE) });
    here.write_all(&[3; 25]).unwrap();
    let packets = received(&mut bench);
    assert_eq!(ops(&packets), [RW, CREDIT_REQUEST], "it is asked once");
    assert_eq!(packets[0].payload, [3; 10]);
    send(&mut bench, &Packet { buf_alloc: 10, fwd_cnt: 4, ..Packet::new(KEPT, CREDIT_UPDATE) });
    let packets = received(&mut bench);
    assert_eq!((ops(&packets), packets[0].len), (vec![RW, CREDIT_REQUEST], 4));
    send(&mut bench, &Packet { buf_alloc: 100, fwd_cnt: 14, ..Packet::new(KEPT, CREDIT_UPDATE) });
    let packets = received(&mut bench);
    assert_eq!((ops(&packets), packets[0].len), (vec![RW], 11));
}

#[test]
fn the_guest_must_not_send_more_than_there_is_room_for() {
    let (mut bench, mut here) = kept(1000);
    // The host takes 1,000 bytes, and the device keeps the rest.
    for _ in 0..65 {
        send(&mut bench, &Packet::data(KEPT, &[1; 1000]));
    }
    assert_eq!(received(&mut bench), []);
    send(&mut bench, &Packet::new(KEPT, CREDIT_REQUEST));
    let packets = received(&mut bench);
    assert_eq!((ops(&packets), packets[0].fwd_cnt), (vec![CREDIT_UPDATE], 1000));
    let mut taken = 0;
    let mut told = Vec::new();
    while taken < 65_000 {
        taken += read(&mut here).0.len();
        told.extend(received(&mut bench));
    }
    assert_eq!(ops(&told), [CREDIT_UPDATE; 3], "it is told of each quarter");
    assert!(told.is_sorted_by_key(|packet| packet.fwd_cnt));
    send(&mut bench, &Packet::data(KEPT, &vec![1; (64 << 10) + 1]));
    assert_eq!(ops(&received(&mut bench)), [RST]);
    assert_eq!((read(&mut here), bench.core.broken()), ((vec![], true), None));
}

#[test]
fn a_direction_is_shut_down_after_what_was_sent() {
    let (mut bench, mut here) = kept(10);
    send(&mut bench, &Packet::data(KEPT, b"the last words"));
    send(&mut bench, &Packet { flags: 2, ..Packet::new(KEPT, SHUTDOWN) });
    assert_eq!(read(&mut here), (b"the last w".to_vec(), false));
    here.write_all(b"answer").unwrap();
    assert_eq!(received(&mut bench)[0].payload, b"answer");
    assert_eq!(read(&mut here), (b"ords".to_vec(), true));
    here.shutdown().unwrap();
    let packets = received(&mut bench);
    assert_eq!((ops(&packets), packets[0].flags), (vec![SHUTDOWN], 2));
    send(&mut bench, &Packet { flags: 3, ..Packet::new(KEPT, SHUTDOWN) });
    assert_eq!(ops(&received(&mut bench)), [RST], "that is how both ends agree");
}

#[test]
fn both_directions_are_shut_down_once_all_is_handed_on() {
    let (mut bench, mut here) = kept(4);
    send(&mut bench, &Packet::data(KEPT, b"abcdef"));
    send(&mut bench, &Packet { flags: 3, ..Packet::new(KEPT, SHUTDOWN) });
    assert_eq!(received(&mut bench), []);
    assert_eq!(read(&mut here), (b"abcd".to_vec(), false));
    assert_eq!(ops(&received(&mut bench)), [RST]);
    assert_eq!(read(&mut here), (b"ef".to_vec(), true));
    let (mut bench, here) = kept(4);
    drop(here);
    assert_eq!(ops(&received(&mut bench)), [SHUTDOWN]);
    send(&mut bench, &Packet::data(KEPT, b"is anybody there?"));
    assert_eq!(ops(&received(&mut bench)), [RST]);
}

#[test]
fn nonsense_is_answered_or_dropped() {
    let mut bench = driver(echo());
    for (packet, answer) in [
        (Packet { cids: (CID + 1, 2), ..Packet::new(ECHO, REQUEST) }, vec![]),
        (Packet { cids: (CID, 3), ..Packet::new(ECHO, REQUEST) }, vec![]),
        (Packet { kind: 2, ..Packet::new(ECHO, REQUEST) }, vec![RST]),
        (Packet::new(ECHO, 0), vec![RST]),
        (Packet::new(ECHO, 99), vec![RST]),
        (Packet::new(ECHO, RESPONSE), vec![RST]),
        (Packet::data(ECHO, b"to nobody"), vec![RST]),
        (Packet::new(ECHO, RST), vec![]),
        (Packet { kind: 9, ..Packet::new(ECHO, RST) }, vec![]),
    ] {
        send(&mut bench, &packet);
        let packets = received(&mut bench);
        assert_eq!(ops(&packets), answer, "{packet:?}");
        assert!(packets.iter().all(|it| it.kind == packet.kind && it.ports == (ECHO, GUEST)));
    }
    for packet in [
        Packet { len: 10, ..Packet::data(ECHO, b"short") },
        Packet { len: u32::MAX, ..Packet::data(ECHO, b"short") },
        Packet::new(ECHO, REQUEST),
        Packet::new(ECHO, RESPONSE),
        Packet::new(ECHO, 99),
    ] {
        send(&mut bench, &Packet::new(ECHO, REQUEST));
        send(&mut bench, &packet);
        assert_eq!(ops(&received(&mut bench)), [RESPONSE, RST], "{packet:?}");
    }
    bench.ask(1, &[&[1; 43]], &[]);
    bench.ask(1, &[], &[10]);
    assert_eq!((received(&mut bench), bench.core.broken()), (vec![], None));
    bench.offer(0, &[], &[44]);
    send(&mut bench, &Packet::new(ECHO, REQUEST));
    bench.stop();
}

#[test]
fn a_buffer_without_room_breaks_the_device_and_nothing_more() {
    let mut bench = Bench::new(echo());
    bench.offer(0, &[], &[43]);
    send(&mut bench, &Packet::new(ECHO, REQUEST));
    let why = bench.core.broken().unwrap();
    assert_eq!(why, "queue 0: a buffer of 43 bytes, expected at least 44");
    // It can still go elsewhere, broken as it is.
    assert_eq!(bench.stop().core.queues[0].last_avail_idx, 0);
}

#[test]
fn a_driver_that_takes_nothing_is_not_heard_for_ever() {
    let mut bench = Bench::new(echo());
    let mut heard = 0;
    for _ in 0..1000 {
        bench.offer(1, &[&Packet::data(ECHO, b"").bytes()], &[]);
        bench.core.notify(1);
        match bench.used(1) {
            Some(_) => heard += 1,
            None => break,
        }
    }
    assert_eq!(heard, 256);
    give_buffers(&mut bench, 32);
    assert_eq!(received(&mut bench).len(), 257);
    assert!(bench.used(1).is_some());
}

#[test]
fn after_a_migration_the_driver_is_told() {
    let (mut bench, mut here) = kept(100);
    bench.migrate(echo());
    assert_eq!(read(&mut here), (vec![], true), "connections end where the guest leaves");
    assert_eq!(bench.used(2), None, "there was no buffer");
    bench.migrate(echo());
    bench.offer(2, &[], &[4]);
    bench.offer(2, &[], &[4]);
    bench.core.notify(2);
    let event = bench.used(2).unwrap();
    assert_eq!((event.written, event.data), (4, vec![0; 4]));
    bench.settle();
    assert_eq!(bench.used(2), None, "it is told once");
    send(&mut bench, &Packet::data(KEPT, b"still there?"));
    assert_eq!(ops(&received(&mut bench)), [RST]);
    bench.migrate(echo());
    assert!(bench.used(2).is_some(), "and after each");

    // What was sent before is answered after the driver is told.
    bench.offer(2, &[], &[4]);
    bench.offer(1, &[&Packet::data(KEPT, b"late").bytes()], &[]);
    let _ = bench.stop();
    let state = bench.stop();
    assert_eq!(state.core.queues[2].last_avail_idx, 2, "a buffer for events stays where it is");
    bench.migrate(echo());
    assert!(bench.used(2).is_some());
    assert_eq!(ops(&received(&mut bench)), [RST]);
}

#[test]
fn a_driver_that_begins_anew_is_told_nothing() {
    let mut bench = driver(echo());
    bench.migrate(LiveVsock::new(CID, Box::new(NobodyListens)));
    bench.set_up(Features(0));
    bench.offer(2, &[], &[4]);
    bench.core.notify(2);
    assert_eq!((bench.used(2), bench.core.broken()), (None, None));
    bench.migrate(LiveVsock::new(CID, Box::new(NobodyListens)));
    assert!(bench.used(2).is_some());
}

#[test]
fn the_host_connects_to_the_guest() {
    let host = MemoryHost::new();
    let mut bench = driver(LiveVsock::new(CID, Box::new(host.clone())));
    let mut here = host.connect_to_guest(GUEST, 100);
    here.write_all(b"hello").unwrap();
    let request = received(&mut bench);
    let port = 1 << 30;
    assert_eq!((ops(&request), request[0].ports), (vec![REQUEST], (port, GUEST)));
    send(&mut bench, &Packet::new(port, RESPONSE));
    let packets = received(&mut bench);
    assert_eq!((ops(&packets), &*packets[0].payload), (vec![RW], b"hello".as_slice()));
    send(&mut bench, &Packet::data(port, b"hello yourself"));
    assert_eq!(read(&mut here).0, b"hello yourself");
    let mut other = host.connect_to_guest(GUEST, 100);
    assert_eq!(received(&mut bench)[0].ports, (port + 1, GUEST), "each has a port of its own");
    send(&mut bench, &Packet::new(port + 1, RST));
    assert_eq!(read(&mut other), (vec![], true), "the guest does not listen");
}

#[test]
fn ports_are_unix_sockets() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("vsock");
    let listener = UnixListener::bind(dir.path().join("vsock_5")).unwrap();
    let host = UnixHost::bind(&path).unwrap();
    assert!(UnixHost::bind(&path).is_err(), "there is one already");
    let mut bench = driver(LiveVsock::new(CID, Box::new(host)));
    send(&mut bench, &Packet::new(KEPT, REQUEST));
    assert_eq!(ops(&received(&mut bench)), [RST]);
    send(&mut bench, &Packet::new(ECHO, REQUEST));
    send(&mut bench, &Packet::data(ECHO, b"out"));
    let (mut there, _) = listener.accept().unwrap();
    let mut three = [0; 3];
    there.read_exact(&mut three).unwrap();
    assert_eq!(&three, b"out");
    there.write_all(b"in").unwrap();
    drop(there);
    let packets = received(&mut bench);
    assert_eq!((ops(&packets), &*packets[1].payload), (vec![RESPONSE, RW, SHUTDOWN], b"in".as_slice()));

    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"CONNECT 10").unwrap();
    assert_eq!(received(&mut bench), [], "that is not all");
    client.write_all(b"00\nhello").unwrap();
    let request = received(&mut bench);
    assert_eq!((ops(&request), request[0].ports.1), (vec![REQUEST], GUEST));
    send(&mut bench, &Packet::new(request[0].ports.0, RESPONSE));
    assert_eq!(received(&mut bench)[0].payload, b"hello");
    let mut answer = [0; 14];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"OK 1073741824\n");

    drop(bench);
    assert!(!path.exists());
}

#[test]
fn clients_of_unix_sockets_do_not_hold_each_other_up() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("vsock");
    let mut host = UnixHost::bind(&path).unwrap();
    for nonsense in ["GET / HTTP/1.1\n", "CONNECT -1\n", "CONNECT 4294967296\n", "CONNECT 1 and much more\n"]
    {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(nonsense.as_bytes()).unwrap();
        assert!(host.accept().is_none());
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "it is shown the door");
    }
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(UnixStream::connect(&path).unwrap());
        assert!(host.accept().is_none());
    }
    assert_eq!(silent[0].read(&mut [0]).unwrap(), 0, "the oldest has to go");
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"CONNECT 4294967295\n").unwrap();
    assert_eq!(host.accept().unwrap().0, u32::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a driver sends, the device neither breaks nor holds anything when it is stopped.
    #[test]
    fn nothing_a_driver_sends_is_too_much(
        packets in prop::collection::vec(
            (0_u16..9, 0_u32..4, 0_u32..4, any::<u32>(), any::<u32>(), 0_u32..200, 0_usize..200),
            1..60,
        ),
    ) {
        let host = MemoryHost::new();
        host.listen(1, || MemoryStream::echo(100));
        host.listen(2, || MemoryStream::pair(10).0);
        let mut bench = driver(LiveVsock::new(CID, Box::new(host)));
        for (op, port, flags, buf_alloc, fwd_cnt, len, payload) in packets {
            let payload = vec![7; payload];
            send(&mut bench, &Packet { flags, buf_alloc, fwd_cnt, len, payload, ..Packet::new(port, op) });
            for packet in received(&mut bench) {
                prop_assert!(packet.ports.1 == GUEST && (RESPONSE..=CREDIT_REQUEST).contains(&packet.op));
            }
        }
        prop_assert_eq!(bench.core.broken(), None);
        bench.stop();
    }
}
