//! libvirt's save image: what `virsh save` and `virsh managedsave` write.
//!
//! A header of 92 bytes in the byte order of the host that wrote it, the domain's XML with room to grow,
//! and the stream, which may be compressed as a whole. Layout: libvirt 12, which reads version 1 (without
//! compression) and 2.

use std::fmt;

use vmstate::source::{Source, read_vec};
use vmstate::{Error, ErrorKind, Result};

use crate::Packing;

const MAGIC: &[u8; 16] = b"LibvirtQemudSave";
/// The magic until all is written.
const MAGIC_UNFINISHED: &[u8; 16] = b"LibvirtQemudPart";
const VERSION: u32 = 2;
const HEADER_BYTES: u64 = 92;
/// The longest XML that is read. What libvirt writes is some ten KiB, and 64 KiB of room.
const LONGEST_DATA: u64 = 16 << 20;

/// What a save image says beside the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Save {
    /// How the stream is stored.
    pub format: Format,
    /// Whether the guest was running, and is to run when it is restored.
    pub was_running: bool,
    /// The domain as libvirt describes it.
    pub domain_xml: String,
    /// The name of the domain.
    pub name: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
}

/// How a save image stores the stream: `save_image_format` in libvirt's `qemu.conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// As it is.
    Raw,
    /// As it is, with pages at places of their own (`mapped-ram`).
    Sparse,
    /// Compressed.
    Packed(Packing),
}

impl fmt::Display for Save {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("libvirt")?;
        match self.format {
            Format::Raw => Ok(()),
            Format::Sparse => f.write_str("+sparse"),
            Format::Packed(packing) => write!(f, "+{packing}"),
        }
    }
}

/// Whether a file with these first bytes is a save image, finished or not.
pub(crate) fn detect(head: &[u8]) -> bool {
    head.starts_with(MAGIC) || is_unfinished(head)
}

/// Whether it is one that was not written to its end.
pub(crate) fn is_unfinished(head: &[u8]) -> bool {
    head.starts_with(MAGIC_UNFINISHED)
}

impl Save {
    /// Reads what comes before the stream, and where that begins.
    pub(crate) fn read(file: &dyn Source) -> Result<(Self, u64)> {
        let header = read_vec(file, 0, HEADER_BYTES, HEADER_BYTES, "bytes of header")?;
        let little = u32::from_le_bytes(word(&header, 0));
        let big = u32::from_be_bytes(word(&header, 0));
        let swapped = little > VERSION;
        let field = |index| match swapped {
            false => u32::from_le_bytes(word(&header, index)),
            true => u32::from_be_bytes(word(&header, index)),
        };
        let fail = |index: usize, kind, name| {
            let offset = (MAGIC.len() + index * size_of::<u32>()) as u64;
            Error::new(kind, offset).in_field(name)
        };
        let found = little.min(big);
        if !(1..=VERSION).contains(&found) {
            return Err(fail(0, ErrorKind::Version { found, minimum: 1, version: VERSION }, "version"));
        }
        let [data_length, was_running, format, cookie] = [field(1), field(2), field(3), field(4)];
        let format = match (found, format) {
            (1, _) | (_, 0) => Format::Raw,
            (_, 1) => Format::Packed(Packing::Gzip),
            (_, 2) => Format::Packed(Packing::Bzip2),
            (_, 3) => Format::Packed(Packing::Xz),
            (_, 4) => Format::Packed(Packing::Lzop),
            (_, 5) => Format::Packed(Packing::Zstd),
            (_, 6) => Format::Sparse,
            (_, other) => {
                let expected = "0 (raw), 1 (gzip), 2 (bzip2), 3 (xz), 4 (lzop), 5 (zstd) or 6 (sparse)";
                let kind = ErrorKind::Unknown { what: "save format", found: other.into(), expected };
                return Err(fail(3, kind, "format"));
            }
        };
        let data = read_vec(file, HEADER_BYTES, data_length.into(), LONGEST_DATA, "bytes of domain XML")?;
        // The XML ends with a NUL; libvirt's own notes ("cookie") may follow, then zeros.
        let xml = usize::try_from(cookie).ok().filter(|&end| end > 0).and_then(|end| data.get(..end));
        let xml = xml.unwrap_or(&data).split(|&byte| byte == 0).next().unwrap_or_default();
        let domain_xml = String::from_utf8_lossy(xml).into_owned();
        let (name, uuid) = identity(&domain_xml);
        let save = Self { format, was_running: was_running != 0, domain_xml, name, uuid };
        Ok((save, HEADER_BYTES + u64::from(data_length)))
    }
}

/// A field of the header: 32 bits each, behind the magic.
fn word(header: &[u8], index: usize) -> [u8; 4] {
    let fields = header.get(MAGIC.len()..).unwrap_or_default();
    fields.chunks_exact(4).nth(index).and_then(|field| field.try_into().ok()).unwrap_or_default()
}

/// Name and UUID of a domain; nothing of what is not well-formed.
fn identity(xml: &str) -> (Option<String>, Option<String>) {
    let Ok(document) = roxmltree::Document::parse(xml) else { return (None, None) };
    let text = |name| {
        let child = document.root_element().children().find(|child| child.has_tag_name(name))?;
        child.text().map(str::trim).map(str::to_owned)
    };
    (text("name"), text("uuid"))
}
