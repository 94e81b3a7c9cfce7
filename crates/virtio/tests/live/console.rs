//! The console.

use virtio::core::Features;
use virtio::device::DeviceState;
use virtio::device::console::port::{MemoryConsole, SocketConsole};
use virtio::device::console::{LiveConsole, PortOptions};

use crate::bench::Bench;

const MULTIPORT: u128 = 1 << 1;

fn two(ends: [&MemoryConsole; 2]) -> LiveConsole {
    let [console, channel] = ends.map(|end| Box::new(end.clone()));
    LiveConsole::new(
        vec![
            PortOptions { end: console, name: None, is_console: true },
            PortOptions { end: channel, name: Some("org.vmig.0".to_owned()), is_console: false },
        ],
        (80, 25),
    )
}

fn message(port: u32, event: u16, value: u16) -> Vec<u8> {
    [port.to_le_bytes().as_slice(), &event.to_le_bytes(), &value.to_le_bytes()].concat()
}

/// What the driver is told, with as many buffers as it gave.
fn told(bench: &mut Bench) -> Vec<Vec<u8>> {
    bench.settle();
    std::iter::from_fn(|| bench.used(2)).map(|used| used.data[..used.written as usize].to_vec()).collect()
}

#[test]
fn ports_are_announced_and_opened() {
    let ends = [MemoryConsole::new(1000), MemoryConsole::new(1000)];
    let mut bench = Bench::new(two([&ends[0], &ends[1]]));
    for _ in 0..8 {
        bench.offer(2, &[], &[64]);
    }
    bench.ask(3, &[&message(0, 0, 1)], &[]);
    assert_eq!(told(&mut bench), [message(0, 1, 1), message(1, 1, 1)]);
    bench.ask(3, &[&message(0, 3, 1)], &[]);
    assert_eq!(told(&mut bench), [message(0, 4, 1), message(0, 6, 1)]);
    bench.ask(3, &[&message(1, 3, 1)], &[]);
    let name = [message(1, 7, 1), b"org.vmig.0".to_vec()].concat();
    assert_eq!(told(&mut bench), [name, message(1, 6, 1)]);

    // The first queue of port 1 is the fifth.
    ends[1].type_in(b"early");
    bench.offer(4, &[], &[16]);
    bench.settle();
    assert_eq!(bench.used(4), None, "the guest has not opened it");
    bench.ask(3, &[&message(1, 6, 1)], &[]);
    bench.settle();
    assert_eq!(bench.used(4).unwrap().data[..5], *b"early");
    bench.ask(5, &[b"out of ", b"port 1"], &[]);
    assert_eq!((ends[0].take(), ends[1].take()), (vec![], b"out of port 1".to_vec()));
    for nonsense in [message(9, 3, 1), message(1, 99, 1), vec![1]] {
        bench.ask(3, &[&nonsense], &[]);
    }
    assert_eq!(bench.core.broken(), None);
}

#[test]
fn what_was_half_read_out_is_carried() {
    let ends = [MemoryConsole::new(5), MemoryConsole::new(5)];
    let mut bench = Bench::new(two([&ends[0], &ends[1]]));
    bench.offer(1, &[b"abc", b"defghi"], &[]);
    bench.offer(1, &[b"jkl"], &[]);
    bench.core.notify(1);
    bench.settle();
    assert_eq!(bench.used(1), None);
    let DeviceState::Console(state) = bench.stop().device else { panic!("another device") };
    let element = state.ports[0].element.clone().unwrap();
    assert_eq!((element.iov_idx, element.iov_offset), (1, 2));

    // Going on elsewhere, again and again: no byte is lost, none comes twice.
    drop(ends[0].take());
    let mut bench = Bench::new(two([&ends[0], &ends[1]]));
    bench.offer(1, &[b"abc", b"defghi"], &[]);
    bench.offer(1, &[b"jkl"], &[]);
    bench.core.notify(1);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.extend(ends[0].take());
        bench.migrate(two([&ends[0], &ends[1]]));
    }
    all.extend(ends[0].take());
    assert_eq!(all, b"abcdefghijkl");
    assert!(bench.used(1).is_some() && bench.used(1).is_some());
}

#[test]
fn a_driver_that_knows_one_port_has_it_open() {
    let end = MemoryConsole::new(100);
    let mut bench = Bench::with(LiveConsole::single(Box::new(end.clone())), Features(0));
    end.type_in(b"ls\n");
    assert_eq!(bench.ask(0, &[], &[10]).data[..3], *b"ls\n");
    bench.core.write_config(8, &u32::from(b'!').to_le_bytes());
    assert_eq!(end.take(), b"!");
}

#[test]
fn nobody_at_the_other_end_holds_nothing_up() {
    let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    let device = LiveConsole::single(Box::new(SocketConsole::new(here).unwrap()));
    let mut bench = Bench::with(device, Features(MULTIPORT));
    bench.ask(1, &[b"hello"], &[]);
    let mut got = [0; 5];
    std::io::Read::read_exact(&mut &there, &mut got).unwrap();
    assert_eq!(&got, b"hello");
    drop(there);
    for _ in 0..3 {
        bench.ask(1, &[&[1; 5000]], &[]);
    }
}
