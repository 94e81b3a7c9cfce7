//! Names of the registers that QEMU's "Bad config data" is about.
//!
//! The header is that of PCI 3.0 §6.1. Where capabilities are follows from the device alone; those named here
//! are where QEMU's virtio devices have them, as recorded streams show.

/// What is at an offset of a virtio device's configuration space, and what makes it differ.
pub(super) fn register(offset: usize) -> (String, &'static str) {
    const TYPE: &str = "it is another type of device, or a transitional one in place of a modern one (disable-legacy, disable-modern, \
                        or the kind of bus)";
    const BAR: &str = "the devices map other registers: disable-modern, vectors, modern-pio-notify and page-per-vq decide that";
    const LIST: &str = "one of the devices has a capability that the other lacks: MSI-X (vectors=0), virtio's own (disable-modern), \
                        PCI Express (the kind of bus)";
    const VECTORS: &str = "the devices have another number of MSI-X vectors: vectors, or the number of queues, from which it follows";
    match offset {
        0x00 | 0x01 => ("vendor ID".to_owned(), TYPE),
        0x02 | 0x03 => ("device ID".to_owned(), TYPE),
        0x04 | 0x05 => ("command".to_owned(), TYPE),
        0x06 | 0x07 => ("status: whether there is a capability list".to_owned(), LIST),
        0x08 => ("revision ID".to_owned(), TYPE),
        0x09..=0x0b => ("class code".to_owned(), TYPE),
        0x0e => ("header type".to_owned(), TYPE),
        0x10..=0x27 => (format!("base address register {}", (offset - 0x10) / 4), BAR),
        0x2c..=0x2f => ("subsystem ID".to_owned(), TYPE),
        0x30..=0x33 => {
            ("expansion ROM base address".to_owned(), "one of the devices has an option ROM: romfile, rombar")
        }
        0x34 => ("pointer to the capability list".to_owned(), LIST),
        0x00..=0x3f => ("header".to_owned(), TYPE),
        0x40..=0x97 => ("virtio's own capabilities, or MSI-X of a legacy-only device".to_owned(), LIST),
        0x9a | 0x9b => ("MSI-X: table size".to_owned(), VECTORS),
        0x98..=0xa3 => ("MSI-X".to_owned(), VECTORS),
        0xa4..=0xff => (
            "a capability behind MSI-X: power management, PCI Express".to_owned(),
            "the devices are on other kinds of bus, or of machine types that set PCI Express up otherwise",
        ),
        _ => (
            "a PCI Express extended capability: ATS, AER, ARI".to_owned(),
            "the devices have other options (ats, aer), or are of machine types that set PCI Express up otherwise",
        ),
    }
}
