//! Keeping what arrives, as a stream that can be read and sent again.
//!
//! [`Mapped`] keeps each page once, at a place of its own: the file is a `mapped-ram` stream, which QEMU 9.0
//! and later load, and so does everything here. Later rounds of RAM replace earlier ones, and pages of zeros
//! are holes. In memory (a memfd) it is how a guest is held; guest memory can be mapped from it.
//!
//! [`Verbatim`] keeps every byte as it came: a stream for any QEMU, with as many rounds as there were.

mod mapped;
mod ram;
mod verbatim;

use std::fs::File;
use std::io;

use rustix::fs::{MemfdFlags, memfd_create};

pub(crate) use mapped::MAPPED_RAM;
pub use mapped::Mapped;
pub use ram::MappedRam;
pub use verbatim::Verbatim;

/// A file in memory.
///
/// # Errors
/// If the system gives none.
pub fn memory_file() -> io::Result<File> {
    Ok(memfd_create("vmig-guest", MemfdFlags::CLOEXEC)?.into())
}
