//! `VM04xx`: checks of device types; those of GPUs are in a file of their own.

use vmstate::Code;

use super::Page;
use crate::defect::MISSPELT_PAGE_POISON;

pub(super) const PAGES: &[Page] = &[
    Page {
        code: Code(410),
        title: "net: the MAC filter table is too long.",
        meaning: "QEMU keeps 64 addresses. It skips a longer table and starts with an empty one: the device takes more packets than the \
                  guest asked for.",
        cause: "A source with a larger table.",
        qemu: "",
        remedy: "Nothing: the driver sets the table again when it next changes.",
        example: "VM0410 loads: mac_table.in_use is 65, at most 64: the destination starts with an empty table",
    },
    Page {
        code: Code(411),
        title: "net: more queue pairs are in use than there are.",
        meaning: "QEMU fails the load.",
        cause: "A changed stream; or the destination's back-end has fewer queues.",
        qemu: "virtio-net: curr_queue_pairs 4 > max_queue_pairs 2",
        remedy: "Give the destination's network back-end as many queues as the source's (`queues=`).",
        example: "VM0411 does not load: curr_queue_pairs is 4, at most 2 (max_queue_pairs)",
    },
    Page {
        code: Code(412),
        title: "net: the RSS indirection table has a wrong length.",
        meaning: "It must be a power of 2 up to 128. QEMU fails the load.",
        cause: "A changed stream.",
        qemu: "virtio-net: saved image has invalid RSS indirections_len: 96",
        remedy: "Turn RSS off in the guest (`ethtool -X`) and save again.",
        example: "VM0412 does not load: rss.indirections_len is 96, expected a power of 2 up to 128",
    },
    Page {
        code: Code(420),
        title: "blk: a request is of a queue that is not there.",
        meaning: "Requests in flight are put back into the queue they came from. QEMU fails the load.",
        cause: "The destination's device has fewer queues; or a changed stream.",
        qemu: "Invalid virtqueue index in request list: 0x4",
        remedy: "Set `num-queues` on the destination's device as at the source.",
        example: "VM0420 does not load: request 1 is of queue 4, expected less than 4",
    },
    Page {
        code: Code(421),
        title: "blk: a request has no room for its header or status.",
        meaning: "A request begins with 16 bytes that the device reads, and ends with a status byte that it writes. QEMU notices when it \
                  tries the request again, and marks the device broken.",
        cause: "A driver that does not follow the specification, or a changed stream.",
        qemu: "virtio-blk request outhdr too short",
        remedy: "Reset the device in the guest.",
        example: "VM0421 loads with a broken device: request 0 has no room for its header of 16 bytes and its status byte",
    },
    Page {
        code: Code(430),
        title: "console: there is state of a port that is not there.",
        meaning: "The stream has a map of the ports, and then the state of each. QEMU fails the load, without a message of its own.",
        cause: "A changed stream, or ports that were plugged while the state was written.",
        qemu: "Failed to load virtio-console:virtio",
        remedy: "Give the destination the same ports (`virtserialport`, `virtconsole`), with the same `nr`.",
        example: "VM0430 does not load: there is state of port 3, which ports_map does not have",
    },
    Page {
        code: Code(431),
        title: "console: output that waits is outside of its buffers.",
        meaning: "A port that the host did not read from carries the buffer it stopped in and how far it came. QEMU does not check, and \
                  goes on with a length below 0.",
        cause: "A changed stream.",
        qemu: "",
        remedy: "Do not run the guest from this stream.",
        example: "VM0431 loads: port 1: byte 600 of buffer 0 is not in the element read out",
    },
    Page {
        code: Code(440),
        title: "balloon: the page-poison subsection has a misspelt name.",
        meaning: MISSPELT_PAGE_POISON.what,
        cause: "A source of QEMU 5.2 whose guest negotiated PAGE_POISON, as Linux guests do if it is offered.",
        qemu: "Missing section footer for 0000:00:05.0/virtio-balloon",
        remedy: MISSPELT_PAGE_POISON.remedy,
        example: "VM0440 does not load: subsection `vitio-balloon-device/page-poison`, expected `virtio-balloon-device/page-poison`",
    },
    Page {
        code: Code(450),
        title: "mem: the region is not made of blocks.",
        meaning: "Address and size of the region must be multiples of a block, and a block is a power of 2. No device is like this.",
        cause: "A changed stream; or the layout of the other machine type (before and since 8.0), read as this one.",
        qemu: "Property 'block-size' changed from 0x200000 to 0x0",
        remedy: "Use the machine type of the source.",
        example: "VM0450 does not load: 0x10000000 bytes at 0x100000000 are not blocks of 0x0 bytes: no destination has such a device",
    },
    Page {
        code: Code(451),
        title: "mem: the plugged size is not that of the plugged blocks.",
        meaning: "QEMU takes both as they are: the guest and the host would not agree on what is there.",
        cause: "A changed stream.",
        qemu: "",
        remedy: "Correct `size` to the number that vmig expects.",
        example: "VM0451 loads: size is 0x200000, expected 0x400000, the bytes of the blocks in the bitmap",
    },
    Page {
        code: Code(470),
        title: "iommu: an endpoint is in two domains.",
        meaning: "A device can be attached to one domain at a time. QEMU leaves it in the last.",
        cause: "A changed stream.",
        qemu: "",
        remedy: "Look at the domains with `vmig inspect`, and remove the endpoint from one.",
        example: "VM0470 loads: endpoint 0x8 is in domain 2, and was in domain 1: it can be in one",
    },
    Page {
        code: Code(471),
        title: "iommu: a mapping ends before it begins.",
        meaning: "QEMU keeps mappings in a tree by their addresses, and does not find such a one again.",
        cause: "A changed stream.",
        qemu: "",
        remedy: "Correct or remove the mapping.",
        example: "VM0471 loads: domain 1 maps 0x1000 to 0xfff: the first address is above the last",
    },
];
