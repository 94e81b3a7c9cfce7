//! What QEMU's messages mean.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use compat::explain::{Explanation, explain};
use virtio::device::DeviceType;

#[track_caller]
fn only(line: &str, device: Option<&str>) -> Explanation {
    let device = device.map(|device| DeviceType::of_section(device).unwrap());
    let mut found = explain(line, device);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[track_caller]
fn says(line: &str, code: u16, expected: &str) {
    let found = only(line, None);
    assert_eq!(found.code.unwrap().0, code, "{line}");
    assert_eq!(found.says, expected);
    assert!(!found.remedy.is_empty());
}

#[test]
fn names_features() {
    let line = "Features 0x1c0010130afffaf unsupported. Allowed features: 0x10179bfffef";
    let found = only(line, Some("virtio-net"));
    assert_eq!(found.code.unwrap().to_string(), "VM0308");
    assert_eq!(found.values["missing"], "0x1c0000000000000");
    assert_eq!(found.values["names"], "GUEST_USO4, GUEST_USO6, HOST_USO");
    assert!(
        found.says.ends_with("it lacks 0x1c0000000000000: GUEST_USO4, GUEST_USO6, HOST_USO"),
        "{}",
        found.says
    );

    let without = only(line, None);
    assert!(
        without.says.contains("BIT_54, BIT_55, BIT_56; what a BIT is depends on the device"),
        "{}",
        without.says
    );
}

#[test]
fn another_line_names_the_device() {
    let text = "qemu-system-x86_64: Features 0x130af8024 unsupported. Allowed features: 0x10039bf8064
                qemu-system-x86_64: Failed to load virtio-net:virtio
                qemu-system-x86_64: error while loading state for instance 0x0 of device '0000:00:03.0/virtio-net'
                qemu-system-x86_64: load of migration failed: Operation not permitted";
    let found = explain(text, None);
    assert!(
        found[0].says.ends_with("0x100000000: VERSION_1") || found[0].says.contains("VERSION_1"),
        "{found:#?}"
    );
    assert!(!found[0].says.contains("BIT_"));
    let codes: Vec<_> = found.iter().map(|found| found.code.map(|code| code.0)).collect();
    assert_eq!(codes, [Some(308), None, None, None], "the most telling first");
    assert!(found[3].says.contains("this is the number -1, not about permissions"));
}

#[test]
fn puts_values_into_words() {
    says(
        "VQ 0 vring.num 1024 exceeds allocated max 256",
        650,
        "queue 0 has 1024 entries; the destination allocated 256",
    );
    says(
        "qemu-system-x86_64: Size mismatch: pc.bios: 0x20000 != 0x10000: Invalid argument",
        611,
        "the RAM block pc.bios has 128 KiB in the stream and 64 KiB at the destination",
    );
    says(
        "VQ 0 size 0x100 Guest index 0x1307 inconsistent with Host index 0x1000: delta 0x307",
        303,
        "queue 0 has 256 entries; the guest has offered up to index 4871, the device has taken up to 4096: 775 ahead. The load goes \
         on, with a broken device",
    );
    says(
        "Machine type received is 'pc-q35-10.0' and local is 'pc-i440fx-10.0'",
        600,
        "the stream is of a pc-q35-10.0, the destination is a pc-i440fx-10.0",
    );
    says(
        "Unknown savevm section or instance '0000:00:04.0/virtio-blk' 0. Make sure that your current VM setup matches your saved VM \
         setup, including any hotplugged devices",
        620,
        "the destination has no device that loads 0000:00:04.0/virtio-blk (instance 0): the block device at 0000:00:04.0 is missing, \
         or elsewhere",
    );
    says(
        "State blocked by non-migratable device '0000:00:08.0/virtio-crypto'",
        672,
        "the crypto device 0000:00:08.0/virtio-crypto cannot be migrated, and keeps the whole machine from it; source and destination \
         both look",
    );
    says(
        "qemu-system-x86_64: Missing section footer for 0000:00:1f.2/ich9_ahci",
        108,
        "0000:00:1f.2/ich9_ahci has more or fewer bytes than the destination takes: the two sides have it in another layout",
    );
    says(
        "qemu-system-x86_64: Missing section footer for 0000:00:1f.0/ICH9LPC",
        628,
        "0000:00:1f.0/ICH9LPC has more or fewer bytes than the destination takes. Of this one the reason is mostly another number of \
         CPUs that can be",
    );
    says(
        "Unknown savevm section or instance 'iommu-intel' 0. Make sure that",
        620,
        "the destination has no device that loads iommu-intel (instance 0): the device that writes `iommu-intel` is missing, or elsewhere",
    );
    says(
        "qemu-system-x86_64: 4 != 1",
        627,
        "a value that both sides must have is 0x1 in the stream and 0x4 at the destination; the next line says which field",
    );
}

#[test]
fn names_pci_registers() {
    for (offset, read, local, expected) in [
        ("2", "0", "41", "device ID"),
        ("20", "0", "c", "base address register 4"),
        ("34", "40", "98", "pointer to the capability list"),
        ("9a", "2", "4", "MSI-X: table size, 3 vectors in the stream and 5 at the destination"),
        ("104", "1", "0", "a PCI Express extended capability"),
    ] {
        let line = format!(
            "get_pci_config_device: Bad config data: i=0x{offset} read: {read} device: {local} cmask: ff wmask: 0 w1cmask:0"
        );
        let found = only(&line, None);
        assert_eq!(found.code.unwrap().0, 630);
        assert!(found.values["register"].starts_with(expected), "{found:#?}");
        assert!(found.says.contains(expected), "{found:#?}");
    }
}

#[test]
fn a_balloon_of_5_2_has_a_page_of_its_own() {
    let text = "Missing section footer for 0000:00:05.0/virtio-balloon";
    let found = explain(text, None);
    assert_eq!(found[0].code.unwrap().0, 440);
    assert!(found[0].remedy.contains("--repair"));
}

#[test]
fn a_chain_in_one_line_is_taken_apart() {
    let line = "qemu-system-s390x: load of migration failed: Invalid argument: error while loading state for instance 0x0 of device \
                '/fe.0.0001/virtio-net': Failed to load element of type virtio for virtio: -22";
    let says: Vec<_> = explain(line, None).into_iter().map(|found| found.says).collect();
    assert_eq!(says[0], "it was the field `virtio` that was refused");
    assert_eq!(says[1], "it happened in /fe.0.0001/virtio-net");
    assert!(says[2].starts_with("the load failed: something in the stream was refused"));
}

#[test]
fn what_is_not_known_is_left_out() {
    assert_eq!(
        explain("qemu-system-x86_64: warning: Machine type 'pc-q35-5.2' is deprecated\n\nhello", None),
        []
    );
}
