//! State as JSON and back, changes and repairs, on recorded streams.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a test may panic"
)]

mod common;

use common::{Fixture, bytes, decode, fixture, names};
use compat::defect;
use compat::edit::{self, Change, EditError};
use compat::state::State;
use virtio::guest::Content;
use vmstate::stream::Stream;

fn written(stream: &Stream, fixture: &Fixture) -> Vec<u8> {
    let mut out = Vec::new();
    stream.write(fixture.source.as_ref(), &mut |_| None, &mut out).unwrap();
    out
}

#[test]
fn state_goes_through_json_and_back_to_the_same_bytes() {
    for name in names() {
        let fixture = fixture(&name);
        let json = serde_json::to_string(&State::new(&fixture.stream, &fixture.guest)).unwrap();
        let state: State = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        let stream = state.apply(&fixture.stream).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(written(&stream, &fixture) == bytes(&name), "{name} has other bytes");
    }
}

/// Makes changes as `vmig edit` does, and gives the stream that comes of them.
fn edited(fixture: &Fixture, changes: &[&str]) -> Result<Vec<u8>, EditError> {
    let mut state = State::new(&fixture.stream, &fixture.guest);
    let changes: Vec<Change> = changes.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    edit::change(&mut state, &changes)?;
    let stream = state.apply(&fixture.stream)?;
    edit::check(&state, &stream, &fixture.stream, &fixture.guest, fixture.source.as_ref())?;
    Ok(written(&stream, fixture))
}

/// Scans and decodes a stream that was written, and gives its state.
fn state_of(bytes: &[u8]) -> State {
    let decoded = decode(bytes);
    decoded.contents().for_each(|content| assert!(content.is_ok(), "{content:?}"));
    State::new(&decoded.stream, &decoded.guest)
}

const KITCHEN: &str = "x86-q35-kitchen-q10.0";
const NET: &str = "0000:00:01.0/virtio-net";

#[test]
fn a_change_is_made_and_nothing_else() {
    let fixture = fixture(KITCHEN);
    let bytes = edited(&fixture, &[&format!("{NET}.device.mac=52:54:00:00:00:01")]).unwrap();
    let differences = compat::diff::states(&State::new(&fixture.stream, &fixture.guest), &state_of(&bytes));
    let paths: Vec<_> =
        differences.iter().flat_map(|section| &section.differences).map(|d| d.path.as_str()).collect();
    assert_eq!(paths, ["core.config", "device.mac"]);
}

#[test]
fn features_change_in_every_place_that_has_them() {
    let fixture = fixture(KITCHEN);
    let bytes = edited(&fixture, &[&format!("{NET}.core.guest_features-=MRG_RXBUF,RING_RESET")]).unwrap();
    let decoded = decode(&bytes);
    let (_, device) = decoded.guest.devices(&decoded.stream).next().unwrap();
    let loaded = device.loaded.as_ref().unwrap();
    assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
    let names = loaded.features.names(device.kind.features);
    assert!(!names.iter().any(|name| name == "MRG_RXBUF" || name == "RING_RESET"), "{names:?}");
}

#[test]
fn a_dropped_subsection_and_another_machine_keep_the_description_true() {
    let fixture = fixture(KITCHEN);
    let blk = "0000:00:02.0/virtio-blk";
    let bytes =
        edited(&fixture, &[&format!("{blk}.core.subsections.started=null"), "machine=pc-q35-9.2.1"]).unwrap();
    let state = state_of(&bytes);
    assert_eq!(state.configuration.as_ref().unwrap().machine(), "pc-q35-9.2.1");
    assert!(state.section(blk, 0).unwrap().state.pointer("/core/subsections/started").is_none());
    // Every section is still found by the description, not by its footer.
    let stream = decode(&bytes).stream;
    let description = stream.description.as_ref().unwrap();
    for section in stream.sections().filter(|section| section.body().is_some()) {
        let described = description.desc.device(&section.name, section.instance).unwrap().body_size();
        assert_eq!(described, Some(section.body_bytes), "{}", section.name);
    }
    let name = &description.desc.configuration.as_ref().unwrap().fields[1];
    assert_eq!((name.name.as_str(), name.size), ("name", 12));
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let fixture = fixture(KITCHEN);
    let refused = |change: &str| edited(&fixture, &[change]).unwrap_err().to_string();
    assert!(refused("nonsense").starts_with("`nonsense` is not a change: expected SECTION.FIELD=VALUE"));
    assert!(refused("0000:00:1f.0/virtio-net.x=1").starts_with("no section begins"));
    assert_eq!(
        refused(&format!("{NET}.device.mak=1")),
        "0000:00:01.0/virtio-net has no field device.mak, or it cannot hold that value"
    );
    let text = refused(&format!("{NET}.device.rss.enabled=true"));
    assert!(text.contains("has no field `device.rss.enabled`; there: "), "{text}");
    assert!(refused(&format!("{NET}.core.isr=high")).contains("`high`, expected a number"));
    assert!(
        refused(&format!("{NET}.core.isr=256"))
            .contains("core.isr: invalid value: integer `256`, expected u8")
    );
    assert!(
        refused(&format!("{NET}.core.guest_features+=NOISE")).contains("`NOISE` is no feature of virtio-net")
    );
    let text = refused("0000:00:02.0/virtio-blk.core.queues[0].last_avail_idx=9");
    assert!(text.starts_with("0000:00:02.0/virtio-blk would not load: VM0304: "), "{text}");
}

/// QEMU writes the parameters of this request, and reads back none.
#[test]
fn what_belongs_to_a_device_is_looked_at_too() {
    let fixture = fixture("x86-q35-scsi-ioerr-q10.0");
    let unmap = ["cdb=42000000000000001800000000000000", "disk.buflen=512", "disk.sector_count=0"];
    let data = format!("data={}", "05".repeat(24));
    let request = "0000:00:03.0/0:0:0/scsi-disk.qdev.requests[0]";
    let changes: Vec<_> =
        unmap.into_iter().chain([data.as_str()]).map(|field| format!("{request}.{field}")).collect();
    let changes: Vec<_> = changes.iter().map(String::as_str).collect();
    let error = edited(&fixture, &changes).unwrap_err().to_string();
    assert!(error.starts_with("0000:00:03.0/0:0:0/scsi-disk would not load: VM0503: "), "{error}");
}

#[test]
fn the_misspelt_subsection_of_qemu_5_2_is_repaired() {
    let fixture = fixture("x86-q35-kitchen-q5.2");
    let mut state = State::new(&fixture.stream, &fixture.guest);
    let repairs = defect::repair(&mut state);
    assert_eq!(repairs.iter().map(|repair| repair.defect).collect::<Vec<_>>(), ["misspelt-page-poison"]);
    assert!(defect::repair(&mut state).is_empty(), "it is mended");
    let bytes = written(&state.apply(&fixture.stream).unwrap(), &fixture);
    let decoded = decode(&bytes);
    let balloon = decoded.stream.section("0000:00:06.0/virtio-balloon", 0).unwrap();
    let Some(Ok(Content::Device(device))) = decoded.guest.content(balloon) else { panic!("not a device") };
    assert!(device.loaded.as_ref().unwrap().findings.is_empty());
    let body = balloon.body().unwrap();
    assert!(body.windows(34).any(|name| name == b"virtio-balloon-device/page-poison\0"));
}
