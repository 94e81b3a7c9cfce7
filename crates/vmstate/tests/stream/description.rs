//! The JSON description, in the states it can be in.

use vmstate::stream::{Boundary, Scan, Stream};

use crate::builder::{Builder, scan, scan_whole, stopped};

/// A stream of one device, and its description; where that begins.
fn timer() -> (Vec<u8>, usize) {
    let builder = Builder::new().device(7, "timer", b"time");
    let json = builder.bytes.len() + 6;
    (builder.finish(), json)
}

fn boundary(bytes: &[u8]) -> Boundary {
    scan(bytes).stream.section("timer", 0).unwrap().boundary
}

fn written(stream: &Stream, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    stream.write(&bytes, &mut |_| None, &mut out).unwrap();
    out
}

#[test]
fn it_says_where_it_is() {
    let (bytes, json) = timer();
    let description = scan_whole(&bytes).description.unwrap();
    assert_eq!(description.desc.device("timer", 0).unwrap().body_size(), Some(4));
    assert_eq!(description.json, bytes[json..]);
    assert_eq!(
        [description.marker_offset(), description.offset, description.end()],
        [json - 5, json, bytes.len()].map(|place| place as u64)
    );
}

#[test]
fn one_that_is_cut_takes_nothing_else_with_it() {
    let (bytes, json) = timer();
    for length in json - 5..bytes.len() {
        let cut = &bytes[..length];
        let Scan { stream, stopped } = scan(cut);
        assert!(stream.is_complete() && stream.description.is_none());
        assert_eq!(stopped.is_none(), length == json - 5, "{stopped:?}");
        assert_eq!(boundary(cut), Boundary::Footer);
        assert_eq!(written(&stream, cut), bytes[..json - 5]);
    }
    let (needed, left) = (bytes.len() - json, bytes.len() - json - 1);
    assert_eq!(
        stopped(&bytes[..bytes.len() - 1]),
        format!("JSON description at {json:#x}: needs {needed} bytes, {left} are left")
    );
}

#[test]
fn one_that_is_damaged_says_where() {
    let (bytes, json) = timer();
    let damaged = String::from_utf8_lossy(&bytes[json..]).replace("\"size\":4", "\"size\":x");
    let bytes = Builder::new().device(7, "timer", b"time").finish_with(&damaged);
    let at = json + damaged.find('x').unwrap();
    let text = format!("JSON description at {at:#x}: the JSON description is not usable: expected value");
    assert_eq!(stopped(&bytes), text);
    assert_eq!(boundary(&bytes), Boundary::Footer);
}

#[test]
fn one_of_something_else() {
    let json = timer().1;
    let other = Builder::new().device(7, "timer", b"time").finish_with(r#"{"devices": []}"#);
    let at = json + 14;
    let text =
        format!("JSON description at {at:#x}: the JSON description is not usable: missing field `page_size`");
    assert_eq!(stopped(&other), text);
}

#[test]
fn one_that_says_more_than_can_be() {
    let (mut bytes, json) = timer();
    bytes[json - 4..json].fill(0xff);
    let text = format!("JSON description at {json:#x}: 4294967295 bytes of description, at most 67108864");
    assert_eq!(stopped(&bytes), text);
}

#[test]
fn one_inside_a_section_is_not_that_of_the_stream() {
    // A disk in memory, say, that holds a stream.
    let inner = Builder::new().described(7, "timer", 0, b"time", 1).finish();
    let builder = Builder::new().device(7, "timer", &inner).device(9, "other", b"other");
    let stream = scan_whole(&builder.clone().finish_bare());
    assert_eq!(stream.section("timer", 0).unwrap().boundary, Boundary::Footer);
    let stream = scan_whole(&builder.finish());
    assert_eq!(stream.section("timer", 0).unwrap().boundary, Boundary::Description);
    assert_eq!(stream.section("timer", 0).unwrap().body(), Some(inner.as_slice()));
}
