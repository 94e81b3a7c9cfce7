//! Loads that real QEMUs made or refused, recorded with the destination as it was right after start: what
//! `check` says of them, from the destination's stream alone and with what it answered over QMP.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use compat::profile::{Profile, QmpRecord, from_qmp_record, from_stream};
use compat::verdict::{Incoming, Outcome, Verdict, check, code};
use serde_json::Value;
use virtio::guest::Guest;
use vmstate::stream::{Scan, Stream};

struct Load {
    scan: Scan,
    guest: Guest,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn load(file: &Path) -> Load {
    let image = image::open(file.to_str().unwrap(), &mut |_| ()).unwrap();
    let scan = Stream::scan(image.source.as_ref(), &mut |_| ());
    let guest = Guest::decode(&scan.stream, image.source.as_ref());
    Load { scan, guest }
}

impl Load {
    fn onto(&self, destination: &Profile) -> Verdict {
        let Self { scan, guest } = self;
        check(Incoming { stream: &scan.stream, guest, stopped: scan.stopped.as_ref() }, destination)
    }

    fn profile(&self) -> Profile {
        from_stream(&self.scan.stream, &self.guest)
    }
}

/// A recorded load.
struct Case {
    record: Value,
    source: Load,
    /// From the stream that the destination wrote.
    bare: Profile,
    /// From what it answered.
    asked: Profile,
}

impl Case {
    fn open(name: &str) -> Self {
        let record = std::fs::read(fixtures().join(format!("loads/{name}.json"))).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        let stream = record["stream"].as_str().unwrap();
        let source = load(&fixtures().join(format!("{stream}.mig.zst")));
        let bare = load(&fixtures().join(format!("loads/{name}.mig.zst"))).profile();
        let asked: QmpRecord = serde_json::from_value(record.clone()).unwrap();
        Self { source, bare, asked: from_qmp_record(&asked), record }
    }

    fn full(&self) -> Profile {
        self.bare.clone().merge(self.asked.clone())
    }

    fn loaded(&self) -> bool {
        self.record["loaded"].as_bool().unwrap()
    }

    /// What QEMU said first.
    fn message(&self) -> Option<&str> {
        self.record["error_lines"].get(0)?.as_str()
    }
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(fixtures().join("loads")).unwrap();
    let mut names: Vec<_> = files
        .filter_map(|file| Some(file.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 10, "only {names:?}");
    names
}

#[test]
fn with_all_that_is_known_nothing_is_open() {
    for name in names() {
        let case = Case::open(&name);
        let verdict = case.source.onto(&case.full());
        let expected = if case.loaded() { Outcome::Loads } else { Outcome::Refused };
        assert_eq!(verdict.outcome, expected, "{name}: {verdict:#?}");
        if let Some(first) = verdict.reasons.first() {
            assert_eq!(first.qemu_message.as_deref(), case.message(), "{name}");
            assert!(!first.remedy.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_stream_alone_is_never_wrong() {
    for name in names() {
        let case = Case::open(&name);
        let verdict = case.source.onto(&case.bare);
        let wrong = if case.loaded() { Outcome::Refused } else { Outcome::Loads };
        assert_ne!(verdict.outcome, wrong, "{name}: {verdict:#?}");
    }
}

#[test]
fn answers_alone_are_never_wrong_and_never_enough() {
    for name in names() {
        let case = Case::open(&name);
        let verdict = case.source.onto(&case.asked);
        let wrong = if case.loaded() { Outcome::Refused } else { Outcome::Loads };
        assert_ne!(verdict.outcome, wrong, "{name}: {verdict:#?}");
        assert!(verdict.open.iter().any(|reason| reason.code == code::SECTIONS_UNKNOWN), "{name}");
    }
}

#[test]
fn a_feature_that_a_stream_does_not_tell_is_left_open() {
    let case = Case::open("x86-q35m52-netblkscsi-q10.0--fail-blk-noeventidx");
    let verdict = case.source.onto(&case.bare);
    assert_eq!(verdict.outcome, Outcome::CannotTell);
    assert!(verdict.open.iter().all(|reason| reason.code == code::FEATURES_UNKNOWN), "{verdict:#?}");
    let verdict = case.source.onto(&case.full());
    let [reason] = verdict.reasons.as_slice() else { panic!("{verdict:#?}") };
    assert_eq!(reason.code, code::FEATURES);
    assert_eq!(reason.features, ["EVENT_IDX"]);
    assert_eq!(reason.device.as_deref(), Some("0000:00:02.0/virtio-blk"));
}

#[test]
fn a_feature_that_comes_with_configuration_is_told_by_its_length() {
    let case = Case::open("x86-q35m52-netblkscsi-q10.0--fail-blk-discard");
    let verdict = case.source.onto(&case.bare);
    assert_eq!(verdict.outcome, Outcome::Refused);
    assert_eq!(verdict.reasons[0].features, ["DISCARD", "WRITE_ZEROES"]);
}

#[test]
fn every_reason_is_given_and_not_only_the_first() {
    let case = Case::open("x86-i440fx-net-blk-q10.0--to11.1");
    let verdict = case.source.onto(&case.bare);
    let found: Vec<_> =
        verdict.reasons.iter().map(|reason| (reason.code, reason.device.as_deref().unwrap())).collect();
    assert_eq!(
        found,
        [(code::QUEUE_SIZE, "0000:00:02.0/virtio-net"), (code::QUEUE_SIZE, "0000:00:03.0/virtio-blk")]
    );
    assert!(verdict.reasons[0].remedy.contains("control queue"), "{}", verdict.reasons[0].remedy);
    assert!(verdict.reasons[1].remedy.contains("queue-size=1024"), "{}", verdict.reasons[1].remedy);
}

#[test]
fn a_profile_is_the_same_after_it_was_written_and_read() {
    let profile = Case::open("x86-q35-kitchen-q10.0--fail-ser-portnr").full();
    let json = serde_json::to_value(&profile).unwrap();
    assert!(Profile::is_profile(&json));
    assert_eq!(Profile::from_json(json.clone()).unwrap(), profile);
    let mut newer = json;
    newer["profile_version"] = 2.into();
    assert!(Profile::from_json(newer).unwrap_err().to_string().contains("profile version 2, expected 1"));
}

#[test]
fn a_capability_that_is_off_is_refused_where_it_is_known() {
    let mut case = Case::open("x86-q35m52-netblkscsi-q11.1--to7.2");
    case.asked.capabilities = Some(vec!["mapped-ram".to_owned()]);
    let verdict = case.source.onto(&case.full());
    assert_eq!(verdict.reasons[0].code, code::CAPABILITY);
    let says = "Capability mapped-ram is on, but received capability is off";
    assert_eq!(verdict.reasons[0].qemu_message.as_deref(), Some(says));
}

#[test]
fn a_defect_is_cited_where_it_is_behind_a_reason() {
    let case = Case::open("x86-i440fx-net-blk-q10.0--to11.1");
    let verdict = case.source.onto(&case.full());
    assert!(verdict.reasons.iter().all(|reason| reason.defect == Some("forced-queue-size")), "{verdict:#?}");
    let misspelt = load(&fixtures().join("x86-q35-kitchen-q5.2.mig.zst"));
    let verdict = misspelt.onto(&misspelt.profile());
    assert_eq!(verdict.reasons[0].defect, Some("misspelt-page-poison"));
}

/// As QEMU 10.0 lists the device, with what matters here.
const PMEM: &str = r#"bus: main-system-bus
  type System
  dev: q35-pcihost, id ""
    bus: pcie.0
      type PCIE
      dev: virtio-pmem-pci, id "pm"
        disable-modern = false
        addr = 0b.0
        bus: virtio-bus
          type virtio-pci-bus
          dev: virtio-pmem, id ""
            memaddr = 4294967296 (0x100000000)
"#;

#[test]
fn a_device_without_a_section_is_warned_of() {
    let case = Case::open("x86-q35m52-netblkscsi-q11.1--to7.2");
    let record: QmpRecord = serde_json::from_value(serde_json::json!({ "qtree": PMEM })).unwrap();
    let verdict = case.source.onto(&case.full().merge(from_qmp_record(&record)));
    assert_eq!(verdict.outcome, Outcome::Loads);
    let [warning] = verdict.warnings.as_slice() else { panic!("{verdict:#?}") };
    assert_eq!((warning.code, warning.defect), (code::NOT_MIGRATED, Some("pmem-without-section")));
    assert_eq!(warning.device.as_deref(), Some("0000:00:0b.0/virtio-pmem"));
}
