//! What stands between the bodies of sections: markers, section headers and footers.
//!
//! The forms here are those of the wire and need no file: what loads them can as well take them off a
//! pipe.

use super::{Command, Configuration, Kind};
use crate::VmState;
use crate::error::{ErrorKind, Result};
use crate::reader::Reader;
use crate::state::SUBSECTION;
use crate::writer::Writer;

/// "QEVM", the first four bytes of a stream.
pub const MAGIC: u32 = 0x5145_564d;
/// The version of the file format.
pub const VERSION: u32 = 3;

/// The bytes that say what comes next.
pub(super) mod marker {
    pub(in crate::stream) const EOF: u8 = 0x00;
    pub(in crate::stream) const START: u8 = 0x01;
    pub(in crate::stream) const PART: u8 = 0x02;
    pub(in crate::stream) const END: u8 = 0x03;
    pub(in crate::stream) const FULL: u8 = 0x04;
    pub(in crate::stream) const DESCRIPTION: u8 = 0x06;
    pub(in crate::stream) const CONFIGURATION: u8 = 0x07;
    pub(in crate::stream) const COMMAND: u8 = 0x08;
    pub(in crate::stream) const FOOTER: u8 = 0x7e;
}

/// What comes next in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// The end of the guest's state.
    Eof,
    /// A section that says what it is.
    Section {
        /// [`Kind::Start`] or [`Kind::Full`].
        kind: Kind,
        /// What later sections and the footer call it, in this stream.
        id: u32,
        /// What it is the state of (QEMU: idstr).
        name: String,
        /// Which of those with that name.
        instance: u32,
        /// The version of its body.
        version: u32,
    },
    /// A further section of one that was started.
    More {
        /// [`Kind::Part`] or [`Kind::End`].
        kind: Kind,
        /// The id it was started with.
        id: u32,
    },
    /// A command.
    Command(Command),
}

impl Kind {
    fn marker(self) -> u8 {
        match self {
            Self::Start => marker::START,
            Self::Part => marker::PART,
            Self::End => marker::END,
            Self::Full => marker::FULL,
        }
    }
}

impl Head {
    /// Reads a marker and what belongs to it.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if `input` holds too little, [`ErrorKind::Unknown`] for other markers and
    /// for unknown commands.
    pub fn load(input: &mut Reader<'_>) -> Result<Self> {
        let at = input.clone();
        let kind = match input.u8()? {
            marker::EOF => return Ok(Self::Eof),
            marker::COMMAND => return Command::load(input).map(Self::Command),
            marker::START => Kind::Start,
            marker::PART => Kind::Part,
            marker::END => Kind::End,
            marker::FULL => Kind::Full,
            found => {
                let expected = "0 (EOF), 1 (START), 2 (PART), 3 (END), 4 (FULL) or 8 (COMMAND)";
                let what = "section marker";
                return Err(at.fail(ErrorKind::Unknown { what, found: found.into(), expected }));
            }
        };
        let id = input.u32()?;
        if matches!(kind, Kind::Part | Kind::End) {
            return Ok(Self::More { kind, id });
        }
        let name = input.name()?.to_owned();
        Ok(Self::Section { kind, id, name, instance: input.u32()?, version: input.u32()? })
    }

    /// Writes it as it is read.
    pub fn save(&self, out: &mut Writer) {
        match self {
            Self::Eof => out.u8(marker::EOF),
            Self::Section { kind, id, name, instance, version } => {
                out.u8(kind.marker());
                out.u32(*id);
                out.name(name);
                out.u32(*instance);
                out.u32(*version);
            }
            Self::More { kind, id } => {
                out.u8(kind.marker());
                out.u32(*id);
            }
            Self::Command(command) => {
                out.u8(marker::COMMAND);
                command.save(out);
            }
        }
    }
}

/// Reads the magic number and the version.
///
/// # Errors
/// [`ErrorKind::Magic`] if it is no migration stream, [`ErrorKind::StreamVersion`] for a version other
/// than [`VERSION`].
pub fn load_header(input: &mut Reader<'_>) -> Result<()> {
    let at = input.clone();
    let found = input.u32()?;
    if found != MAGIC {
        return Err(at.fail(ErrorKind::Magic { found }));
    }
    let at = input.clone();
    let found = input.u32()?;
    if found != VERSION {
        return Err(at.fail(ErrorKind::StreamVersion { found }));
    }
    Ok(())
}

/// Writes the magic number and the version.
pub fn save_header(out: &mut Writer) {
    out.u32(MAGIC);
    out.u32(VERSION);
}

/// Reads header and configuration off a stream that is still arriving.
///
/// The configuration does not say where it ends: only what follows shows that no subsection does.
///
/// # Errors
/// [`ErrorKind::Truncated`] also if the end of the configuration has not shown yet; else as
/// [`load_header`], or if the configuration cannot be read.
pub fn load_start(input: &mut Reader<'_>) -> Result<Option<Configuration>> {
    let mut ahead = input.clone();
    load_header(&mut ahead)?;
    let at = ahead.clone();
    let configuration = match ahead.u8()? {
        marker::CONFIGURATION => Some(Configuration::load_body(&mut ahead, 0, &())?),
        _ => {
            ahead = at;
            None
        }
    };
    match ahead.peek().first() {
        // A subsection that is not there to its end is left, and nothing else begins with that byte.
        None | Some(&SUBSECTION) => {
            Err(ahead
                .fail(ErrorKind::Truncated { needed: ahead.left() as u64 + 1, left: ahead.left() as u64 }))
        }
        Some(_) => {
            *input = ahead;
            Ok(configuration)
        }
    }
}

/// Writes header and configuration.
pub fn save_start(configuration: Option<&Configuration>, out: &mut Writer) {
    save_header(out);
    if let Some(configuration) = configuration {
        out.u8(marker::CONFIGURATION);
        VmState::<()>::save_body(configuration, out);
    }
}

/// The bytes of the footer of section `id`.
#[must_use]
pub fn footer(id: u32) -> [u8; 5] {
    let [a, b, c, d] = id.to_be_bytes();
    [marker::FOOTER, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_read() {
        for bytes in [
            &b"\x00"[..],
            b"\x01\0\0\0\x02\x03ram\0\0\0\0\0\0\0\x04",
            b"\x04\0\0\0\x21\x05timer\0\0\0\x01\0\0\0\x02",
            b"\x02\0\0\0\x02",
            b"\x03\0\0\0\x02",
            b"\x08\0\x02\0\x04\0\0\0\x07",
        ] {
            let mut input = Reader::new(bytes, 0);
            let head = Head::load(&mut input).unwrap();
            input.finish().unwrap();
            let mut out = Writer::new();
            head.save(&mut out);
            assert_eq!(out.as_bytes(), bytes, "{head:?}");
            for length in 0..bytes.len() {
                let error = Head::load(&mut Reader::new(&bytes[..length], 0)).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Truncated { .. }));
            }
        }
    }

    #[test]
    fn the_start_ends_where_something_else_begins() {
        let configuration = Configuration {
            len: 3,
            name: b"isa".to_vec(),
            target_page_bits: Some(super::super::TargetPageBits { target_page_bits: 12 }),
            ..Configuration::default()
        };
        for configuration in [None, Some(&configuration)] {
            let mut out = Writer::new();
            save_start(configuration, &mut out);
            let length = out.len();
            Head::Eof.save(&mut out);
            for length in 0..=length {
                let error = load_start(&mut Reader::new(&out.as_bytes()[..length], 0)).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Truncated { .. }), "{length}: {error}");
            }
            let mut input = Reader::new(out.as_bytes(), 0);
            assert_eq!(load_start(&mut input).unwrap().as_ref(), configuration);
            assert_eq!(input.offset(), length as u64);
        }
    }

    #[test]
    fn refuses_other_streams_and_markers() {
        let error = load_header(&mut Reader::new(b"LibvirtQemudSave", 0)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Magic { found: 0x4c69_6276 }));
        let error = load_header(&mut Reader::new(b"QEVM\0\0\0\x02", 0)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::StreamVersion { found: 2 }));
        assert_eq!(error.offset(), 4);
        let error = Head::load(&mut Reader::new(&[0x7e, 0, 0, 0, 1], 9)).unwrap_err();
        assert!(error.to_string().starts_with("at 0x9: section marker 0x7e is unknown"));
    }
}
