//! The codes of reasons: one table. A code never changes its meaning; `VM0600` to `VM0699` are those of
//! this module, and what the load procedure itself finds keeps its own.

use vmstate::Code;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code($code);)*
        /// Every code, with its title.
        pub const ALL: &[(Code, &str)] = &[$(($name, $title)),*];
    };
}

codes! {
    MACHINE = 600, "The machine type is another.";
    PAGE_SIZE = 601, "The target's page size is another.";
    CAPABILITY = 602, "A migration capability is on at one side only.";
    UUID = 603, "The machine's UUID is another.";
    ENDS_EARLY = 604, "The stream ends early.";
    RAM_BLOCK = 610, "A piece of RAM is not there.";
    RAM_SIZE = 611, "A piece of RAM has another size.";
    RAM_UNKNOWN = 612, "The destination's RAM is not known.";
    SECTION = 620, "A section has no device at the destination.";
    SECTION_VERSION = 621, "A section is newer than the destination's.";
    SECTIONS_UNKNOWN = 622, "The destination's sections are not known.";
    SUBSECTION = 623, "A subsection is newer than the destination.";
    SUBSECTION_UNKNOWN = 624, "Nothing tells whether the destination knows a subsection.";
    LAYOUT = 625, "The destination reads a section with another layout.";
    LAYOUT_UNKNOWN = 626, "The layouts of a section differ in a way that may matter.";
    COMPARED = 627, "A field must be as at the destination.";
    CPUS = 628, "CPU hotplug state is of another number of CPUs.";
    PCI_CONFIG = 630, "PCI configuration differs where the guest cannot write.";
    PCI_CONFIG_SIZE = 631, "One side is a PCI Express device.";
    FEATURES = 640, "The driver uses features that the destination does not offer.";
    FEATURES_UNKNOWN = 641, "Nothing tells whether the destination offers features that the driver uses.";
    FEATURES_LOST = 642, "Features above 31 are silently lost.";
    QUEUE_SIZE = 650, "Queues have more entries than the destination gives them.";
    QUEUE_SIZE_UNKNOWN = 651, "Nothing tells whether the destination accepts larger queues than its own.";
    DEVICE_LAYOUT = 660, "The destination's device reads its state with another layout.";
    DEVICE_VALUE = 661, "A value of a device must fit the destination's.";
    DEVICE_UNREAD = 662, "A device's state cannot be read.";
    ELEMENT_ORDER = 663, "Requests in flight are written in one order and read in another.";
    DEVICE_RESET = 670, "A device of the destination is not in the stream: it comes back reset.";
    NOT_MIGRATED = 671, "A device type writes no section: it comes back reset.";
    UNMIGRATABLE = 672, "A device of the destination keeps it from migrating.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_number() {
        assert!(ALL.is_sorted_by(|(a, _), (b, _)| a < b));
        assert!(ALL.iter().all(|(Code(code), title)| (600..700).contains(code) && title.ends_with('.')));
    }
}
