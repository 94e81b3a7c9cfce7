//! A request as the device holds it: the buffers of one descriptor chain.

use vm_memory::GuestMemory;

use super::io::{Reader, Writer};
use crate::element::{Buffer, Element, HostOrder};
use crate::shape::{Switch, Switches};

/// A request taken from a queue, and not yet returned to it.
///
/// Its buffers were in guest memory when it was taken. What they hold is the guest's, which may change it
/// at any time: read once what is acted upon.
#[derive(Debug)]
#[must_use = "a chain that is not pushed is in flight for ever, and its queue cannot be stopped"]
pub struct Chain {
    /// The first descriptor (packed: the buffer id).
    pub(super) id: u16,
    /// Entries it takes: descriptors of a packed ring; of a split ring's available ring always one.
    pub(super) ndescs: u16,
    /// Where it was taken from, as far as the queue can tell whether it was the last; not if resumed.
    pub(super) taken_at: Option<u16>,
    /// How many of the buffers are for the device to read.
    pub(super) readable: usize,
    pub(super) buffers: Vec<Buffer>,
}

impl Chain {
    /// The chain's first descriptor; in a packed ring its buffer id.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.id
    }

    /// The buffers that the device reads, in order.
    #[must_use]
    pub fn readable(&self) -> &[Buffer] {
        self.split().0
    }

    /// The buffers that the device writes, in order.
    #[must_use]
    pub fn writable(&self) -> &[Buffer] {
        self.split().1
    }

    /// Bytes for the device to read.
    #[must_use]
    pub fn readable_len(&self) -> u64 {
        self.readable().iter().map(|buffer| buffer.len).sum()
    }

    /// Bytes for the device to write.
    #[must_use]
    pub fn writable_len(&self) -> u64 {
        self.writable().iter().map(|buffer| buffer.len).sum()
    }

    /// Reads the readable buffers from their first byte.
    #[must_use]
    pub fn reader<'a, M: GuestMemory>(&'a self, memory: &'a M) -> Reader<'a, M> {
        Reader::new(memory, self.readable())
    }

    /// Writes the writable buffers from their first byte.
    #[must_use]
    pub fn writer<'a, M: GuestMemory>(&'a self, memory: &'a M) -> Writer<'a, M> {
        Writer::new(memory, self.writable())
    }

    /// The element that carries the chain in the state of a device with these properties.
    pub(super) fn to_element(&self, switches: Switches) -> Element {
        Element {
            index: self.id.into(),
            ndescs: switches.has(Switch::Packed).then(|| self.ndescs.into()),
            out_sg: self.readable().to_vec(),
            in_sg: self.writable().to_vec(),
            host: HostOrder::from(switches),
        }
    }

    fn split(&self) -> (&[Buffer], &[Buffer]) {
        self.buffers.split_at_checked(self.readable).unwrap_or((&self.buffers, &[]))
    }
}
