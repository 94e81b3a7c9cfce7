//! State as JSON and back, changes and repairs, on recorded streams.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a test may panic"
)]

#[path = "../../virtio/tests/common/mod.rs"]
mod common;

use common::{Fixture, bytes, fixture, names};
use compat::edit::{self, Change, EditError};
use compat::state::State;
use virtio::guest::{Content, Guest};
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
    let scan = Stream::scan(&bytes, &mut |_| ());
    assert!(scan.stopped.is_none(), "{:?}", scan.stopped);
    let guest = Guest::decode(&scan.stream, &bytes);
    for section in scan.stream.sections() {
        if let Some(content) = guest.content(section) {
            assert!(content.is_ok(), "{content:?}");
        }
    }
    State::new(&scan.stream, &guest)
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
    assert_eq!(paths, ["device.mac"]);
}

#[test]
fn features_change_in_every_place_that_has_them() {
    let fixture = fixture(KITCHEN);
    let bytes = edited(&fixture, &[&format!("{NET}.core.guest_features-=MRG_RXBUF,RING_RESET")]).unwrap();
    let scan = Stream::scan(&bytes, &mut |_| ());
    let guest = Guest::decode(&scan.stream, &bytes);
    let (_, device) = guest.devices(&scan.stream).next().unwrap();
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
    let scan = Stream::scan(&bytes, &mut |_| ());
    let description = scan.stream.description.as_ref().unwrap();
    for section in scan.stream.sections().filter(|section| section.body().is_some()) {
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

#[test]
fn the_misspelt_subsection_of_qemu_5_2_is_repaired() {
    let fixture = fixture("x86-q35-kitchen-q5.2");
    let mut state = State::new(&fixture.stream, &fixture.guest);
    let repairs = edit::repair(&mut state);
    assert_eq!(repairs.iter().map(|repair| repair.code).collect::<Vec<_>>(), ["VM0440"]);
    assert!(edit::repair(&mut state).is_empty(), "it is mended");
    let bytes = written(&state.apply(&fixture.stream).unwrap(), &fixture);
    let scan = Stream::scan(&bytes, &mut |_| ());
    let guest = Guest::decode(&scan.stream, &bytes);
    let balloon = scan.stream.section("0000:00:06.0/virtio-balloon", 0).unwrap();
    let Some(Ok(Content::Device(device))) = guest.content(balloon) else { panic!("not a device") };
    assert!(device.loaded.as_ref().unwrap().findings.is_empty());
    let body = balloon.body().unwrap();
    assert!(body.windows(34).any(|name| name == b"virtio-balloon-device/page-poison\0"));
}
