//! `VM01xx`: structures inside the stream.

use vmstate::Code;

use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        code: Code(101),
        title: "A section or subsection has a version that is not understood.",
        meaning: "A reader understands its own version and those back to the oldest it accepts. Outside of that, it cannot \
                  know what the bytes are.",
        cause: "The source is a much newer or much older QEMU.",
        qemu: "savevm: unsupported version 12 for 'virtio-net' v11",
        remedy: "Migrate to a QEMU that is as new as the source. `vmig schema DEVICE` shows the versions that vmig reads.",
        example: "VM0101 0000:00:03.0/virtio-net at 0x6f0d1: version 12, expected 11 to 11",
    },
    Page {
        code: Code(102),
        title: "A byte that says what comes next says nothing known.",
        meaning: "Markers tell sections, records of RAM and elements of lists apart. An unknown one leaves the reader without \
                  its place: nothing behind it can be read.",
        cause: "The part before it has another length than was thought (another layout, another option), or the stream is \
                damaged.",
        qemu: "Unknown savevm section type 117",
        remedy: "Look at the section before it: that is the one that was read wrongly.",
        example: "error[VM0102]: guest.mig: at 0x6f0d1: section marker 0x75 is unknown, expected 0x00 to 0x08",
    },
    Page {
        code: Code(103),
        title: "A count or length is larger than the layout allows.",
        meaning: "The number cannot be meant: a device has at most 1,024 queues, a filter table 64 addresses.",
        cause: "A layout that does not fit, so that other bytes are taken for a count; damage; or a stream made to do harm.",
        qemu: "Invalid number of virtqueues: 0x1000",
        remedy: "Do not load the stream. Check that the device has the same options on both sides.",
        example: "VM0103 0000:00:03.0/virtio-net › queues at 0x6f1e5: 4096 queues, at most 1024",
    },
    Page {
        code: Code(104),
        title: "A field is not what it must be.",
        meaning: "Some fields are there to be compared: the destination has the value already, and another one means that this \
                  is not the state of its device.",
        cause: "The stream is of another device, or the part before it was read with a wrong length.",
        qemu: "4 != 1",
        remedy: "Give the destination's device the options of the source.",
        example: "VM0104 0000:00:03.0/virtio-net › virtio-pci › config at 0x6f0e9: vendor 0x8086, expected 0x1af4, as every virtio \
                  device has",
    },
    Page {
        code: Code(105),
        title: "A value is forbidden here.",
        meaning: "The bytes can be read, but the layout or the device does not allow what they say.",
        cause: "A layout that does not fit, or damage.",
        qemu: "",
        remedy: "Look at the field that is named, and at the options of the device that it belongs to.",
        example: "VM0105 /fe.0.0001/virtio-net at 0x8a14: a ccw device has no extra state; its transport state comes first",
    },
    Page {
        code: Code(106),
        title: "A subsection is not known.",
        meaning: "Its name says whose it is, and its owner does not know it. A reader cannot skip a subsection, because its \
                  length is nowhere: QEMU fails the load, and says only which section it was.",
        cause: "The source is newer than the reader, and the device uses something that came with it.",
        qemu: "error while loading state for instance 0x0 of device '0000:00:03.0/virtio-net'",
        remedy: "Migrate to a QEMU as new as the source, or turn the feature that needs the subsection off at the source.",
        example: "VM0106 0000:00:03.0/virtio-net › virtio at 0x7012a: subsection `virtio/256bit_features` is not known here",
    },
    Page {
        code: Code(107),
        title: "A subsection comes twice.",
        meaning: "The second one would overwrite the first. QEMU does not look; vmig does not decide which is meant.",
        cause: "Damage, or a program other than QEMU wrote the stream.",
        qemu: "",
        remedy: "Remove one of them: `vmig decode`, then `vmig encode`.",
        example: "VM0107 0000:00:06.0/virtio-balloon at 0x81f2c: subsection `virtio/started` comes a second time",
    },
    Page {
        code: Code(108),
        title: "A section does not end with its footer.",
        meaning: "Behind each section stands 0x7e and the section's number. If something else is there, the device wrote more or \
                  less than its reader takes.",
        cause: "A subsection that nobody claims (QEMU 5.2's misspelt one of the balloon); an option that changes the layout; \
                another number of CPUs that can be plugged; a newer source.",
        qemu: "Missing section footer for 0000:00:06.0/virtio-balloon",
        remedy: "Compare the two sides with `vmig check STREAM --onto DESTINATION`; the section that is named is the one whose \
                 layouts differ.",
        example: "error[VM0108]: guest.mig: slirp at 0x5d210: no section footer: expected 0x7e and section id 43, found 0500000012",
    },
    Page {
        code: Code(109),
        title: "Something is known and not supported.",
        meaning: "vmig recognises it, and does not read it.",
        cause: "A device type that QEMU does not migrate, or a way of sending RAM that leaves it elsewhere (multifd, RDMA).",
        qemu: "",
        remedy: "Save the guest to a file without that capability.",
        example: "VM0109 a device of type virtio-crypto (State blocked by non-migratable device) is not supported",
    },
    Page {
        code: Code(110),
        title: "The JSON description cannot be used.",
        meaning: "A stream ends with a description of its sections. It is for tools: QEMU reads over it, and the guest's state \
                  is complete without it. Without it, sections that vmig does not model are shown as bytes.",
        cause: "The stream was cut at its very end, or the description was turned off (suppress-vmdesc).",
        qemu: "",
        remedy: "Nothing, to load the stream. To look into it, save the guest again.",
        example: "VM0110 the JSON description is not usable: EOF while parsing a string at line 1 column 40312",
    },
];
