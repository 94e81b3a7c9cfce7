//! Multifd: pages go over channels of their own, beside the main one.
//!
//! ```text
//! main      header … START ram ─┬─ PART ram … ─┬─ … ─┬─ END ram, devices
//! channel 0 init, pages, pages ─┤ sync         │     │
//! channel 1 init, pages ────────┤ sync         │     │
//!                               └── meeting ───┴─ … ─┘
//! ```
//! Each channel begins with an [`Initial`] packet and then has [`Packet`]s: up to 128 pages of one block, as they are
//! or compressed. Where pages could overtake what the main channel says of the same pages, both sides meet: the
//! sender puts a SYNC packet into every channel, and the receiver goes on with the main channel only when all have
//! come. Where that is the main channel says itself since QEMU 8.1 (a record `MULTIFD_FLUSH`); before, it is at the end
//! of every section of RAM ([`Meetings`]).
//!
//! How many channels there are is not in the stream: both ends have to be told alike (`multifd-channels`).

mod compression;
mod meeting;
mod packet;
mod receive;
mod send;

use vmstate::stream::MAGIC;

pub use compression::Compression;
pub use packet::{Initial, Packet};
pub(crate) use receive::Receivers;
pub(crate) use send::{Common, Senders};

use crate::channel::Channel;
use crate::error::Cause;

/// The most channels that there can be.
pub const MOST_CHANNELS: u8 = 255;

/// When both sides meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meetings {
    /// At each `MULTIFD_FLUSH` record.
    Flush,
    /// At the end of each section of RAM, as with machine types up to 8.0.
    Section,
}

impl Meetings {
    /// As a destination of a machine type expects it. One whose name has no version is taken for a new one.
    #[must_use]
    pub fn of_machine(machine: &str) -> Self {
        let version = machine.rsplit('-').next().and_then(|version| {
            let (major, minor) = version.split_once('.')?;
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        });
        if version.is_some_and(|version| version <= (8, 0)) { Self::Section } else { Self::Flush }
    }
}

/// Finds the main channel among those that a source has opened, whatever their order: it begins with the header of
/// the stream.
///
/// # Errors
/// If there is none, or one closes before it has said what it is.
pub fn sort(channels: Vec<Channel>) -> Result<(Channel, Vec<Channel>), Cause> {
    let mut main = None;
    let mut others = Vec::with_capacity(channels.len());
    for mut channel in channels {
        let first = <[u8; 4]>::try_from(channel.peek(4)?).map(u32::from_be_bytes);
        match first {
            Ok(MAGIC) if main.is_none() => main = Some(channel),
            Ok(packet::MAGIC) => others.push(channel),
            Ok(found) => {
                let what = format!(
                    "a channel begins with {found:#010x}, expected {MAGIC:#010x} once and else {:#010x}",
                    packet::MAGIC
                );
                return Err(Cause::Multifd(what));
            }
            Err(_) => {
                let what = "a channel was closed before it said what it is".to_owned();
                return Err(Cause::Multifd(what));
            }
        }
    }
    let main = main.ok_or_else(|| Cause::Multifd("none of the channels is the main one".to_owned()))?;
    Ok((main, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_types_say_when_to_meet() {
        for (machine, meetings) in [
            ("pc-q35-7.2", Meetings::Section),
            ("pc-i440fx-8.0", Meetings::Section),
            ("pc-q35-8.1", Meetings::Flush),
            ("s390-ccw-virtio-10.0", Meetings::Flush),
            ("microvm", Meetings::Flush),
        ] {
            assert_eq!(Meetings::of_machine(machine), meetings, "{machine}");
        }
    }
}
