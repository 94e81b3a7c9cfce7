//! Commands: what the source tells the destination between sections.

use crate::error::{Error, ErrorKind, Result};
use crate::reader::Reader;
use crate::writer::Writer;

/// A command, without its marker: be16 number, be16 length, and that many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Answers may be sent back.
    OpenReturnPath,
    /// Asks for an answer with this value.
    Ping(u32),
    /// Post-copy may come; `None` if for dirty bitmaps only.
    PostcopyAdvise(Option<PageSizes>),
    /// Post-copy: pages that are missing are asked for, from now on.
    PostcopyListen,
    /// Post-copy: the guest runs at the destination.
    PostcopyRun,
    /// Post-copy: pages that were sent are out of date.
    PostcopyRamDiscard(RamDiscard),
    /// The next bytes are a stream of their own, without a header; it goes on inline.
    Packaged {
        /// How many bytes.
        bytes: u32,
    },
    /// COLO: the two sides run side by side.
    EnableColo,
    /// Post-copy goes on after it was interrupted.
    PostcopyResume,
    /// Asks which pages of a block came.
    RecvBitmap {
        /// The block's name.
        block: String,
    },
    /// The guest is stopped; device state follows (since QEMU 10.0).
    SwitchoverStart,
}

/// The page sizes that the two sides must agree on for post-copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSizes {
    /// The page sizes of all RAM blocks, in bytes, as one number with all their bits.
    pub blocks: u64,
    /// Bytes of a target page.
    pub target: u64,
}

/// Which pages of a block are out of date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RamDiscard {
    /// The block's name.
    pub block: String,
    /// Start and length of each range, in bytes from the start of the block.
    pub ranges: Vec<(u64, u64)>,
}

/// The numbers of the commands.
mod number {
    pub(super) const OPEN_RETURN_PATH: u16 = 1;
    pub(super) const PING: u16 = 2;
    pub(super) const POSTCOPY_ADVISE: u16 = 3;
    pub(super) const POSTCOPY_LISTEN: u16 = 4;
    pub(super) const POSTCOPY_RUN: u16 = 5;
    pub(super) const POSTCOPY_RAM_DISCARD: u16 = 6;
    pub(super) const PACKAGED: u16 = 7;
    pub(super) const ENABLE_COLO: u16 = 8;
    pub(super) const POSTCOPY_RESUME: u16 = 9;
    pub(super) const RECV_BITMAP: u16 = 10;
    pub(super) const SWITCHOVER_START: u16 = 11;
}

/// The only version of a [`Command::PostcopyRamDiscard`].
const DISCARD_VERSION: u8 = 0;

impl Command {
    /// Reads number, length and what they announce.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if `input` holds too little, [`ErrorKind::Unknown`] for other commands,
    /// [`ErrorKind::Trailing`] if a command is longer than it should be.
    pub fn load(input: &mut Reader<'_>) -> Result<Self> {
        let at = input.clone();
        let number = input.u16()?;
        let in_command = |error: Error| error.in_scope(format!("command {number}"));
        let Some(load_payload) = Self::loader(number) else {
            let (what, found, expected) = ("command", number.into(), "1 to 11");
            return Err(in_command(at.fail(ErrorKind::Unknown { what, found, expected })));
        };
        let length = input.u16()?;
        let offset = input.offset();
        let mut payload = Reader::new(input.bytes(length.into())?, offset);
        let command = load_payload(&mut payload).and_then(|command| payload.finish().map(|()| command));
        command.map_err(|error| {
            // The payload is all there: what it lacks no further byte would bring.
            in_command(match *error.kind() {
                ErrorKind::Truncated { needed, left } => {
                    let missing = needed.saturating_sub(left);
                    let text = format!("a payload of {length} bytes, {missing} too few");
                    at.fail(ErrorKind::Invalid(text.into()))
                }
                _ => error,
            })
        })
    }

    /// What reads the payload of a command.
    fn loader(number: u16) -> Option<fn(&mut Reader<'_>) -> Result<Self>> {
        let loader: fn(&mut Reader<'_>) -> Result<Self> = match number {
            number::OPEN_RETURN_PATH => |_| Ok(Self::OpenReturnPath),
            number::PING => |payload| payload.u32().map(Self::Ping),
            number::POSTCOPY_ADVISE => |payload| match payload.left() {
                0 => Ok(Self::PostcopyAdvise(None)),
                _ => PageSizes::load(payload).map(Some).map(Self::PostcopyAdvise),
            },
            number::POSTCOPY_LISTEN => |_| Ok(Self::PostcopyListen),
            number::POSTCOPY_RUN => |_| Ok(Self::PostcopyRun),
            number::POSTCOPY_RAM_DISCARD => |payload| RamDiscard::load(payload).map(Self::PostcopyRamDiscard),
            number::PACKAGED => |payload| Ok(Self::Packaged { bytes: payload.u32()? }),
            number::ENABLE_COLO => |_| Ok(Self::EnableColo),
            number::POSTCOPY_RESUME => |_| Ok(Self::PostcopyResume),
            number::RECV_BITMAP => |payload| Ok(Self::RecvBitmap { block: payload.name()?.to_owned() }),
            number::SWITCHOVER_START => |_| Ok(Self::SwitchoverStart),
            _ => return None,
        };
        Some(loader)
    }

    /// Writes number, length and payload.
    pub fn save(&self, out: &mut Writer) {
        let mut payload = Writer::new();
        let number = match self {
            Self::OpenReturnPath => number::OPEN_RETURN_PATH,
            Self::Ping(value) => {
                payload.u32(*value);
                number::PING
            }
            Self::PostcopyAdvise(sizes) => {
                if let Some(sizes) = sizes {
                    payload.u64(sizes.blocks);
                    payload.u64(sizes.target);
                }
                number::POSTCOPY_ADVISE
            }
            Self::PostcopyListen => number::POSTCOPY_LISTEN,
            Self::PostcopyRun => number::POSTCOPY_RUN,
            Self::PostcopyRamDiscard(discard) => {
                discard.save(&mut payload);
                number::POSTCOPY_RAM_DISCARD
            }
            Self::Packaged { bytes } => {
                payload.u32(*bytes);
                number::PACKAGED
            }
            Self::EnableColo => number::ENABLE_COLO,
            Self::PostcopyResume => number::POSTCOPY_RESUME,
            Self::RecvBitmap { block } => {
                payload.name(block);
                number::RECV_BITMAP
            }
            Self::SwitchoverStart => number::SWITCHOVER_START,
        };
        out.u16(number);
        out.u16(u16::try_from(payload.len()).unwrap_or(u16::MAX));
        out.bytes(payload.as_bytes());
    }
}

impl PageSizes {
    fn load(payload: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { blocks: payload.u64()?, target: payload.u64()? })
    }
}

impl RamDiscard {
    fn load(payload: &mut Reader<'_>) -> Result<Self> {
        let at = payload.clone();
        let version = payload.u8()?;
        if version != DISCARD_VERSION {
            let (found, minimum) = (version.into(), DISCARD_VERSION.into());
            return Err(at.fail(ErrorKind::Version { found, minimum, version: minimum }));
        }
        let block = payload.name()?.to_owned();
        let at = payload.clone();
        let zero = payload.u8()?;
        if zero != 0 {
            let (found, expected) = (zero.to_string(), "0".to_owned());
            return Err(at.fail(ErrorKind::NotEqual { found, expected }).in_field("byte after the name"));
        }
        let mut ranges = Vec::with_capacity(payload.left() / 16);
        while payload.left() > 0 {
            ranges.push((payload.u64()?, payload.u64()?));
        }
        Ok(Self { block, ranges })
    }

    fn save(&self, payload: &mut Writer) {
        payload.u8(DISCARD_VERSION);
        payload.name(&self.block);
        payload.u8(0);
        for (start, length) in &self.ranges {
            payload.u64(*start);
            payload.u64(*length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_it_read() {
        let sizes = PageSizes { blocks: 0x20_1000, target: 4096 };
        let discard = RamDiscard { block: "pc.ram".into(), ranges: vec![(0x1000, 0x2000), (0, 1)] };
        for command in [
            Command::OpenReturnPath,
            Command::Ping(7),
            Command::PostcopyAdvise(None),
            Command::PostcopyAdvise(Some(sizes)),
            Command::PostcopyListen,
            Command::PostcopyRun,
            Command::PostcopyRamDiscard(discard),
            Command::Packaged { bytes: 0x1234 },
            Command::EnableColo,
            Command::PostcopyResume,
            Command::RecvBitmap { block: "pc.ram".into() },
            Command::SwitchoverStart,
        ] {
            let mut out = Writer::new();
            command.save(&mut out);
            let mut input = Reader::new(out.as_bytes(), 0);
            assert_eq!(Command::load(&mut input).unwrap(), command);
            input.finish().unwrap();
        }
    }

    #[test]
    fn a_ram_discard_has_its_bytes_where_they_belong() {
        let bytes = b"\0\x06\0\x16\0\x03ram\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x20\0";
        let command = Command::load(&mut Reader::new(bytes, 0)).unwrap();
        let discard = RamDiscard { block: "ram".into(), ranges: vec![(0x1000, 0x2000)] };
        assert_eq!(command, Command::PostcopyRamDiscard(discard));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let error = |bytes: &[u8]| Command::load(&mut Reader::new(bytes, 0)).unwrap_err().to_string();
        assert_eq!(error(b"\0\x0c\0\0"), "command 12 at 0x0: command 0xc is unknown, expected 1 to 11");
        assert_eq!(error(b"\0\x02\0\x02\0\0"), "command 2 at 0x0: a payload of 2 bytes, 2 too few");
        assert_eq!(error(b"\0\x0b\0\x01\0"), "command 11 at 0x4: 1 bytes are left over after the last field");
        assert_eq!(error(b"\0\x02\0\x04\0"), "at 0x4: needs 4 bytes, 1 are left");
    }
}
