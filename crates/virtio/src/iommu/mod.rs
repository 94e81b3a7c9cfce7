//! Memory behind an IOMMU: the addresses a device uses are I/O virtual, and are translated.
//!
//! A device is behind the machine's IOMMU if its driver negotiated `VIRTIO_F_ACCESS_PLATFORM` (bit 33)
//! and it sits on PCI; every other device uses guest-physical addresses, whatever the machine has. To
//! read its rings:
//! 1. Find the section that [`is_iommu_section`], and make an [`Iommu`] of it.
//! 2. Find the device's [`requester`] id.
//! 3. Ask the IOMMU [`for_device`](Iommu::for_device), and read through an [`IommuMemory`].
//!
//! What is translated are reads: what a device may only write is a [`MemoryError::Fault`].

pub mod intel;
mod requester;
mod virtio_iommu;

use std::fmt;

pub use intel::IntelIommu;
pub use requester::{Bdf, requester, secondary_bus};

use crate::device::iommu_state::IommuState;
use crate::memory::{MemoryError, RingMemory};

/// Translates the addresses of one device.
pub trait Translate {
    /// Translates an I/O virtual address that begins `length` bytes.
    ///
    /// Gives the guest-physical address, and how many of the bytes follow one another there: at least
    /// one, if `length` is not 0, and at most `length`.
    ///
    /// # Errors
    /// [`MemoryError::Fault`] if the device may not read there, [`MemoryError::Unknown`] if the guest's
    /// tables cannot be read.
    fn translate(&self, iova: u64, length: u64) -> Result<(u64, u64), MemoryError>;
}

/// Memory as a device behind an IOMMU sees it.
#[derive(Clone, Copy)]
pub struct IommuMemory<'a> {
    inner: &'a dyn RingMemory,
    translate: &'a dyn Translate,
}

impl<'a> IommuMemory<'a> {
    /// Memory whose addresses `translate` turns into those of `inner`.
    #[must_use]
    pub fn new(inner: &'a dyn RingMemory, translate: &'a dyn Translate) -> Self {
        Self { inner, translate }
    }
}

impl fmt::Debug for IommuMemory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IommuMemory").finish_non_exhaustive()
    }
}

impl RingMemory for IommuMemory<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> Result<(), MemoryError> {
        let mut iova = address;
        let mut rest = buf;
        while !rest.is_empty() {
            let (gpa, contiguous) = self.translate.translate(iova, rest.len() as u64)?;
            let length = usize::try_from(contiguous).unwrap_or(usize::MAX).min(rest.len());
            let (part, tail) = rest.split_at_mut(length);
            self.inner.read(gpa, part)?;
            rest = tail;
            iova = match iova.checked_add(length as u64) {
                Some(next) if length > 0 => next,
                None if rest.is_empty() => break,
                _ => return Err(MemoryError::Fault { address: iova }),
            };
        }
        Ok(())
    }
}

/// The IOMMU of a machine, out of its section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Iommu {
    /// There is none.
    #[default]
    None,
    /// virtio-iommu: the mappings are its state.
    Virtio(IommuState),
    /// Intel VT-d: the mappings are tables in the guest's memory.
    Intel(Box<IntelIommu>),
    /// One that is not understood.
    Other {
        /// The section's name.
        section: String,
    },
}

impl Iommu {
    /// The translation for one device; `memory` is what guest-physical addresses mean.
    ///
    /// # Errors
    /// [`MemoryError::Unknown`] if this IOMMU is not understood, or its tables cannot be read. That it
    /// lets the device read nothing is no error here: each translation is a [`MemoryError::Fault`].
    pub fn for_device<'a>(
        &'a self,
        memory: &'a dyn RingMemory,
        requester: Bdf,
    ) -> Result<Box<dyn Translate + 'a>, MemoryError> {
        match self {
            Self::None => Ok(Box::new(Identity)),
            Self::Virtio(state) => Ok(virtio_iommu::for_endpoint(state, u32::from(requester.0))),
            Self::Intel(state) => Ok(Box::new(state.for_device(memory, requester)?)),
            Self::Other { section } => Err(MemoryError::Unknown {
                reason: format!("the device is behind an IOMMU that is not understood (section {section})"),
            }),
        }
    }
}

/// Names of the sections of IOMMUs, without a device path. Those of QEMU's pseries (`spapr_iommu`) are
/// there also when no device uses them.
const SECTIONS: [&str; 5] = [intel::SECTION, "virtio-iommu", "amd-iommu", "smmuv3", "spapr_iommu"];

/// Whether a section, by its name in the stream, is that of an IOMMU.
#[must_use]
pub fn is_iommu_section(name: &str) -> bool {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    SECTIONS.contains(&name)
}

/// I/O virtual addresses are guest-physical.
struct Identity;

impl Translate for Identity {
    fn translate(&self, iova: u64, length: u64) -> Result<(u64, u64), MemoryError> {
        Ok((iova, length))
    }
}

/// The device may read nothing.
struct Blocked;

impl Translate for Blocked {
    fn translate(&self, iova: u64, _: u64) -> Result<(u64, u64), MemoryError> {
        Err(MemoryError::Fault { address: iova })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::Pages;

    /// Pages in reverse order: page 0 is 9, page 1 is 8, …, page 9 is 0.
    struct Reversed;

    impl Translate for Reversed {
        fn translate(&self, iova: u64, length: u64) -> Result<(u64, u64), MemoryError> {
            let page = 9_u64.checked_sub(iova / 4096).ok_or(MemoryError::Fault { address: iova })?;
            Ok((page * 4096 + iova % 4096, length.min(4096 - iova % 4096)))
        }
    }

    #[test]
    fn reads_across_what_is_not_contiguous() {
        let mut pages = Pages::default();
        pages.write(9 * 4096 + 4094, b"ri");
        pages.write(8 * 4096, &[b'x'; 4096]);
        pages.write(7 * 4096, b"ng");
        let memory = IommuMemory::new(&pages, &Reversed);
        let mut buf = [0; 4100];
        memory.read(4094, &mut buf).unwrap();
        assert!(buf.starts_with(b"rix") && buf.ends_with(b"xng"));
        memory.read(4096 * 10, &mut []).unwrap();
        let error = memory.read(9 * 4096 + 4095, &mut [0; 2]).unwrap_err();
        assert_eq!(error, MemoryError::Unmapped { address: 4095 });
        pages.write(0, &[0; 4096]);
        let error = IommuMemory::new(&pages, &Reversed).read(9 * 4096 + 4095, &mut [0; 2]).unwrap_err();
        assert_eq!(error, MemoryError::Fault { address: 40960 });
    }

    #[test]
    fn a_translation_that_goes_nowhere_ends() {
        struct Stuck;
        impl Translate for Stuck {
            fn translate(&self, _: u64, _: u64) -> Result<(u64, u64), MemoryError> {
                Ok((0, 0))
            }
        }
        let error = IommuMemory::new(&Pages::default(), &Stuck).read(5, &mut [0]).unwrap_err();
        assert_eq!(error, MemoryError::Fault { address: 5 });
    }

    #[test]
    fn without_an_iommu_addresses_are_what_they_are() {
        let memory = Pages::default();
        let translate = Iommu::None.for_device(&memory, Bdf(8)).unwrap();
        assert_eq!(translate.translate(0x1234, 99).unwrap(), (0x1234, 99));
    }

    #[test]
    fn says_which_iommu_is_not_understood() {
        let iommu = Iommu::Other { section: "smmuv3".to_owned() };
        let memory = Pages::default();
        let error = iommu.for_device(&memory, Bdf(8)).err().unwrap();
        assert!(error.to_string().contains("smmuv3"));
    }

    #[test]
    fn knows_the_sections_of_iommus() {
        assert!(is_iommu_section("iommu-intel"));
        assert!(is_iommu_section("0000:00:01.0/virtio-iommu"));
        assert!(!is_iommu_section("0000:00:01.0/virtio-net"));
    }
}
