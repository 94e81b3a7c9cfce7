//! Writing a stream again.

use std::io::{self, Write};

use proptest::prelude::*;
use vmstate::stream::{Section, Stream, WriteError};

use crate::builder::{Builder, RAM_ID, Records, sample, scan, scan_whole};

fn written(stream: &Stream, bytes: &[u8], replace: &mut dyn FnMut(&Section) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    stream.write(&bytes, replace, &mut out).unwrap();
    out
}

#[test]
fn a_stream_is_written_as_it_was_read() {
    let bytes = sample();
    assert!(written(&scan_whole(&bytes), &bytes, &mut |_| None) == bytes);
    let with_tail = [&bytes[..], &[0; 100]].concat();
    assert!(written(&scan_whole(&with_tail), &with_tail, &mut |_| None) == bytes, "the tail is not of it");
}

#[test]
fn other_bodies_take_the_place_of_those_that_were_read() {
    let bytes = sample();
    let mut replace = |section: &Section| (section.name == "timer").then(|| b"now".to_vec());
    let out = written(&scan_whole(&bytes), &bytes, &mut replace);
    assert_eq!(out.len(), bytes.len() - 7);
    let again = scan_whole(&out);
    assert_eq!(again.section("timer", 0).unwrap().body().unwrap(), b"now");
    let net =
        |stream: &Stream| stream.section("0000:00:03.0/virtio-net", 0).unwrap().body().unwrap().to_vec();
    assert_eq!(net(&again), [7; 300]);
}

#[test]
fn ram_can_be_replaced_too() {
    let bytes = sample();
    let zeros = Records::new().zero(Some("pc.ram"), 0).zero(None, 1).eos().0;
    let mut parts = 0;
    let mut replace = |section: &Section| {
        parts += usize::from(section.is_ram());
        (section.is_ram() && parts == 2).then(|| zeros.clone())
    };
    let out = written(&scan_whole(&bytes), &bytes, &mut replace);
    let ram = scan_whole(&out).ram.unwrap();
    assert_eq!((ram.normal, ram.zero, ram.xbzrle), (0, 2, 0));
}

#[test]
fn a_description_is_written_as_it_stands() {
    let bytes = sample();
    let mut stream = scan_whole(&bytes);
    stream.description.as_mut().unwrap().json = br#"{"page_size": 4096, "devices": []}"#.to_vec();
    let out = written(&stream, &bytes, &mut |_| None);
    assert!(scan_whole(&out).description.unwrap().desc.devices.is_empty());
}

#[test]
fn a_package_is_as_long_as_what_is_in_it() {
    let before = Builder::new().device(3, "before", b"0").bytes;
    let inner = Builder::new().command(4, b"").device(7, "inside", b"abc").command(5, b"").bytes;
    let inner = &inner[Builder::new().bytes.len()..];
    let length = u32::try_from(inner.len()).unwrap();
    let package = |length: u32, inner: &[u8]| {
        Builder::bare().command(7, &length.to_be_bytes()).bytes[8..]
            .iter()
            .chain(inner)
            .copied()
            .collect::<Vec<_>>()
    };
    let after = Builder::bare().device(8, "after", b"9").bytes[8..].to_vec();
    let bytes = [before, package(length, inner), after, vec![0]].concat();
    let stream = scan_whole(&bytes);
    assert!(written(&stream, &bytes, &mut |_| None) == bytes);
    let out = written(&stream, &bytes, &mut |section| Some([section.body().unwrap(), b"+!"].concat()));
    let found = out.windows(5).position(|bytes| bytes == b"\x08\0\x07\0\x04").unwrap();
    assert_eq!(out[found + 5..found + 9], (length + 2).to_be_bytes());
    assert_eq!(scan_whole(&out).section("inside", 0).unwrap().body().unwrap(), b"abc+!");
}

#[test]
fn a_cut_stream_is_written_as_far_as_it_could_be_read() {
    let bytes = sample();
    let stream = scan_whole(&bytes);
    let net = stream.section("0000:00:03.0/virtio-net", 0).unwrap();
    let cut = bytes[..usize::try_from(net.body_offset).unwrap() + 5].to_vec();
    let out = written(&scan(&cut).stream, &cut, &mut |_| None);
    assert_eq!(out, bytes[..usize::try_from(net.offset).unwrap()]);
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(bytes.len()) {
            Some(left) => self.0 = left,
            None => return Err(io::ErrorKind::StorageFull.into()),
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_not_a_broken_stream() {
    let bytes = sample();
    let stream = scan_whole(&bytes);
    for room in [0, 100, bytes.len() - 1] {
        let error = stream.write(&bytes, &mut |_| None, &mut Full(room)).unwrap_err();
        assert!(matches!(error, WriteError::Write(_)), "{error}");
    }
    stream.write(&bytes, &mut |_| None, &mut Full(bytes.len())).unwrap();
    let error = stream.write(&bytes[..200].to_vec(), &mut |_| None, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, WriteError::Read(_)), "{error}");
}

proptest! {
    #[test]
    fn any_stream_is_written_as_it_was_read(
        devices in proptest::collection::vec(
            ("[a-z0-9:./-]{1,20}", proptest::collection::vec(any::<u8>(), 0..80), any::<bool>()),
            0..12,
        ),
        pages in proptest::collection::vec((0..8_u64, any::<bool>()), 0..10),
    ) {
        let mut builder = Builder::new().ram_start(&[("pc.ram", 8)]);
        let mut records = Records::new();
        let mut block = Some("pc.ram");
        for (page, zero) in pages {
            records = if zero { records.zero(block.take(), page) } else { records.page(block.take(), page, 1) };
        }
        builder = builder.more(2, RAM_ID, &records.eos().0).ram_end(Records::new());
        for (id, (name, body, listed)) in (10..).zip(&devices) {
            // A name of its own, so that each has its own description.
            let name = format!("{name}{id}");
            builder = if *listed { builder.device(id, &name, body) } else { builder.hidden(id, &name, 0, body) };
        }
        let bytes = builder.finish();
        let stream = scan_whole(&bytes);
        prop_assert!(written(&stream, &bytes, &mut |_| None) == bytes);
        let bodies: Vec<_> = stream.sections().filter_map(Section::body).collect();
        let expected: Vec<_> = devices.iter().map(|(_, body, _)| body.as_slice()).collect();
        prop_assert_eq!(bodies, expected);
    }
}
