//! Streams, and what they are made of.

use virtio::guest::Guest;
use vmstate::ram::{Decoder, Layout, Record, xbzrle};
use vmstate::stream::Stream;
use vmstate::value::StructValue;
use vmstate::{Reader, Writer, vmdesc};

/// A whole stream: what is read to its end is written as the same bytes.
pub(crate) fn whole(bytes: &[u8]) {
    let bytes = bytes.to_vec();
    let scan = Stream::scan(&bytes, &mut |_| ());
    if let Some(error) = &scan.stopped {
        assert!(error.offset() <= bytes.len() as u64, "{error}");
    }
    let guest = Guest::decode(&scan.stream, &bytes);
    for section in scan.stream.sections() {
        if let Some(Ok(content)) = guest.content(section) {
            let _ = content.save();
        }
    }
    let mut out = Vec::new();
    if scan.stopped.is_none() && scan.stream.write(&bytes, &mut |_| None, &mut out).is_ok() {
        assert!(bytes.starts_with(&out), "another stream was written than was read");
    }
}

/// Records of RAM: each page lies in its block.
pub(crate) fn ram(bytes: &[u8]) {
    let Some((&flags, bytes)) = bytes.split_first() else { return };
    let layout = Layout { addresses: flags & 1 != 0, mapped: flags & 2 != 0, postcopy: flags & 4 != 0 };
    let mut decoder = Decoder::new(1 << 12, layout);
    let mut input = Reader::new(bytes, 0);
    while let Ok(record) = decoder.decode(&mut input) {
        let (page, content) = match record {
            Record::Zero(page) => (page, 0),
            Record::Page(page) => (page, 1 << 12),
            Record::Xbzrle { page, bytes } => (page, bytes.into()),
            _ => continue,
        };
        let block = &decoder.blocks()[page.block];
        assert!(page.offset < block.bytes, "{page:x?} of {block:x?}");
        let Ok(content) = input.bytes(content) else { return };
        if matches!(record, Record::Xbzrle { .. }) {
            let _ = xbzrle::apply(&mut Reader::new(content, 0), &mut [0; 1 << 12]);
        }
    }
}

/// The description of a stream.
pub(crate) fn description(bytes: &[u8]) {
    let Ok(description) = vmdesc::parse(bytes, 0) else { return };
    for device in &description.devices {
        let _ = (device.body.body_size(), device.body.flattened());
    }
}

/// A description, a zero, and the body of a section: what is read is written as the same bytes.
pub(crate) fn value(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let (Some(description), Some(body)) = (parts.next(), parts.next()) else { return };
    let Ok(description) = vmdesc::parse(description, 0) else { return };
    for device in &description.devices {
        let mut input = Reader::new(body, 0);
        let Ok(value) = StructValue::decode(&mut input, &device.body) else { continue };
        let mut out = Writer::new();
        value.encode(&mut out);
        assert_eq!(out.as_bytes(), &body[..body.len() - input.left()]);
        assert_eq!(value.size(), out.len() as u64);
    }
}
