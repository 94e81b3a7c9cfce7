//! Guest memory of a machine that is here, as the load procedure reads it.

use vm_memory::{Bytes, GuestAddress, GuestMemory};

use crate::memory::{MemoryError, RingMemory};

/// Lets a device be loaded ([`load`](crate::load())) over memory in which it is to run.
#[derive(Debug, Clone, Copy)]
pub struct Ram<'a, M>(pub &'a M);

impl<M: GuestMemory> RingMemory for Ram<'_, M> {
    fn read(&self, address: u64, buf: &mut [u8]) -> Result<(), MemoryError> {
        self.0.read_slice(buf, GuestAddress(address)).map_err(|_| MemoryError::Unmapped { address })
    }
}
