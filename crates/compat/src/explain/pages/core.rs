//! `VM03xx`: the virtio core and its transport.

use vmstate::Code;

use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        code: Code(301),
        title: "The selected queue cannot exist.",
        meaning: "`queue_sel` is the queue that the driver's next access to queue registers is about. QEMU fails the load, \
                  without a message of its own, if it is 1,024 or more.",
        cause: "Damage, or a changed stream.",
        qemu: "error while loading state for instance 0x0 of device '0000:00:03.0/virtio-net'",
        remedy: "Set it to 0: the driver selects a queue before each access. `vmig edit FILE -o OUT PATH/virtio-net.core.queue_sel=0`",
        example: "VM0301 does not load: queue_sel is 4096, expected less than 1024: the device has no such queue",
    },
    Page {
        code: Code(302),
        title: "A queue that is not set up has been used.",
        meaning: "The descriptors of the queue are at address 0, which means that the driver has not set it up; yet the device has \
                  taken entries from it. QEMU fails the load.",
        cause: "The driver reset or never finished the queue while its device went on; or a changed stream.",
        qemu: "VQ 1 address 0x0 inconsistent with Host index 0x7",
        remedy: "Reset the device in the guest (unbind and bind its driver) and save again; or set `last_avail_idx` to 0.",
        example: "VM0302 does not load: queue 1 is not set up (its descriptors are at 0), but last_avail_idx is 7, expected 0",
    },
    Page {
        code: Code(303),
        title: "The guest's available index is too far ahead.",
        meaning: "The guest can offer as many entries as the ring has, beyond those that the device has taken. It has offered more, \
                  so one of the two indexes is wrong. QEMU goes on: the device is marked broken, does nothing, and asks its driver \
                  for a reset.",
        cause: "RAM and device state are not of the same moment; the ring's addresses or its byte order are taken wrongly; the guest \
                overwrote its ring.",
        qemu: "VQ 0 size 0x100 Guest index 0x1307 inconsistent with Host index 0x1000: delta 0x307",
        remedy: "Save the guest again, stopped. After the load, reset the device in the guest.",
        example: "VM0303 loads with a broken device: queue 0 (size 256): the guest has offered up to index 4871, the device has taken \
                  up to 4096: 775 ahead, at most 256",
    },
    Page {
        code: Code(304),
        title: "More entries are in flight than the ring has.",
        meaning: "`last_avail_idx`, from the stream, is what the device has taken; the used index, from guest memory, what it has \
                  returned. The difference is in flight, and cannot be more than the ring's size. QEMU fails the load.",
        cause: "RAM and device state are not of the same moment, or a vhost back-end did not stop before the state was written.",
        qemu: "VQ 0 size 0x100 < last_avail_idx 0x1000 - used_idx 0xe00",
        remedy: "Save the guest again, stopped. If it happens each time with a vhost or vhost-user device, the back-end is to blame.",
        example: "VM0304 does not load: queue 0 (size 256): the device has taken up to index 4096 and returned up to 3584: 512 in \
                  flight, at most 256",
    },
    Page {
        code: Code(305),
        title: "A ring lies where the device finds no memory.",
        meaning: "The device cannot map the ring. QEMU marks it broken: it does nothing until the driver resets it.",
        cause: "The destination has less RAM or other memory devices; an IOMMU does not map the addresses; a wrong address.",
        qemu: "Cannot map desc",
        remedy: "Give the destination the same RAM, memory devices and IOMMU.",
        example: "VM0305 loads with a broken device: queue 0: its ring memory cannot be reached: 0x240000000 is not in guest memory",
    },
    Page {
        code: Code(306),
        title: "A queue has an impossible number of entries.",
        meaning: "A split ring has 1 to 32,768 entries, and QEMU's devices have at most 1,024. Older QEMUs load such a queue and go on \
                  with it; newer ones refuse it.",
        cause: "Damage, or a changed stream.",
        qemu: "VQ 0 vring.num 65536 exceeds allocated max 256",
        remedy: "Do not run the guest from this stream: the device would use memory that is not the ring's.",
        example: "VM0306 loads: queue 0 has 65536 entries, expected 1 to 1024",
    },
    Page {
        code: Code(307),
        title: "A split ring's size is not a power of 2.",
        meaning: "virtio requires it (§2.7), since indexes count on modulo 2¹⁶. With another size the ring breaks when they wrap.",
        cause: "A driver that does not follow the specification, or a changed stream.",
        qemu: "",
        remedy: "Reset the device in the guest.",
        example: "VM0307 loads: queue 0 has 100 entries, expected a power of 2 for a split ring",
    },
    Page {
        code: Code(308),
        title: "The guest uses features that the device does not offer.",
        meaning: "The driver negotiated them at the source, and cannot be told otherwise while it runs. QEMU fails the load.",
        cause: "The destination's device has other options, another machine type, or another back-end (a network interface without \
                vnet headers, an older kernel).",
        qemu: "Features 0x1c0010130afffaf unsupported. Allowed features: 0x10179bfffef",
        remedy: "Turn the features on at the destination, or off at the source before the guest boots.",
        example: "VM0308 does not load: features 0x1c0010130afffaf were negotiated, of which the device does not offer \
                  0x1c0000000000000 (GUEST_USO4, GUEST_USO6, HOST_USO)",
    },
    Page {
        code: Code(309),
        title: "The two copies of the low features disagree.",
        meaning: "Features 0 to 31 are in the common fields, and once more in the subsection with all 64. The device's data is read by \
                  the first copy; after the load the second one counts.",
        cause: "A changed stream.",
        qemu: "",
        remedy: "Change both: `vmig edit … core.guest_features-=NAME` does.",
        example: "VM0309 loads: the low features are 0x30af8024 in the common fields and 0x30bf8024 in virtio/64bit_features",
    },
    Page {
        code: Code(310),
        title: "The device's byte order is none.",
        meaning: "1 is little-endian, 2 is big-endian. QEMU takes the value as it is, and stops with an assertion when it needs to know.",
        cause: "A changed stream, or a device that was saved before its driver reset it.",
        qemu: "",
        remedy: "Remove the subsection `virtio/device_endian`, so that the target's usual order is taken, or correct it.",
        example: "VM0310 loads: device_endian is 0, expected 1 (little) or 2 (big)",
    },
    Page {
        code: Code(311),
        title: "The level of an interrupt pin is neither 0 nor 1.",
        meaning: "QEMU fails the load.",
        cause: "The PCI configuration before it has another length than the reader's (an express device and a conventional one), so \
                that other bytes are taken for the levels; or damage.",
        qemu: "irq state 12: must be 0 or 1.",
        remedy: "Put the device on the same kind of bus as at the source: a root port, or the root bus.",
        example: "VM0311 does not load: the level of interrupt pin 0 is 12, expected 0 or 1",
    },
    Page {
        code: Code(312),
        title: "Configuration changes are told through a vector that is not there.",
        meaning: "QEMU fails the load, without a message of its own.",
        cause: "The destination's device has fewer MSI-X vectors (`vectors=`).",
        qemu: "Failed to load virtio-blk:virtio",
        remedy: "Set `vectors` on the destination's device as at the source.",
        example: "VM0312 does not load: the vector for configuration changes is 5, expected less than 3 or 0xffff for none",
    },
    Page {
        code: Code(313),
        title: "A queue uses a vector that is not there.",
        meaning: "QEMU fails the load, without a message of its own.",
        cause: "The destination's device has fewer MSI-X vectors (`vectors=`).",
        qemu: "Failed to load virtio-blk:virtio",
        remedy: "Set `vectors` on the destination's device as at the source.",
        example: "VM0313 does not load: queue 4 uses vector 5, expected less than 3 or 0xffff for none",
    },
    Page {
        code: Code(314),
        title: "The device is marked broken.",
        meaning: "It met an error that the driver caused, does nothing since, and will do nothing after the load either.",
        cause: "At the source: an invalid descriptor, an index too far ahead, a ring outside of memory. QEMU's log has the message.",
        qemu: "",
        remedy: "Reset the device in the guest: unbind and bind its driver, or reboot.",
        example: "VM0314 loads: the device is marked broken (virtio/broken): it met an error, and only a reset by the driver helps",
    },
    Page {
        code: Code(315),
        title: "The device asks its driver for a reset.",
        meaning: "Status bit DEVICE_NEEDS_RESET (virtio 1.3 §2.1.2). Linux drivers do not act on it.",
        cause: "An error as with VM0314, in a device that has negotiated VERSION_1.",
        qemu: "",
        remedy: "Reset the device in the guest: unbind and bind its driver, or reboot.",
        example: "VM0315 loads: the device asks its driver for a reset (status DEVICE_NEEDS_RESET)",
    },
    Page {
        code: Code(316),
        title: "The driver has given up on the device.",
        meaning: "Status bit FAILED: the driver met something it could not work with, mostly while it started.",
        cause: "A driver that lacks a feature it needs. The guest's log says more.",
        qemu: "",
        remedy: "Nothing that migration could help: the device did not work at the source either.",
        example: "VM0316 loads: the driver has given up on the device (status FAILED)",
    },
];
