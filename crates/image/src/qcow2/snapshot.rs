//! The snapshots of an image.

use std::fmt;
use std::time::{Duration, SystemTime};

use vmstate::source::{Cursor, Source};
use vmstate::{ErrorKind, Reader, Result};

use super::header::Header;

/// The longest extra data QEMU reads; what is defined takes 24 bytes.
const LONGEST_EXTRA: u32 = 1024;
/// Entries start at multiples of this.
const ALIGNMENT: u64 = 8;

/// An internal snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its number, as a string.
    pub id: String,
    /// The name it was given.
    pub name: String,
    /// When it was taken.
    pub taken: SystemTime,
    /// How long the guest had been running by then.
    pub vm_clock: Duration,
    /// Bytes of its VM state, the stream; 0 if it is one of the disk alone.
    pub vm_state_bytes: u64,
    /// Bytes of the disk when it was taken.
    pub(super) disk_bytes: u64,
    /// Its L1 table: where it starts in the file, and how many entries it has.
    pub(super) l1_offset: u64,
    pub(super) l1_entries: u32,
}

impl Snapshot {
    /// When it was taken, to the second: `2026-11-25T00:20:44Z`.
    #[must_use]
    pub fn date(&self) -> String {
        humantime::format_rfc3339_seconds(self.taken).to_string()
    }

    fn load(input: &mut Reader<'_>, header: &Header) -> Result<Self> {
        let l1_offset = input.u64()?;
        let l1_entries = input.u32()?;
        let id_length = input.u16()?;
        let name_length = input.u16()?;
        let taken = Duration::from_secs(input.u32()?.into()) + Duration::from_nanos(input.u32()?.into());
        let vm_clock = Duration::from_nanos(input.u64()?);
        let vm_state_bytes = input.u32()?;
        let at = input.clone();
        let extra_length = input.u32()?;
        if extra_length > LONGEST_EXTRA {
            let (found, limit) = (extra_length.into(), LONGEST_EXTRA.into());
            return Err(at.fail(ErrorKind::TooMany { what: "bytes of extra data", found, limit }));
        }
        let start = input.offset();
        let extra = input.bytes(usize::try_from(extra_length).unwrap_or(usize::MAX))?;
        let mut extra = Reader::new(extra, start);
        let mut text = |length: u16| {
            let bytes = input.bytes(length.into())?;
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        Ok(Self {
            id: text(id_length)?,
            name: text(name_length)?,
            taken: SystemTime::UNIX_EPOCH + taken,
            vm_clock,
            vm_state_bytes: extra.u64().unwrap_or(vm_state_bytes.into()),
            disk_bytes: extra.u64().unwrap_or(header.disk_bytes),
            l1_offset,
            l1_entries,
        })
    }
}

/// A row of a list: id, name, date, size of the VM state.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, name, date) = (self.id.escape_debug(), self.name.escape_debug(), self.date());
        write!(f, "{id}  {name}  {date}  ")?;
        match self.vm_state_bytes {
            0 => f.write_str("no VM state"),
            bytes => write!(f, "{bytes} bytes of VM state"),
        }
    }
}

/// Reads the snapshot table of an image.
pub(super) fn table(file: &dyn Source, header: &Header) -> Result<Vec<Snapshot>> {
    let mut cursor = Cursor::new(file, header.snapshots_offset);
    let load = |index| {
        let snapshot = cursor.read(|input| Snapshot::load(input, header));
        let snapshot = snapshot.map_err(|error| error.at_index(index).in_field("snapshots"))?;
        cursor.seek(cursor.offset().next_multiple_of(ALIGNMENT));
        Ok(snapshot)
    };
    (0..usize::try_from(header.snapshots).unwrap_or_default()).map(load).collect()
}
