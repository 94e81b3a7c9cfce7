//! The return path: what the destination answers, on the way back of the main channel.
//!
//! A message is be16 type, be16 length, and that many bytes (QEMU: `MIG_RP_MSG_…`).

use std::io::{self, Read, Write};

use vmstate::{Reader, Writer};

use crate::error::Cause;

/// A message of the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// The destination is done; 0 if it has the guest.
    Shut(u32),
    /// The answer to a ping, with its value.
    Pong(u32),
    /// Post-copy: asks for pages.
    RequestPages {
        /// The block; `None` for that of the last request.
        block: Option<String>,
        /// Bytes from the start of the block.
        start: u64,
        /// How many bytes.
        bytes: u32,
    },
    /// Post-copy recovery: which pages of a block came follows.
    RecvBitmap(String),
    /// Post-copy recovery: it goes on.
    ResumeAck(u32),
    /// The destination has got ready for the switch (capability switchover-ack).
    SwitchoverAck,
}

mod number {
    pub(super) const SHUT: u16 = 1;
    pub(super) const PONG: u16 = 2;
    pub(super) const REQ_PAGES_ID: u16 = 3;
    pub(super) const REQ_PAGES: u16 = 4;
    pub(super) const RECV_BITMAP: u16 = 5;
    pub(super) const RESUME_ACK: u16 = 6;
    pub(super) const SWITCHOVER_ACK: u16 = 7;
}

/// The longest payload: a request with the name of a block.
const LONGEST: u16 = 8 + 4 + 1 + 255;

impl Message {
    /// Reads the next message; `None` if the destination has closed the channel.
    ///
    /// # Errors
    /// If the channel cannot be read, or a message is none that there is.
    pub fn read(channel: &mut impl Read) -> Result<Option<Self>, Cause> {
        let mut head = [0; 4];
        if !read_whole(channel, &mut head)? {
            return Ok(None);
        }
        let [a, b, c, d] = head;
        let (number, length) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        if length > LONGEST {
            let text = format!("a message of type {number} with {length} bytes, at most {LONGEST}");
            return Err(Cause::ReturnPath(text));
        }
        let mut payload = vec![0; length.into()];
        if !payload.is_empty() && !read_whole(channel, &mut payload)? {
            return Ok(None);
        }
        let mut input = Reader::new(&payload, 0);
        let message = Self::load(number, &mut input);
        match message.and_then(|message| input.finish().map(|()| message)) {
            Ok(Some(message)) => Ok(Some(message)),
            Ok(None) => Err(Cause::ReturnPath(format!("a message of type {number}, expected 1 to 7"))),
            Err(error) => Err(Cause::ReturnPath(format!("a message of type {number}: {error}"))),
        }
    }

    fn load(number: u16, input: &mut Reader<'_>) -> vmstate::Result<Option<Self>> {
        Ok(Some(match number {
            number::SHUT => Self::Shut(input.u32()?),
            number::PONG => Self::Pong(input.u32()?),
            number::REQ_PAGES | number::REQ_PAGES_ID => {
                let (start, bytes) = (input.u64()?, input.u32()?);
                let has_name = number == number::REQ_PAGES_ID;
                let block = has_name.then(|| input.name().map(str::to_owned)).transpose()?;
                Self::RequestPages { block, start, bytes }
            }
            number::RECV_BITMAP => Self::RecvBitmap(input.name()?.to_owned()),
            number::RESUME_ACK => Self::ResumeAck(input.u32()?),
            number::SWITCHOVER_ACK => Self::SwitchoverAck,
            _ => return Ok(None),
        }))
    }

    /// Writes it, in one call.
    ///
    /// # Errors
    /// If the channel cannot be written.
    pub fn write(&self, channel: &mut impl Write) -> io::Result<()> {
        let mut payload = Writer::new();
        let number = match self {
            Self::Shut(value) => {
                payload.u32(*value);
                number::SHUT
            }
            Self::Pong(value) => {
                payload.u32(*value);
                number::PONG
            }
            Self::RequestPages { block, start, bytes } => {
                payload.u64(*start);
                payload.u32(*bytes);
                match block {
                    Some(block) => {
                        payload.name(block);
                        number::REQ_PAGES_ID
                    }
                    None => number::REQ_PAGES,
                }
            }
            Self::RecvBitmap(block) => {
                payload.name(block);
                number::RECV_BITMAP
            }
            Self::ResumeAck(value) => {
                payload.u32(*value);
                number::RESUME_ACK
            }
            Self::SwitchoverAck => number::SWITCHOVER_ACK,
        };
        let mut out = Writer::new();
        out.u16(number);
        out.u16(u16::try_from(payload.len()).unwrap_or(u16::MAX));
        out.bytes(payload.as_bytes());
        channel.write_all(out.as_bytes())?;
        channel.flush()
    }
}

/// Fills `buf`; `false` if the channel ends before.
fn read_whole(channel: &mut impl Read, buf: &mut [u8]) -> io::Result<bool> {
    match channel.read_exact(buf) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let messages = [
            Message::Shut(0),
            Message::Pong(7),
            Message::RequestPages { block: Some("pc.ram".into()), start: 0x1000, bytes: 4096 },
            Message::RequestPages { block: None, start: 0x2000, bytes: 4096 },
            Message::RecvBitmap("pc.ram".into()),
            Message::ResumeAck(1),
            Message::SwitchoverAck,
        ];
        let mut wire = Vec::new();
        messages.iter().for_each(|message| message.write(&mut wire).unwrap());
        assert!(wire.starts_with(b"\0\x01\0\x04\0\0\0\0\0\x02\0\x04\0\0\0\x07"));
        let mut input = wire.as_slice();
        for message in &messages {
            assert_eq!(Message::read(&mut input).unwrap().as_ref(), Some(message));
        }
        assert_eq!(Message::read(&mut input).unwrap(), None);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for bytes in [&b"\0\x08\0\0"[..], b"\0\x01\0\x02\0\0", b"\0\x01\0\x05\0\0\0\0\0", b"\0\x05\xff\xff"] {
            assert!(matches!(Message::read(&mut &*bytes), Err(Cause::ReturnPath(_))), "{bytes:?}");
        }
    }
}
