//! Opening what a test made.

use std::io::Write;
use std::path::{Path, PathBuf};

use image::{Error, Image};

/// Opens these bytes as a file, with what is to follow its name.
pub(crate) fn open(bytes: &[u8], suffix: &str) -> Result<Image, Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    image::open(&format!("{}{suffix}", file.path().to_str().unwrap()), &mut |_| ())
}

/// What keeps these bytes from being opened.
pub(crate) fn error(bytes: &[u8], suffix: &str) -> String {
    open(bytes, suffix).err().unwrap().to_string()
}

/// The whole stream.
pub(crate) fn contents(image: &Image) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(image.source.len()).unwrap()];
    image.source.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// Something like a stream: a head, a long run of zeros, a tail.
pub(crate) fn stream() -> Vec<u8> {
    let mut bytes = b"QEVM\0\0\0\x03".to_vec();
    bytes.resize(1 << 20, 0);
    bytes.extend((0..50_000_u32).flat_map(u32::to_le_bytes));
    bytes
}

/// A recorded file.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/containers").join(name)
}
