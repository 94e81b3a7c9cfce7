//! GPU device (virtio 1.3 §5.7): section `virtio-gpu`, version 1.
//!
//! Unlike that of other devices, its data comes after the virtio state. It is that of a 2D device: QEMU
//! does not migrate one with 3D (virgl, rutabaga). Display information and EDID are not carried.

mod check;
mod resource;
mod scanout;

use serde::{Deserialize, Serialize};
use vmstate::{Described, Reader, Result, VmState, Writer};

pub use resource::{Blob, Blobs, MemEntry, Resource};
pub use scanout::{Cursor, Framebuffer, Scanout, Scanouts};

use super::zero_terminated::ZeroTerminated;
use super::{Data, Device, DeviceType, Known};
use crate::core::{BeforeSubsections, Feature};
use crate::finding::{Findings, Severity};
use crate::shape::Switch;

/// Feature bit: 3D.
const VIRGL: u8 = 0;

/// State of a GPU device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-gpu", context = BeforeSubsections)]
pub struct Gpu {
    /// Resources with an image, as the stream has them: QEMU turns their order around with each load.
    pub resources: ZeroTerminated<Resource, 4>,
    /// What the screens show.
    pub scanouts: Scanouts,
    /// Resources that are memory of the guest, if the device offers them.
    #[vmstate(subsection)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Blobs>,
}

impl Device for Gpu {
    const TYPE: DeviceType = DeviceType {
        section: "virtio-gpu",
        id: 16,
        title: "GPU device",
        features: FEATURES,
        queue_name: |index, _| if index == 0 { "controlq" } else { "cursorq" }.to_owned(),
        switches: &[Switch::ScanoutV1],
        data: Data::After(Self::DESCRIPTION),
        ..DeviceType::PLAIN
    };

    fn load_device(_: &BeforeSubsections, _: &mut Reader<'_>) -> Result<Self> {
        Ok(Self::default())
    }

    fn save_device(&self, _: &mut Writer) {}

    fn post_load(&mut self, known: &Known<'_>, findings: &mut Findings) {
        if known.features.has(VIRGL) {
            let message =
                "the driver uses VIRGL: QEMU does not carry the state of 3D (virgl is not yet migratable)";
            findings.add_device(460, Severity::Warning, message);
        }
    }

    fn load_rest(
        &mut self,
        cx: &BeforeSubsections,
        input: &mut Reader<'_>,
        findings: &mut Findings,
    ) -> Result<()> {
        *self = Self::load_body(input, Self::TYPE.version, cx)?;
        self.check(findings);
        Ok(())
    }

    fn save_rest(&self, out: &mut Writer) {
        self.save_body(out);
    }
}

/// Feature bits (§5.7.3).
const FEATURES: &[Feature] =
    &[(VIRGL, "VIRGL"), (1, "EDID"), (2, "RESOURCE_UUID"), (3, "RESOURCE_BLOB"), (4, "CONTEXT_INIT")];
