//! The JSON description at the end of the stream.
//!
//! It is looked for from the end of the source, before anything else is read, since it says how long
//! the sections are. There may be other bytes behind it.

use crate::error::Result;
use crate::source::{Cursor, Source, read_vec};
use crate::vmdesc::{self, VmDesc};

use super::head::marker;

/// A description, and where it lies.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamDescription {
    /// Bytes from the start of the stream to the JSON text.
    pub offset: u64,
    /// The JSON text.
    pub json: Vec<u8>,
    /// What it says.
    pub desc: VmDesc,
}

impl StreamDescription {
    /// A description as it goes into a stream that is being written.
    #[must_use]
    pub fn new(desc: VmDesc) -> Self {
        // Writing such a struct to memory does not fail.
        let json = serde_json::to_vec(&desc).unwrap_or_default();
        Self { offset: 0, json, desc }
    }

    /// The description that begins last in the source, if there is one in its last 64 MiB.
    #[must_use]
    pub fn find(source: &dyn Source) -> Option<Self> {
        find(source)
    }

    /// Bytes from the start of the stream to its marker.
    #[must_use]
    pub fn marker_offset(&self) -> u64 {
        self.offset.saturating_sub(HEAD_BYTES)
    }

    /// Bytes from the start of the stream to its end.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.json.len() as u64)
    }
}

/// The largest description that is read; that of a large machine has about 1 MiB.
const LARGEST: u64 = 64 << 20;
/// How much of the source is searched at once.
const CHUNK: u64 = 256 << 10;
/// Bytes before the JSON: marker and be32 length.
const HEAD_BYTES: u64 = 5;
/// How far behind the end of the stream the first key of the JSON ends, with some white space.
const AHEAD: u64 = 32;
/// The end of the guest's state, and the description's marker.
const START: [u8; 2] = [marker::EOF, marker::DESCRIPTION];

/// The description that begins last in the source, if there is one in its last 64 MiB.
pub(super) fn find(source: &dyn Source) -> Option<StreamDescription> {
    let end = source.len();
    let floor = end.saturating_sub(LARGEST);
    let mut upper = end;
    // What is none takes time all the same, and there may be any number of it.
    let mut patience = LARGEST;
    while upper > floor {
        let lower = upper.saturating_sub(CHUNK).max(floor);
        let bytes = read_vec(source, lower, (upper + AHEAD).min(end) - lower, u64::MAX, "bytes").ok()?;
        for at in memchr::memmem::rfind_iter(&bytes, &START) {
            let start = lower + at as u64;
            let Some(length) = announced(bytes.get(at + 1..).unwrap_or_default()) else { continue };
            if start >= upper {
                continue;
            }
            if let Ok(Some(found)) = load(&mut Cursor::new(source, start + 1)) {
                return Some(found);
            }
            patience = patience.checked_sub(length)?;
        }
        upper = lower;
    }
    None
}

/// Bytes of JSON, if `bytes` begin as a description does: with marker, length, and a JSON object with one
/// of the first keys there are.
pub(super) fn announced(bytes: &[u8]) -> Option<u64> {
    let (&[marker::DESCRIPTION, a, b, c, d], json) = bytes.split_first_chunk()? else { return None };
    let key = json.strip_prefix(b"{")?.trim_ascii_start();
    // QEMU before 6.1 has no configuration there.
    let known = [&b"\"configuration\""[..], b"\"page_size\""].iter().any(|known| key.starts_with(known));
    known.then(|| u32::from_be_bytes([a, b, c, d]).into())
}

/// Reads the description at the cursor; `None` if something else is there.
pub(super) fn load(cursor: &mut Cursor<'_>) -> Result<Option<StreamDescription>> {
    let offset = cursor.offset();
    if cursor.peek_u8()? != Some(marker::DESCRIPTION) {
        return Ok(None);
    }
    let (length, first) = cursor.peek(|input| {
        input.u8()?;
        Ok((input.u32()?, input.u8()?))
    })?;
    if first != b'{' {
        return Ok(None);
    }
    let (length, from) = (u64::from(length), offset + HEAD_BYTES);
    let json = read_vec(cursor.source(), from, length, LARGEST, "bytes of description")?;
    cursor.seek(from + length);
    let desc = vmdesc::parse(&json, from)?;
    Ok(Some(StreamDescription { offset: from, json, desc }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(json: &str, trailing: usize) -> Vec<u8> {
        let mut bytes = b"QEVM\0\0\0\x03\0\x06".to_vec();
        bytes.extend(u32::try_from(json.len()).unwrap().to_be_bytes());
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len() + trailing, 0);
        bytes
    }

    #[test]
    fn is_found_from_the_end() {
        for json in [
            r#"{"configuration": null, "page_size": 4096, "devices": []}"#,
            r#"{ "page_size" : 4096, "devices" : [] }"#,
        ] {
            for trailing in [0, 1, 100, 1 << 20] {
                let found = find(&stream(json, trailing)).unwrap();
                assert_eq!((found.marker_offset(), found.json.as_slice()), (9, json.as_bytes()));
                assert_eq!(found.desc.page_size, 4096);
            }
        }
    }

    #[test]
    fn is_found_at_any_place_of_a_chunk() {
        let json = r#"{"page_size": 4096, "devices": []}"#;
        let chunk = usize::try_from(CHUNK).unwrap();
        for trailing in chunk - 60..chunk + 10 {
            assert!(find(&stream(json, trailing)).is_some(), "{trailing} bytes behind");
        }
    }

    #[test]
    fn another_object_is_none() {
        for json in ["{}", r#"{"name": 1}"#, r#"{"page_size": 4096, "devices": [}"#] {
            assert!(find(&stream(json, 3)).is_none(), "{json}");
        }
        let cut = stream(r#"{"page_size": 4096, "devices": []}"#, 0);
        assert!(find(&cut[..cut.len() - 1].to_vec()).is_none());
    }
}
