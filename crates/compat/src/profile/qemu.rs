//! Which QEMU a destination is, as far as that is known.
//!
//! QMP says it. A stream does not, but the machine type gives the oldest it can be, and the form of the
//! description tells some from others.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vmstate::vmdesc::{StructDesc, VmDesc};

/// A release, as `10.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u16, pub u16);

impl Release {
    /// The release in a text that begins with it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// That of a versioned machine type: `pc-q35-7.2`.
    fn of_machine(machine: &str) -> Option<Self> {
        Self::parse(machine.rsplit_once('-')?.1)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Serialize for Release {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Release {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let unexpected = serde::de::Unexpected::Str(&text);
        Self::parse(&text).ok_or_else(|| serde::de::Error::invalid_value(unexpected, &"a release, as `10.0`"))
    }
}

/// What is known of a QEMU's version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QemuVersion {
    /// What it says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// The oldest it can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Release>,
    /// The first that it is older than.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<Release>,
    /// Whether it gives every queue 1,024 entries, as builds do that care for older ones (10.0.13).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forces_queue_size: bool,
}

impl QemuVersion {
    /// The version that a QEMU says it has.
    #[must_use]
    pub fn said(text: &str) -> Self {
        let release = Release::parse(text);
        Self {
            says: Some(text.to_owned()),
            at_least: release,
            below: release.map(|Release(major, minor)| Release(major, minor + 1)),
            forces_queue_size: false,
        }
    }

    /// What machine type and description of a stream tell.
    #[must_use]
    pub fn inferred(machine: Option<&str>, description: Option<&VmDesc>) -> Self {
        let mut version = Self { at_least: machine.and_then(Release::of_machine), ..Self::default() };
        if let Some(description) = description {
            version = version.narrowed_by(&by_description(description));
        }
        version
    }

    /// Both together.
    #[must_use]
    pub fn narrowed_by(self, other: &Self) -> Self {
        Self {
            says: self.says.or_else(|| other.says.clone()),
            at_least: self.at_least.max(other.at_least),
            below: [self.below, other.below].into_iter().flatten().min(),
            forces_queue_size: self.forces_queue_size || other.forces_queue_size,
        }
    }

    /// Whether it does as 11.1.3 where that is not as 10.0.13 (recorded loads), if that is known. Nothing is
    /// recorded of the releases in between.
    #[must_use]
    pub fn is_like_11_1(&self) -> Option<bool> {
        match (self.is_at_least(Release(11, 1)), self.is_at_least(Release(10, 1))) {
            (Some(true), _) => Some(true),
            (_, Some(false)) => Some(false),
            // A stream's form only tells old from new; the new ones that are recorded are of 11.1.3.
            (_, Some(true)) if self.says.is_none() => Some(true),
            _ => None,
        }
    }

    /// Whether it is this release or a newer one, if that is known.
    #[must_use]
    pub fn is_at_least(&self, release: Release) -> Option<bool> {
        if self.at_least.is_some_and(|oldest| oldest >= release) {
            return Some(true);
        }
        self.below.is_some_and(|below| below <= release).then_some(false)
    }
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.says, self.at_least, self.below) {
            (Some(says), ..) => write!(f, "QEMU {says}"),
            (None, Some(oldest), Some(below)) => write!(f, "a QEMU from {oldest} to before {below}"),
            (None, Some(oldest), None) => write!(f, "QEMU {oldest} or newer"),
            (None, None, Some(below)) => write!(f, "a QEMU before {below}"),
            (None, None, None) => f.write_str("an unknown QEMU"),
        }
    }
}

/// What tells descriptions of different releases apart, as recorded: 5.2 and 7.2 do not describe the
/// configuration section, 10.0.13 and 11.1.3 do; 10.0.13 numbers the first of an array's elements where
/// each has an entry, and 11.1.3 none.
fn by_description(description: &VmDesc) -> QemuVersion {
    if description.configuration.is_none() {
        return QemuVersion { below: Some(Release(10, 0)), ..QemuVersion::default() };
    }
    let mut version = QemuVersion { at_least: Some(Release(8, 0)), ..QemuVersion::default() };
    let mut arrays = Arrays::default();
    for device in &description.devices {
        arrays.look_at(&device.body);
    }
    if arrays.numbered {
        version.below = Some(Release(10, 1));
    } else if arrays.split || arrays.marked {
        version.at_least = Some(Release(10, 1));
    }
    version
}

#[derive(Default)]
struct Arrays {
    /// An entry has its place in the array.
    numbered: bool,
    /// An array has an entry for each element.
    split: bool,
    /// An array of pointers says which of them are null.
    marked: bool,
}

impl Arrays {
    fn look_at(&mut self, body: &StructDesc) {
        for member in body.members() {
            for entry in member.entries {
                self.numbered |= entry.index.is_some();
                self.marked |= entry.ty == "ptr-marker";
                entry.nested().into_iter().for_each(|nested| self.look_at(nested));
            }
            // Unused bytes repeat a name without being an array.
            self.split |= member.entries.len() > 1
                && member.entries.iter().all(|entry| entry.structure.is_some() && entry.ty == "struct");
        }
        body.subsections.iter().for_each(|subsection| self.look_at(subsection));
    }
}
