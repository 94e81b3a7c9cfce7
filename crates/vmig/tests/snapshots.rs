//! What the verbs print, on recorded streams.

mod common;

use common::transcript;
use insta::assert_snapshot;

macro_rules! snapshots {
    ($($name:ident: $arguments:literal;)*) => {$(
        #[test]
        fn $name() {
            assert_snapshot!(transcript($arguments));
        }
    )*};
}

snapshots! {
    pci_modern: "inspect fixtures/x86-q35-net-mq4-q10.0.mig.zst";
    pci_legacy: "inspect fixtures/x86-i440fx-legacy-q11.1.mig.zst";
    pci_packed: "inspect fixtures/x86-q35-packed-q7.2.mig.zst";
    pci_behind_iommu: "inspect fixtures/x86-q35-virtio-iommu-q10.0.mig.zst";
    pci_big_endian: "inspect fixtures/ppc64-pseries-slof-be-q10.0.mig.zst";
    mmio_modern: "inspect fixtures/x86-microvm-mmio-modern-q10.0.mig.zst";
    mmio_legacy: "inspect fixtures/arm64-virt-mmio-q7.2.mig.zst";
    ccw: "inspect fixtures/s390x-ccw-q11.1.mig.zst";
    ccw_legacy_big_endian: "inspect fixtures/s390x-ccw-legacy-q10.0.mig.zst";
    kitchen: "inspect fixtures/x86-q35-kitchen-q11.1.mig.zst";
    requests_in_flight: "inspect fixtures/x86-q35-blk-ioerr-q11.1.mig.zst --device 0000:00:03.0";
    scsi_requests_in_flight: "inspect fixtures/x86-q35-scsi-ioerr-q10.0.mig.zst --section 0000:00:03.0/0:0:0/scsi-disk";
    console_element_in_flight: "inspect fixtures/x86-q35-serial-blocked-q10.0.mig.zst";
    gpu: "inspect fixtures/x86-q35-gpu-q5.2.mig.zst";
    misspelt_subsection: "inspect fixtures/x86-q35-kitchen-q5.2.mig.zst --device 0000:00:06.0";
    one_section: "inspect fixtures/x86-q35-kitchen-q10.0.mig.zst --section globalstate --section timer";
    json: "inspect --json fixtures/s390x-ccw-legacy-q7.2.mig.zst";
    json_of_one_section: "inspect --json --section timer fixtures/s390x-ccw-legacy-q7.2.mig.zst";
    no_such_device: "inspect fixtures/x86-q35-kitchen-q10.0.mig.zst --device 0000:00:1f.0";
    no_such_section: "inspect fixtures/x86-q35-kitchen-q10.0.mig.zst --section nothing";
    not_a_stream: "inspect Cargo.toml";
    no_file: "inspect no-such-file.mig";
    verified: "verify fixtures/x86-q35-kitchen-q10.0.mig.zst";
    verified_with_a_finding: "verify fixtures/x86-q35-kitchen-q5.2.mig.zst";
    verified_json: "verify --json fixtures/x86-microvm-mmio-legacy-q10.0.mig.zst";
    explain_codes: "explain";
    explain_code: "explain VM0303 vm0640";
    explain_no_code: "explain VM9999";
    explain_message: "explain Features 0x1c0010130afffaf unsupported. Allowed features: 0x10179bfffef --device virtio-net";
    explain_message_json: "explain --json VQ 0 vring.num 1024 exceeds allocated max 256";
    explain_masked_message: "explain Features 0x00000000000000000000010110006e54 unsupported. Allowed features: 0x00000000000000000000010159006e54";
    explain_defects: "explain --defects";
    explain_defect_json: "explain --json misspelt-page-poison";
    explain_unknown_message: "explain nothing of the kind";
    schema_net: "schema virtio-net";
    schema_of_nothing: "schema virtio-none";
    schema_json: "schema virtio-mem-device-early --json";
    schema_against_stream: "schema --against fixtures/x86-q35-kitchen-q10.0.mig.zst";
    help: "--help";
    help_explain: "explain --help";
    help_schema: "schema --help";
    help_inspect: "inspect --help";
    check_refused: "check fixtures/x86-q35m52-netblkscsi-q10.0.mig.zst --onto fixtures/loads/x86-q35m52-netblkscsi-q10.0--fail-blk-discard.json --onto fixtures/loads/x86-q35m52-netblkscsi-q10.0--fail-blk-discard.mig.zst";
    check_loads: "check fixtures/s390x-ccw-legacy-q7.2.mig.zst --onto fixtures/loads/s390x-ccw-legacy-q7.2--to10.0.json --onto fixtures/loads/s390x-ccw-legacy-q7.2--to10.0.mig.zst";
    check_cannot_tell: "check fixtures/s390x-ccw-legacy-q7.2.mig.zst --onto fixtures/loads/s390x-ccw-legacy-q7.2--to10.0.mig.zst";
    check_known_defect: "check fixtures/x86-i440fx-net-blk-q10.0.mig.zst --onto fixtures/loads/x86-i440fx-net-blk-q10.0--to11.1.json --onto fixtures/loads/x86-i440fx-net-blk-q10.0--to11.1.mig.zst";
    check_json: "check --json fixtures/x86-q35m52-netblkscsi-q10.0.mig.zst --onto fixtures/loads/x86-q35m52-netblkscsi-q10.0--fail-ram-64.mig.zst";
    profile_of_a_stream: "profile fixtures/s390x-ccw-legacy-q7.2.mig.zst";
    diff: "diff fixtures/x86-q35-packed-q7.2.mig.zst fixtures/x86-q35-packed-q10.0.mig.zst";
    diff_nothing: "diff fixtures/x86-q35-packed-q7.2.mig.zst fixtures/x86-q35-packed-q7.2.mig.zst";
    diff_json: "diff --json fixtures/x86-i440fx-net-blk-q7.2.mig.zst fixtures/x86-i440fx-net-blk-q10.0.mig.zst --section 0000:00:02.0/virtio-net";
    diff_no_such_section: "diff fixtures/x86-q35-packed-q7.2.mig.zst fixtures/x86-q35-packed-q7.2.mig.zst --section nothing";
    edit_nonsense: "edit fixtures/x86-q35-packed-q7.2.mig.zst -o target/never.mig nonsense";
    edit_nothing_to_repair: "edit fixtures/x86-q35-packed-q7.2.mig.zst -o target/never.mig --repair";
    help_check: "check --help";
    help_decode: "decode --help";
    help_diff: "diff --help";
    help_edit: "edit --help";
    help_encode: "encode --help";
    help_profile: "profile --help";
    help_receive: "receive --help";
    help_redact: "redact --help";
    help_relay: "relay --help";
    help_send: "send --help";
    help_completions: "completions --help";
    help_verify: "verify --help";
}
