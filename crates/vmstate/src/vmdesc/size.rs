//! How many bytes a description accounts for.

use super::model::{DeviceDesc, FieldDesc, StructDesc};

impl DeviceDesc {
    /// Bytes of the section's body, if the description tells.
    #[must_use]
    pub fn body_size(&self) -> Option<u64> {
        self.size.or_else(|| self.body.body_size())
    }
}

impl StructDesc {
    /// Bytes of the struct with its subsections, if the description tells: `None` if an array
    /// [stops at a null](FieldDesc::stops_at_null), or if the sum is above 2⁶⁴.
    #[must_use]
    pub fn body_size(&self) -> Option<u64> {
        sum(self.fields.iter().map(FieldDesc::total_size).chain(self.subsection_sizes()))
    }

    /// Bytes of all that follows the field at `place`.
    pub(crate) fn size_after(&self, place: usize) -> Option<u64> {
        sum(self.fields.iter().skip(place + 1).map(FieldDesc::total_size).chain(self.subsection_sizes()))
    }

    fn subsection_sizes(&self) -> impl Iterator<Item = Option<u64>> {
        self.subsections.iter().map(|subsection| {
            let body = subsection.body_size()?;
            body.checked_add(subsection_header_size(&subsection.vmsd_name))
        })
    }
}

impl FieldDesc {
    /// Bytes of all elements of the entry, if the description tells.
    #[must_use]
    pub fn total_size(&self) -> Option<u64> {
        if self.stops_at_null() { None } else { self.size.checked_mul(self.count()) }
    }

    /// Whether the entry is that of an array of pointers whose first is null, as QEMU before 10.0 writes
    /// it: the first element, one byte, stands for all. What the others are, and how long, it hides.
    #[must_use]
    pub fn stops_at_null(&self) -> bool {
        self.structure.is_some() && self.nested().is_none() && self.count() > 1
    }
}

/// Bytes in front of the body of a subsection: marker, length of the name, name, version.
pub(crate) fn subsection_header_size(name: &str) -> u64 {
    1 + 1 + name.len() as u64 + 4
}

fn sum(mut sizes: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    sizes.try_fold(0_u64, |total, size| total.checked_add(size?))
}
