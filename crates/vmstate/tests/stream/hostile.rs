//! Streams made to take long.

use std::time::{Duration, Instant};

use crate::builder::{Builder, scan};

/// Whether a stream is read to its end; that must not take long.
fn is_whole(bytes: &[u8]) -> bool {
    let start = Instant::now();
    let scan = scan(bytes);
    assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
    scan.stopped.is_none()
}

#[test]
fn many_descriptions_that_are_none() {
    let start = b"\0\x06\x00\x70\x00\x00{\"page_size\"";
    assert!(!is_whole(&Builder::new().raw(&start.repeat(600_000)).bytes));
}

#[test]
fn many_footers_that_are_none() {
    for follows in
        [&b"\x08\xff\xff\xff\xff"[..], b"\x08\0\x06\xff\xff", b"\x08\0\x02\xff\xff", b"\x04\0\0\0\0\xff"]
    {
        let decoy = [&b"\x7e\0\0\0\x07"[..], follows].concat();
        assert!(!is_whole(&Builder::new().hidden(7, "timer", 0, &decoy.repeat(500_000)).u8(5).bytes));
    }
}

#[test]
fn many_sections() {
    let builder = (0..100_000).fold(Builder::new(), |builder, _| builder.hidden(7, "timer", 0, b""));
    assert!(is_whole(&builder.finish_bare()));
}
