//! Streams that were cut or damaged: whatever is read, nothing panics and what was whole is shown.

use proptest::prelude::*;
use vmstate::ErrorKind;
use vmstate::stream::Scan;

use crate::builder::{PAGE, sample, scan, scan_whole};

#[test]
fn a_stream_can_end_anywhere() {
    let bytes = sample();
    let whole = scan_whole(&bytes);
    let eof = whole.description.as_ref().unwrap().marker_offset();
    for length in 0..bytes.len() {
        let Scan { stream, stopped } = scan(&bytes[..length]);
        let length = length as u64;
        assert_eq!(stream.is_complete(), length >= eof, "cut at {length:#x}");
        // Cut right behind the end of the state, nothing is missing but the description.
        assert_eq!(stopped.is_none(), length == eof, "cut at {length:#x}");
        if let Some(error) = stopped {
            let is_cut = matches!(error.kind(), ErrorKind::Truncated { .. } | ErrorKind::Footer { .. });
            assert!(is_cut, "cut at {length:#x}: {error}");
        }
        let expected = whole.sections().filter(|section| section.body_end() + 5 <= length).count();
        assert_eq!(stream.sections().count(), expected, "cut at {length:#x}");
        for (found, expected) in stream.sections().zip(whole.sections()) {
            assert_eq!((found.offset, found.body_bytes), (expected.offset, expected.body_bytes));
        }
    }
}

/// Reads all that was found, as far as it is there.
fn read_all(bytes: &[u8]) {
    let Scan { stream, stopped } = scan(bytes);
    assert!(stopped.is_some() || stream.is_complete());
    assert!(stream.bytes + stream.trailing <= bytes.len() as u64);
    if let Some(ram) = &stream.ram {
        for (index, block) in ram.blocks.iter().enumerate() {
            for page in 0..(block.bytes / PAGE).min(8) {
                let mut buf = [0; 4096];
                _ = ram.read(&bytes, index, page * PAGE, &mut buf);
            }
        }
    }
    let mut out = Vec::new();
    stream.write(&bytes, &mut |_| None, &mut out).unwrap();
    if stopped.is_none() {
        assert!(out == bytes[..usize::try_from(stream.bytes).unwrap()], "it is written as it was read");
    }
}

#[test]
fn any_byte_can_be_wrong() {
    let bytes = sample();
    for at in 0..bytes.len() {
        // Within pages of RAM one place is as good as another.
        let is_page =
            |byte| bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())].iter().all(|&it| it == byte);
        if is_page(0xaa) || is_page(0x55) {
            continue;
        }
        for flip in [0x01, 0x02, 0x20, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            read_all(&damaged);
        }
    }
}

proptest! {
    #[test]
    fn several_bytes_can_be_wrong(
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sample();
        for (place, value) in places {
            let length = bytes.len();
            bytes[place.index(length)] = value;
        }
        read_all(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        read_all(&bytes);
    }

    #[test]
    fn anything_can_follow_the_header(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_all(&[b"QEVM\0\0\0\x03", tail.as_slice()].concat());
    }
}
