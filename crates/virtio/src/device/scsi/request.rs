//! The layout of a request (virtio 1.3 §5.6.6.1): what a driver asks, and what it is told.

use std::io::{self, Write};

use vm_memory::GuestMemory;

use super::address::ScsiAddress;
use super::response;
use super::sense::Sense;
use crate::companion::Cdb;
use crate::core::Endianness;
use crate::live::{ConfigSpace, Negotiated};
use crate::ring::{Chain, Reader, Writer};

/// Bytes of a request before its CDB: lun, id, task attribute, priority, command reference number.
const HEADER: u64 = 19;
/// Bytes of a response before its sense data.
const RESPONSE: u64 = 12;

/// The status of a command (SAM-5 §5.3).
const GOOD: u8 = 0;
const CHECK_CONDITION: u8 = 2;

/// Bytes of CDB and sense data, as the driver chose them in the configuration space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    sense: u32,
    cdb: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { sense: 96, cdb: 32 }
    }
}

impl Sizes {
    /// Where they are in the configuration space (§5.6.4).
    pub(super) const AT: usize = 20;
    const BYTES: usize = 8;
    /// The largest, which are QEMU's.
    const MOST_SENSE: u32 = 0xffff;
    const MOST_CDB: u32 = 0xff;

    /// As they are in the configuration space.
    pub(super) fn to_config(self, endianness: Endianness) -> Vec<u8> {
        ConfigSpace::new(endianness).u32(self.sense).u32(self.cdb).into_bytes()
    }

    /// What the driver writes at an offset into the configuration space. Sizes that cannot be are left out.
    pub(super) fn write(&mut self, offset: usize, data: &[u8], endianness: Endianness) {
        let mut image = self.to_config(endianness);
        for (place, &byte) in (offset..).zip(data) {
            if let Some(to) = place.checked_sub(Self::AT).and_then(|at| image.get_mut(at)) {
                *to = byte;
            }
        }
        self.read(&image, endianness);
    }

    /// Takes them from the whole configuration space.
    pub(super) fn take(&mut self, config: &[u8], endianness: Endianness) {
        self.read(config.get(Self::AT..Self::AT + Self::BYTES).unwrap_or_default(), endianness);
    }

    fn read(&mut self, image: &[u8], endianness: Endianness) {
        let (Some(sense), Some(cdb)) = (image.first_chunk(), image.last_chunk()) else { return };
        let (sense, cdb) = (endianness.u32(*sense), endianness.u32(*cdb));
        if sense <= Self::MOST_SENSE {
            self.sense = sense;
        }
        if cdb <= Self::MOST_CDB {
            self.cdb = cdb;
        }
    }

    /// Bytes before the data that the driver gives.
    fn header(self) -> u64 {
        HEADER + u64::from(self.cdb)
    }

    /// Bytes before the data that the driver gets.
    fn response(self) -> u64 {
        RESPONSE + u64::from(self.sense)
    }
}

/// What a request begins with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Header {
    /// The logical unit, if what the driver wrote is the address of one.
    pub(super) address: Option<ScsiAddress>,
    /// What the driver calls the request.
    pub(super) id: u64,
    /// The task attribute; 0: simple, which may be done in any order.
    pub(super) attribute: u8,
    pub(super) cdb: Cdb,
}

impl Header {
    pub(super) fn read<M: GuestMemory>(
        reader: &mut Reader<'_, M>,
        endianness: Endianness,
        sizes: Sizes,
    ) -> io::Result<Self> {
        let address = ScsiAddress::of_field(reader.array()?);
        let id = endianness.u64(reader.array()?);
        let [attribute, _, _] = reader.array()?;
        let mut cdb = Cdb::default();
        for (to, _) in cdb.0.iter_mut().zip(0..sizes.cdb) {
            [*to] = reader.array()?;
        }
        Ok(Self { address, id, attribute, cdb })
    }
}

/// A request that was taken and not returned.
#[derive(Debug)]
pub(super) struct Request {
    /// The queue that it was taken from.
    pub(super) queue: usize,
    pub(super) chain: Chain,
    pub(super) header: Header,
}

/// What a driver is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) response: u8,
    pub(super) sense: Option<Sense>,
    /// Bytes of data that were moved.
    pub(super) moved: u64,
}

impl Outcome {
    /// The command was done, and so much data moved.
    pub(super) fn good(moved: u64) -> Self {
        Self { response: response::OK, sense: None, moved }
    }

    /// The command was not done.
    pub(super) fn check(sense: Sense) -> Self {
        Self { response: response::OK, sense: Some(sense), moved: 0 }
    }

    /// The command did not get as far as a logical unit.
    pub(super) fn response(response: u8) -> Self {
        Self { response, sense: None, moved: 0 }
    }
}

impl Request {
    /// Makes a request of a chain; else why it is none.
    pub(super) fn of<M: GuestMemory>(
        queue: usize,
        chain: Chain,
        memory: &M,
        negotiated: &Negotiated,
        sizes: Sizes,
    ) -> Result<Self, String> {
        let (header, response) = (sizes.header(), sizes.response());
        if chain.readable_len() < header || chain.writable_len() < response {
            return Err(format!(
                "a request with {} bytes for the device to read and {} to write, expected at least {header} and \
                 {response}: header and response",
                chain.readable_len(),
                chain.writable_len()
            ));
        }
        let header = Header::read(&mut chain.reader(memory), negotiated.endianness, sizes);
        let header = header.map_err(|error| error.to_string())?;
        Ok(Self { queue, chain, header })
    }

    /// Bytes of data that the driver gives.
    pub(super) fn given(&self, sizes: Sizes) -> u64 {
        self.chain.readable_len().saturating_sub(sizes.header())
    }

    /// Bytes of data that the driver has room for.
    pub(super) fn room(&self, sizes: Sizes) -> u64 {
        self.chain.writable_len().saturating_sub(sizes.response())
    }

    /// Reads the data that the driver gives.
    pub(super) fn reader<'a, M: GuestMemory>(&'a self, memory: &'a M, sizes: Sizes) -> Reader<'a, M> {
        let mut reader = self.chain.reader(memory);
        reader.skip(sizes.header());
        reader
    }

    /// Writes the data that the driver gets.
    pub(super) fn writer<'a, M: GuestMemory>(&'a self, memory: &'a M, sizes: Sizes) -> Writer<'a, M> {
        let mut writer = self.chain.writer(memory);
        writer.skip(sizes.response());
        writer
    }

    /// Tells the driver what became of it; gives what the chain is returned with.
    pub(super) fn respond<M: GuestMemory>(
        &self,
        outcome: &Outcome,
        memory: &M,
        endianness: Endianness,
        sizes: Sizes,
    ) -> u32 {
        let (given, room) = (self.given(sizes), self.room(sizes));
        let most = usize::try_from(sizes.sense).unwrap_or_default();
        let sense = outcome.sense.map(Sense::fixed);
        let sense = sense.as_ref().map_or(&[][..], |sense| sense.get(..most).unwrap_or(sense));
        let status = if outcome.sense.is_some() { CHECK_CONDITION } else { GOOD };
        let bits = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let head = ConfigSpace::new(endianness)
            .u32(bits(sense.len() as u64))
            .u32(bits((given + room).saturating_sub(outcome.moved)))
            .u16(0) // status_qualifier
            .u8(status)
            .u8(outcome.response)
            .bytes(sense)
            .into_bytes();
        // It lies in memory: that was checked when the chain was taken.
        let _ = self.chain.writer(memory).write_all(&head);
        let data = if room > 0 { outcome.moved } else { 0 };
        bits(sizes.response() + data)
    }
}
