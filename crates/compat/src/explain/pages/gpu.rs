//! `VM046x`: checks of GPUs. QEMU fails the load of the section and gives no reason.

use vmstate::Code;

use super::Page;

/// All that QEMU says.
const SAYS: &str = "Failed to load virtio-gpu:virtio-gpu";
const CHANGED: &str = "A changed stream, or damage.";

pub(super) const PAGES: &[Page] = &[
    Page {
        code: Code(460),
        title: "gpu: the driver uses 3D.",
        meaning: "QEMU does not carry the state of 3D, and does not migrate such a device; a stream with one was made otherwise.",
        cause: "The device is a virtio-gpu-gl or virtio-gpu-rutabaga, or the feature bit was added later.",
        qemu: "virgl is not yet migratable",
        remedy: "Use virtio-gpu or virtio-vga without 3D.",
        example: "VM0460 loads: the driver uses VIRGL: QEMU does not carry the state of 3D (virgl is not yet migratable)",
    },
    Page {
        code: Code(461),
        title: "gpu: two resources have the same number.",
        meaning: "The second would replace the first.",
        cause: CHANGED,
        qemu: SAYS,
        remedy: "Remove one of them.",
        example: "VM0461 does not load: there are two resources 9",
    },
    Page {
        code: Code(462),
        title: "gpu: a resource has an unknown format.",
        meaning: "A pixel's form is one of eight, all of 4 bytes (virtio 1.3 §5.7.6.8).",
        cause: "A resource read with another layout, or damage.",
        qemu: SAYS,
        remedy: "Use the machine type of the source.",
        example: "VM0462 does not load: resource 7 has format 5, expected one of [1, 2, 3, 4, 67, 68, 121, 134]",
    },
    Page {
        code: Code(463),
        title: "gpu: a blob has less memory than its size.",
        meaning: "A blob is memory of the guest; its pieces must add up to what it says.",
        cause: CHANGED,
        qemu: SAYS,
        remedy: "Correct `blob_size`.",
        example: "VM0463 does not load: blob 9 is of 4097 bytes, but only 4096 back it",
    },
    Page {
        code: Code(464),
        title: "gpu: there are more screens than a device can have.",
        meaning: "A device has at most 16 scanouts.",
        cause: "The layout of the other machine type (up to and since 8.2), read as this one; or damage.",
        qemu: "Failed to load virtio-gpu-scanouts:parent_obj.conf.max_outputs",
        remedy: "Use the machine type of the source.",
        example: "VM0464 does not load: 17 scanouts, at most 16",
    },
    Page {
        code: Code(465),
        title: "gpu: a screen shows a resource that is not there.",
        meaning: "The scanout names a resource that the stream does not have.",
        cause: "The layout of the other machine type (up to and since 8.2), read as this one; or a changed stream.",
        qemu: SAYS,
        remedy: "Use the machine type of the source, or set the scanout's `resource_id` to 0: the screen stays dark until the guest draws.",
        example: "VM0465 does not load: scanout 0 shows resource 8, which is not there",
    },
    Page {
        code: Code(466),
        title: "gpu: a screen shows a blob and does not say how.",
        meaning: "A blob is bytes; a scanout of one has a framebuffer that says format and size. Machine types up to 8.2 write none.",
        cause: "A guest that shows a blob, on a machine type up to 8.2.",
        qemu: SAYS,
        remedy: "Use a machine type of 9.0 or later, or turn `blob` off.",
        example: "VM0466 does not load: scanout 0 shows blob 9, and does not say how that is an image",
    },
    Page {
        code: Code(467),
        title: "gpu: a screen is not inside its image.",
        meaning: "What a scanout shows must lie in its framebuffer.",
        cause: CHANGED,
        qemu: SAYS,
        remedy: "Correct the scanout's place and size.",
        example: "VM0467 does not load: scanout 0 shows 2 by 2 pixels at 2, 0 of an image of 3 by 2",
    },
];
