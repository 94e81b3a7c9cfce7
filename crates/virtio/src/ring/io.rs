//! Reading and writing a chain's bytes, wherever they are scattered.
//!
//! Both are streams over the buffers, end after the last of them, and reach guest memory with volatile
//! accesses only. [`std::io::Read`] and [`std::io::Write`] copy; [`Reader::copy_to`] and
//! [`Writer::copy_from`] let a file or socket reach guest memory without a copy in between.

use std::io;

use vm_memory::{Bytes, GuestAddress, GuestMemory, ReadVolatile, WriteVolatile};

use crate::element::{Buffer, Element};

/// Where a stream is in a list of buffers.
#[derive(Debug, Clone)]
struct Position<'a, M> {
    memory: &'a M,
    buffers: &'a [Buffer],
    /// Bytes of the first buffer that are behind.
    offset: u64,
    done: u64,
}

impl<'a, M: GuestMemory> Position<'a, M> {
    fn new(memory: &'a M, buffers: &'a [Buffer]) -> Self {
        Self { memory, buffers, offset: 0, done: 0 }
    }

    fn remaining(&self) -> u64 {
        self.buffers.iter().map(|buffer| buffer.len).sum::<u64>() - self.offset
    }

    /// Calls `step` with an address and how many of `want` bytes are there in one piece, until all are
    /// done, it does fewer, or the buffers end.
    fn each(
        &mut self,
        want: u64,
        mut step: impl FnMut(&M, GuestAddress, usize) -> io::Result<usize>,
    ) -> io::Result<u64> {
        let mut total = 0;
        while total < want
            && let Some((buffer, rest)) = self.buffers.split_first()
        {
            let length = (buffer.len - self.offset).min(want - total);
            let address = GuestAddress(buffer.addr.wrapping_add(self.offset));
            let asked = usize::try_from(length).unwrap_or(usize::MAX);
            let moved = match step(self.memory, address, asked) {
                Ok(moved) => moved,
                // What was moved before an error is done; the error comes again with the next call.
                Err(_) if total > 0 => break,
                Err(error) => return Err(error),
            };
            let bytes = u64::try_from(moved.min(asked)).unwrap_or(length);
            (total, self.offset, self.done) = (total + bytes, self.offset + bytes, self.done + bytes);
            if self.offset == buffer.len {
                (self.buffers, self.offset) = (rest, 0);
            }
            if moved < asked {
                break;
            }
        }
        Ok(total)
    }

    fn skip(&mut self, want: u64) -> u64 {
        self.each(want, |_, _, length| Ok(length)).unwrap_or_default()
    }
}

/// The bytes that a device reads from a chain.
#[derive(Debug, Clone)]
pub struct Reader<'a, M>(Position<'a, M>);

impl<'a, M: GuestMemory> Reader<'a, M> {
    pub(super) fn new(memory: &'a M, buffers: &'a [Buffer]) -> Self {
        Self(Position::new(memory, buffers))
    }

    /// What the driver gave with an element in flight, from its first byte.
    #[must_use]
    pub fn of_element(memory: &'a M, element: &'a Element) -> Self {
        Self::new(memory, &element.out_sg)
    }

    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.remaining()
    }

    /// Bytes that are behind.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.0.done
    }

    /// Leaves out bytes; gives how many there were, which is fewer than asked for only at the end.
    pub fn skip(&mut self, count: u64) -> u64 {
        self.0.skip(count)
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        io::Read::read_exact(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Has up to `count` bytes written to `to`; gives how many were.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn copy_to(&mut self, to: &mut impl WriteVolatile, count: u64) -> io::Result<u64> {
        self.0.each(count, |memory, address, length| {
            memory.write_volatile_to(address, to, length).map_err(io::Error::other)
        })
    }
}

impl<M: GuestMemory> io::Read for Reader<'_, M> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut rest = buf;
        let want = rest.len() as u64;
        let read = self.0.each(want, |memory, address, length| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(length);
            rest = after;
            memory.read_slice(part, address).map_err(io::Error::other)?;
            Ok(length)
        })?;
        Ok(usize::try_from(read).unwrap_or(usize::MAX))
    }
}

/// The bytes that a device writes to a chain.
#[derive(Debug, Clone)]
pub struct Writer<'a, M>(Position<'a, M>);

impl<'a, M: GuestMemory> Writer<'a, M> {
    pub(super) fn new(memory: &'a M, buffers: &'a [Buffer]) -> Self {
        Self(Position::new(memory, buffers))
    }

    /// Bytes for which there is room.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.remaining()
    }

    /// Bytes that are behind: what [`Attached::push`](super::Attached::push) is to be told.
    #[must_use]
    pub fn written(&self) -> u32 {
        u32::try_from(self.0.done).unwrap_or(u32::MAX)
    }

    /// Leaves bytes as they are, and goes on after them; gives how many there were.
    pub fn skip(&mut self, count: u64) -> u64 {
        self.0.skip(count)
    }

    /// Fills up to `count` bytes from `from`; gives how many it had.
    ///
    /// # Errors
    /// Those of `from`.
    pub fn copy_from(&mut self, from: &mut impl ReadVolatile, count: u64) -> io::Result<u64> {
        self.0.each(count, |memory, address, length| {
            memory.read_volatile_from(address, from, length).map_err(io::Error::other)
        })
    }
}

impl<M: GuestMemory> io::Write for Writer<'_, M> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut rest = buf;
        let written = self.0.each(buf.len() as u64, |memory, address, length| {
            let (part, after) = rest.split_at(length);
            rest = after;
            memory.write_slice(part, address).map_err(io::Error::other)?;
            Ok(length)
        })?;
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
