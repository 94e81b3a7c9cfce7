//! Reading and writing what is scattered.

use std::io::{Read, Write};

use virtio::ring::RunningQueue;
use vm_memory::{Bytes, GuestAddress};

use super::driver::{BUFFERS, Config, Driver, Piece, memory};

#[test]
fn a_chain_is_one_stream_in_each_direction() {
    let config = Config {
        size: 8,
        packed: false,
        event_idx: false,
        indirect: false,
        in_order: false,
        big_endian: false,
    };
    let memory = memory();
    let mut driver = Driver::new(&memory, config);
    let at = BUFFERS;
    let pieces: Vec<Piece> = vec![
        (at + 5, 3, false),
        (at + 0x100, 1, false),
        (at + 0x203, 6, false),
        (at + 0x301, 2, true),
        (at + 0x400, 5, true),
    ];
    memory.write_slice(b"abc", GuestAddress(at + 5)).unwrap();
    memory.write_slice(b"d", GuestAddress(at + 0x100)).unwrap();
    memory.write_slice(b"efghij", GuestAddress(at + 0x203)).unwrap();
    driver.add(&memory, |_| pieces, 5).unwrap();
    let mut queue =
        RunningQueue::start(&driver.state(), &memory, config.features(), config.endianness()).unwrap();
    let chain = queue.attach(&memory).unwrap().pop().unwrap().unwrap();
    assert_eq!((chain.readable_len(), chain.writable_len()), (10, 7));

    let mut reader = chain.reader(&memory);
    assert_eq!(&reader.array::<2>().unwrap(), b"ab");
    assert_eq!(reader.skip(3), 3);
    assert_eq!((reader.position(), reader.remaining()), (5, 5));
    let mut rest = String::new();
    reader.clone().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "fghij");
    reader.array::<6>().unwrap_err();
    let mut copied = [0_u8; 10];
    assert_eq!(chain.reader(&memory).copy_to(&mut &mut copied[..], 9).unwrap(), 9);
    assert_eq!(&copied[..9], b"abcdefghi");

    let mut writer = chain.writer(&memory);
    writer.write_all(b"123").unwrap();
    assert_eq!(writer.copy_from(&mut &b"456789"[..], 9).unwrap(), 4);
    assert_eq!((writer.written(), writer.remaining()), (7, 0));
    assert_eq!(writer.write(b"x").unwrap(), 0, "there is no more room");
    let (mut first, mut second) = ([0; 2], [0; 5]);
    memory.read_slice(&mut first, GuestAddress(at + 0x301)).unwrap();
    memory.read_slice(&mut second, GuestAddress(at + 0x400)).unwrap();
    assert_eq!((&first, &second), (b"12", b"34567"));
    drop(queue.attach(&memory).unwrap().push(chain, 7));
}
