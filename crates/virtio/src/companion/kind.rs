//! What a kind of companion is, how its sections are named, and what each must be able to do.

use vmstate::{Description, Reader, Result, Writer};

use super::COMPANIONS;
use crate::finding::Findings;
use crate::shape::{Switch, Switches};

/// Facts about a kind of companion.
#[derive(Debug, Clone, Copy)]
pub struct CompanionType {
    /// The name of its section, after a path.
    pub section: &'static str,
    /// The version of the section.
    pub version: u32,
    /// The oldest version that is read.
    pub minimum_version: u32,
    /// What it is.
    pub title: &'static str,
    /// Whether the path is that of the device and one more part: where on the device's bus it is.
    pub on_bus: bool,
    /// What it looks like.
    pub description: &'static Description,
    /// Properties that change the section's layout and leave no mark in it.
    pub switches: &'static [Switch],
}

/// The name of a companion's section, taken apart.
#[derive(Debug, Clone, Copy)]
pub struct CompanionName<'a> {
    /// The path of the device it belongs to; empty on old mmio machines.
    pub path: &'a str,
    /// Where on the device's bus it is: `channel:id:lun` of a disk.
    pub address: Option<&'a str>,
    /// What kind of companion it is.
    pub kind: &'static CompanionType,
}

impl<'a> CompanionName<'a> {
    /// Takes a section's name apart, if it is that of a companion.
    ///
    /// The disks of SCSI hosts that are not virtio devices are named alike.
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        let (path, section) = name.rsplit_once('/').unwrap_or(("", name));
        let kind = COMPANIONS.iter().find(|kind| kind.section == section)?;
        if !kind.on_bus {
            return Some(Self { path, address: None, kind });
        }
        let (path, address) = path.rsplit_once('/').unwrap_or(("", path));
        Some(Self { path, address: Some(address), kind })
    }
}

/// The state in a companion's section.
pub trait CompanionState: Sized {
    /// Facts about the kind.
    const TYPE: CompanionType;

    /// Reads the section's body.
    ///
    /// # Errors
    /// If the input ends early or a value is not allowed.
    fn load(switches: Switches, input: &mut Reader<'_>) -> Result<Self>;

    /// Writes the section's body.
    fn save(&self, out: &mut Writer);

    /// Checks what QEMU checks once the section is loaded.
    fn check(&self, findings: &mut Findings);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_apart() {
        for (name, path, address) in [
            ("0000:00:04.0/0:0:1/scsi-disk", "0000:00:04.0", Some("0:0:1")),
            ("/fe.0.0002/0:0:0/scsi-disk", "/fe.0.0002", Some("0:0:0")),
            ("virtio-mmio@00000000feb00800/0:0:0/scsi-disk", "virtio-mmio@00000000feb00800", Some("0:0:0")),
            ("0:0:0/scsi-disk", "", Some("0:0:0")),
            ("0000:00:01.0/virtio-mem-device-early", "0000:00:01.0", None),
        ] {
            let parsed = CompanionName::parse(name).unwrap();
            assert_eq!((parsed.path, parsed.address), (path, address), "{name}");
        }
        assert!(CompanionName::parse("0000:00:01.0/virtio-mem").is_none());
        assert!(CompanionName::parse("scsi-disk/x").is_none());
    }
}
