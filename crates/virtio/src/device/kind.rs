//! What a device type is, and what each must be able to do.

use vmstate::{Description, Reader, Result, Writer};

use crate::core::{BeforeSubsections, Core, Endianness, Feature, Features, Ring};
use crate::finding::Findings;
use crate::shape::Switch;

/// Facts about a device type that need no device.
#[derive(Debug, Clone, Copy)]
pub struct DeviceType {
    /// The name of its section, after the device's path.
    pub section: &'static str,
    /// The version of the section.
    pub version: u32,
    /// The oldest version that is read.
    pub minimum_version: u32,
    /// The virtio device ID (virtio 1.3 §5).
    pub id: u16,
    /// What it is, in the specification's words.
    pub title: &'static str,
    /// Names of its feature bits.
    pub features: &'static [Feature],
    /// The name of a queue, by its number and the number of queues.
    pub queue_name: fn(usize, usize) -> String,
    /// Properties that change the section's layout and leave no mark in it.
    pub switches: &'static [Switch],
    /// What its own data is.
    pub data: Data,
    /// Why QEMU does not migrate such a device, if it does not.
    pub unmigratable: Option<&'static str>,
}

/// Where the data of a device type is in its section, and what it looks like.
#[derive(Debug, Clone, Copy)]
pub enum Data {
    /// Nowhere: there is none.
    None,
    /// Within the virtio state, before the core's subsections.
    Within(&'static Description),
    /// After the virtio state.
    After(&'static Description),
}

impl DeviceType {
    /// What many types have in common: section version 1, no features, one queue, one layout.
    pub(super) const PLAIN: Self = Self {
        section: "",
        version: 1,
        minimum_version: 1,
        id: 0,
        title: "",
        features: &[],
        queue_name: |_, _| "requestq".to_owned(),
        switches: &[],
        data: Data::None,
        unmigratable: None,
    };
}

/// What is known once the core is loaded: everything.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Common fields, queues and subsections.
    pub core: &'a Core,
    /// The device's byte order.
    pub endianness: Endianness,
    /// The negotiated features.
    pub features: Features,
    /// The rings.
    pub rings: &'a [Ring],
}

/// The state of a device of one type.
pub trait Device: Sized {
    /// Facts about the type.
    const TYPE: DeviceType;

    /// Reads the device's own data. Subsections are not loaded yet: neither byte order nor features
    /// above 31 are known.
    ///
    /// # Errors
    /// If the input ends early or a value is not allowed.
    fn load_device(cx: &BeforeSubsections, input: &mut Reader<'_>) -> Result<Self>;

    /// Writes the device's own data.
    fn save_device(&self, out: &mut Writer);

    /// Does what had to wait for byte order and features, and checks what QEMU checks then.
    fn post_load(&mut self, known: &Known<'_>, findings: &mut Findings) {
        let _ = (known, findings);
    }

    /// Reads what the section has after the virtio state, and checks what QEMU checks then.
    ///
    /// # Errors
    /// If the input ends early or a value is not allowed.
    fn load_rest(
        &mut self,
        cx: &BeforeSubsections,
        input: &mut Reader<'_>,
        findings: &mut Findings,
    ) -> Result<()> {
        let _ = (cx, input, findings);
        Ok(())
    }

    /// Writes what the section has after the virtio state.
    fn save_rest(&self, out: &mut Writer) {
        let _ = out;
    }
}
