//! The network device.

use virtio::core::Features;
use virtio::device::Mac;
use virtio::device::net::port::{Port, SocketPort, Switch, SwitchPort};
use virtio::device::net::{LiveNet, NetOptions};

use crate::bench::Bench;

const OWN: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const OTHER: [u8; 6] = [0x52, 0x54, 0, 0, 0, 2];
const HEADER: usize = 12;
const RX: u8 = 0;
const MAC: u8 = 1;
const VLAN: u8 = 2;

fn options(pairs: u16) -> NetOptions {
    NetOptions { mac: Mac(OWN), pairs, queue_size: 64 }
}

fn bench(pairs: u16) -> (Bench, SwitchPort, Switch) {
    let switch = Switch::new();
    let device = LiveNet::new(Box::new(switch.plug()), options(pairs));
    let other = switch.plug();
    (Bench::new(device), other, switch)
}

fn frame(to: [u8; 6], from: [u8; 6], text: &[u8]) -> Vec<u8> {
    [to.as_slice(), &from, &[0x88, 0xb5], text].concat()
}

fn command(bench: &mut Bench, queue: usize, class: u8, number: u8, data: &[u8]) -> bool {
    let ack = bench.ask(queue, &[&[&[class, number], data].concat()], &[1]).data[0];
    assert!(ack <= 1);
    ack == 0
}

/// Whether the driver gets a frame.
fn gets(bench: &mut Bench, other: &mut SwitchPort, frame: &[u8]) -> bool {
    bench.offer(0, &[], &[2048]);
    assert!(other.send(frame).unwrap());
    bench.settle();
    let Some(used) = bench.used(0) else { return false };
    assert_eq!(&used.data[HEADER..used.written as usize], frame);
    true
}

#[test]
fn sends_and_receives() {
    let (mut bench, mut other, _switch) = bench(1);
    let sent = frame(OTHER, OWN, b"hello");
    bench.ask(1, &[&[0; HEADER], &sent], &[]);
    assert_eq!(other.receive().unwrap(), Some(sent));
    assert!(gets(&mut bench, &mut other, &frame(OWN, OTHER, b"and back")));
}

#[test]
fn a_frame_that_is_longer_than_a_buffer_takes_several() {
    let (mut bench, mut other, _switch) = bench(1);
    let long = frame(OWN, OTHER, &[7; 3000]);
    bench.offer(0, &[], &[2048]);
    other.send(&long).unwrap();
    bench.settle();
    assert_eq!(bench.used(0), None, "there is not room for all of it");
    bench.offer(0, &[], &[2048]);
    bench.settle();
    let [first, second] = [0; 2].map(|_| bench.used(0).unwrap());
    assert_eq!(first.data[10..12], [2, 0], "num_buffers");
    let got = [&first.data[HEADER..], &second.data[..second.written as usize]].concat();
    assert_eq!(got, long);
}

#[test]
fn completes_a_checksum() {
    let (mut bench, mut other, _switch) = bench(1);
    let mut header = [0; HEADER];
    (header[0], header[6], header[8]) = (1, 14, 2);
    bench.ask(1, &[&header, &frame(OTHER, OWN, &[0x12, 0x34, 0, 0, 0xff])], &[]);
    let got = other.receive().unwrap().unwrap();
    // 0x1234 + 0xff00 = 0x1_1134, folded 0x1135, complemented.
    assert_eq!(got[14..], [0x12, 0x34, 0xee, 0xca, 0xff]);
    // One that lies outside the frame is no frame.
    header[6] = 200;
    bench.ask(1, &[&header, &frame(OTHER, OWN, b"x")], &[]);
    assert_eq!(other.receive().unwrap(), None);
}

#[test]
fn filters_as_it_is_told() {
    let (mut bench, mut other, _switch) = bench(1);
    let (mine, someones) = (frame(OWN, OTHER, b"x"), frame([0x52, 0x54, 9, 9, 9, 9], OTHER, b"x"));
    let (everybodys, groups) = (frame([0xff; 6], OTHER, b"x"), frame([1, 0, 0x5e, 0, 0, 1], OTHER, b"x"));
    assert!(gets(&mut bench, &mut other, &someones), "promiscuous after a reset");
    assert!(command(&mut bench, 2, RX, 0, &[0]));
    assert!(gets(&mut bench, &mut other, &mine) && gets(&mut bench, &mut other, &everybodys));
    assert!(!gets(&mut bench, &mut other, &someones) && !gets(&mut bench, &mut other, &groups));
    let table =
        [&[1, 0, 0, 0][..], &[0x52, 0x54, 9, 9, 9, 9], &[1, 0, 0, 0], &[1, 0, 0x5e, 0, 0, 1]].concat();
    assert!(command(&mut bench, 2, MAC, 0, &table));
    assert!(gets(&mut bench, &mut other, &someones) && gets(&mut bench, &mut other, &groups));
    assert!(command(&mut bench, 2, RX, 5, &[1]) && !gets(&mut bench, &mut other, &everybodys));
    assert!(command(&mut bench, 2, RX, 3, &[1]) && !gets(&mut bench, &mut other, &groups));
    let tagged = frame(OWN, OTHER, b"")
        .split_at(12)
        .0
        .iter()
        .copied()
        .chain([0x81, 0, 0, 42, 8, 0, 1])
        .collect::<Vec<_>>();
    assert!(!gets(&mut bench, &mut other, &tagged));
    assert!(command(&mut bench, 2, VLAN, 0, &42_u16.to_le_bytes()) && gets(&mut bench, &mut other, &tagged));
    assert!(command(&mut bench, 2, VLAN, 1, &42_u16.to_le_bytes()) && !gets(&mut bench, &mut other, &tagged));
}

#[test]
fn refuses_commands_that_make_no_sense() {
    let (mut bench, _other, _switch) = bench(2);
    for (class, number, data) in [
        (RX, 6, &[1][..]),
        (RX, 0, &[]),
        (MAC, 0, &[0xff; 8]),
        (MAC, 1, &[1]),
        (VLAN, 0, &[0, 0x10]),
        (4, 0, &[3, 0]),
        (4, 0, &[0, 0]),
        (5, 0, &[0xff; 8]),
        (9, 0, &[]),
    ] {
        assert!(!command(&mut bench, 4, class, number, data), "{class}/{number} {data:?}");
    }
    assert_eq!(bench.core.broken(), None);
    bench.offer(4, &[&[RX, 0, 1]], &[]);
    bench.core.notify(4);
    assert!(bench.core.broken().unwrap().contains("without room for its status"));
}

#[test]
fn what_it_was_told_survives() {
    let (mut bench, mut other, switch) = bench(2);
    assert!(command(&mut bench, 4, RX, 0, &[0]));
    assert!(command(&mut bench, 4, MAC, 1, &[2, 0, 0, 0, 0, 7]));
    assert!(command(&mut bench, 4, VLAN, 0, &[7, 0]));
    assert!(command(&mut bench, 4, 4, 0, &[2, 0]));
    assert!(command(&mut bench, 4, 5, 0, &[0; 8]));
    let before = bench.stop().device;
    let again = LiveNet::new(Box::new(switch.plug()), options(2));
    bench.migrate(again);
    let mut config = [0; 10];
    bench.core.read_config(0, &mut config);
    assert_eq!(config, [2, 0, 0, 0, 0, 7, 3, 0, 2, 0], "its address; the link is up; announce yourself");
    assert!(command(&mut bench, 4, 3, 0, &[]), "announced");
    bench.core.read_config(0, &mut config);
    assert_eq!(config[6], 1);
    assert!(!gets(&mut bench, &mut other, &frame(OWN, OTHER, b"x")), "not its address any more");
    assert_eq!(bench.stop().device, before);
}

#[test]
fn frames_go_through_a_socket_too() {
    let (here, there) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let device = LiveNet::new(Box::new(SocketPort::new(here).unwrap()), options(1));
    let mut bench = Bench::with(device, Features(0));
    let mut there = SocketPort::new(there).unwrap();
    bench.ask(1, &[&[0; HEADER], b"to all, and from nobody"], &[]);
    assert_eq!(there.receive().unwrap().unwrap(), b"to all, and from nobody");
    // A network that takes no more blocks the queue, and nothing is lost.
    let mut sent = 0;
    let mut came = 0;
    while sent - came < 20 {
        bench.offer(1, &[&[0; HEADER], &[9; 60_000]], &[]);
        bench.core.notify(1);
        sent += 1;
        came += usize::from(bench.used(1).is_some());
    }
    let mut got = 0;
    while there.receive().unwrap().is_some() {
        got += 1;
        bench.settle();
    }
    assert_eq!(got, sent);
}
