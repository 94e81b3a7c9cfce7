//! Guest memory as the rings of a stopped device need it: read at guest-physical addresses.
//!
//! A migration stream carries RAM by block and offset; where a block lies in the guest's physical
//! address space is not in the stream but a property of the machine type ([`layout`]). A device behind
//! an IOMMU uses addresses that must be translated first ([`crate::iommu`]).

mod board;
mod device;
pub mod layout;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;

pub use device::DeviceMemory;
pub use layout::{Layout, Region};
pub use stream::StreamMemory;

/// Memory at the addresses a device uses.
pub trait RingMemory {
    /// Fills `buf` from `address`.
    ///
    /// # Errors
    /// If not all of it can be read.
    fn read(&self, address: u64, buf: &mut [u8]) -> Result<(), MemoryError>;
}

/// Why memory could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// No memory is there: the device could not read it either.
    #[error("{address:#x} is not in guest memory")]
    Unmapped {
        /// The address that was asked for.
        address: u64,
    },
    /// The IOMMU does not let the device read there.
    #[error("the IOMMU maps no memory at {address:#x} for this device")]
    Fault {
        /// The address that was asked for.
        address: u64,
    },
    /// The guest has memory there, but this input does not tell what it holds.
    #[error("{reason}")]
    Unknown {
        /// Why not.
        reason: String,
    },
}
