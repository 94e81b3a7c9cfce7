//! Scanouts of a GPU: what each screen shows.

use serde::{Deserialize, Serialize};
use vmstate::VmState;
use vmstate::types::Counted;

use crate::core::BeforeSubsections;
use crate::shape::Switch;

/// `virtio-gpu-scanouts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-gpu-scanouts", context = BeforeSubsections)]
pub struct Scanouts {
    /// Whether the driver has set a scanout.
    pub enable: i32,
    /// One for each screen the device has (`max_outputs`, which must be as on the destination).
    pub scanout: Counted<u32, Scanout>,
}

/// What a screen shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-gpu-one-scanout", context = BeforeSubsections)]
pub struct Scanout {
    /// The resource it shows part of; 0: nothing.
    pub resource_id: u32,
    /// Columns of pixels.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// The first column.
    pub x: i32,
    /// The first row.
    pub y: i32,
    /// The mouse cursor.
    pub cursor: Cursor,
    /// How the resource's memory is an image (`x-scanout-vmstate-version` 2: machines since 9.0).
    #[vmstate(rename = "fb", when = !cx.shape.switches.has(Switch::ScanoutV1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framebuffer: Option<Framebuffer>,
}

/// A mouse cursor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "cursor")]
pub struct Cursor {
    /// The resource it looks like; 0: none.
    pub resource_id: u32,
    /// The column of it that points.
    pub hot_x: u32,
    /// The row of it that points.
    pub hot_y: u32,
    /// Where it is: column.
    #[vmstate(rename = "pos.x")]
    pub x: u32,
    /// Where it is: row.
    #[vmstate(rename = "pos.y")]
    pub y: u32,
}

/// How memory is an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "fb")]
pub struct Framebuffer {
    /// The form of a pixel, by pixman's number; 0: none.
    pub format: u32,
    /// Bytes of a pixel (QEMU 9); 0 since, and ignored.
    pub bytes_pp: u32,
    /// Columns of pixels.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Bytes before the first row.
    pub offset: u32,
}
