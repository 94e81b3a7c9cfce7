//! Two streams side by side: what differs between them.

use compat::diff::{self, Difference, SectionDifference, Side};
use compat::state::State;
use maud::{Markup, html};
use serde_json::Value;

use super::text::{Text, count};
use super::{View, chips, device, findings, head, map, ring, tree};
use crate::buffer;
use crate::document::{DeviceDoc, LoadedDoc, QueueDoc};

/// Devices and sections shown.
const MOST: usize = super::device::MOST;
/// Fields shown of a section.
const ROWS: usize = 100;
/// Rings shown of a device.
const RINGS: usize = 32;
/// Fields of a device that are not folded.
const FEW: usize = 12;
/// Places shown at which two buffers differ, and bytes of one.
const RUNS: usize = 24;
const LONGEST: usize = 32;

/// Two streams.
pub(super) fn diff(a: &View<'_>, b: &View<'_>) -> Markup {
    let state = |view: &View<'_>| State::new(view.reading.stream, view.reading.guest);
    let differences = diff::states(&state(a), &state(b));
    let device = |view: &View<'_>, section: &str| {
        view.document.devices.iter().position(|device| device.title() == section)
    };
    let (devices, others): (Vec<_>, Vec<_>) = differences
        .iter()
        .map(|difference| (device(a, &difference.section), device(b, &difference.section), difference))
        .partition(|(a, b, _)| a.is_some() || b.is_some());
    let whole = a.reading.stream.bytes.max(b.reading.stream.bytes);
    let differs = |title: &str| devices.iter().any(|(_, _, difference)| difference.section == title);
    let same: Vec<_> =
        (0..).zip(&a.document.devices).filter(|(_, device)| !differs(&device.title())).collect();
    html! {
        header.two {
            @for (letter, view) in [("A", a), ("B", b)] {
                div { h1 { span.side { (letter) } " " (Text(view.name)) } (head::facts(view)) }
            }
        }
        div.two {
            @for (letter, view) in [("A", a), ("B", b)] {
                div { h2 { span.side { (letter) } " Findings" } (findings::findings(view)) }
            }
        }
        section.map aria-label="Maps of the streams" {
            h2 { "The streams, to one scale" }
            @for (letter, view) in [("A", a), ("B", b)] {
                h4 { span.side { (letter) } " " (Text(view.name)) }
                (map::bars(view, whole))
            }
        }
        section.devices aria-label="Devices that differ" {
            h2 { (count(devices.len(), "virtio device differs", "virtio devices differ")) }
            @if !devices.is_empty() { (ring::legend()) }
            @for (index_a, index_b, difference) in devices.iter().take(MOST) {
                (changed_device((a, *index_a), (b, *index_b), difference))
            }
            @if !same.is_empty() {
                p.note { (count(same.len(), "device is", "devices are")) " the same on both sides: "
                    @for (index, same) in same.iter().take(MOST) {
                        @let title = same.title();
                        span.same id=[a.anchor(*index)] {
                            @if let Some(index) = device(b, &title) { span id=[b.anchor(index)] {} }
                            (Text(&title))
                        }
                        " "
                    }
                }
            }
        }
        section.sections aria-label="Other sections that differ" {
            h2 { (count(others.len(), "other section differs", "other sections differ")) }
            @for (_, _, difference) in others.iter().take(MOST) {
                details.device {
                    summary {
                        h3 { span.kind { (Text(&difference.section)) } }
                        span.badges { (extent(difference)) }
                    }
                    div.body { (table(&difference.differences.iter().collect::<Vec<_>>())) }
                }
            }
            @if others.len() > MOST { p.note { "… and " (others.len() - MOST) " more" } }
        }
    }
}

/// A device on one side, if it is there.
type OneSide<'a> = (&'a View<'a>, Option<usize>);

fn changed_device(a: OneSide<'_>, b: OneSide<'_>, difference: &SectionDifference) -> Markup {
    let [a, b] = [a, b].map(|(view, index)| Some((view.anchor(index?)?, view.document.devices.get(index?)?)));
    let Some((_, shown)) = a.as_ref().or(b.as_ref()) else { return html! {} };

    html! {
        details.device open {
            summary {
                (device::heading(shown))
                span.badges {
                    @if let (Some((_, a)), Some((_, b))) = (&a, &b) {
                        @let [a, b] = [a, b].map(|device| device::state(device.loaded.as_ref()));
                        (a) @if a.0 != b.0 { "→" (b) }
                    }
                    (extent(difference))
                }
            }
            div.body {
                @for (anchor, _) in a.iter().chain(&b) { span id=(anchor) {} }
                @if let (Some(a), Some(b)) = (loaded(&a), loaded(&b)) { (sides(a, b)) }
                @let rest: Vec<_> = difference.differences.iter().filter(|difference| !is_drawn(&difference.path)).collect();
                @if !rest.is_empty() {
                    details.nested open[rest.len() <= FEW] {
                        summary { (count(rest.len(), "field", "fields")) }
                        (table(&rest))
                    }
                }
            }
        }
    }
}

/// Whether a field is among what [`sides`] shows.
fn is_drawn(path: &str) -> bool {
    path == "core.status" || path == "core.guest_features" || path.starts_with("core.subsections.features_")
}

fn loaded<'a>(side: &Option<(String, &'a DeviceDoc)>) -> Option<&'a LoadedDoc> {
    side.as_ref()?.1.loaded.as_ref()
}

/// What a device's layers show better than a table does: status, features, rings.
fn sides(a: &LoadedDoc, b: &LoadedDoc) -> Markup {
    let length = a.queues.len().max(b.queues.len());
    let pairs = (0..length).map(|index| [a.queues.get(index), b.queues.get(index)]);
    let changed: Vec<_> = pairs.filter(|[a, b]| a.map(look) != b.map(look)).collect();
    html! {
        @if a.features.guest != b.features.guest {
            h5 { "features " small { (Text(&a.features.guest)) " → " (Text(&b.features.guest)) } }
            (chips::changed_features(&a.features, &b.features))
        }
        @if a.status.bits != b.status.bits || !changed.is_empty() {
            div.two.pair { @for letter in ["A", "B"] { div { span.side { (letter) } } } }
        }
        @if a.status.bits != b.status.bits {
            div.two.pair { @for side in [a, b] { div { (device::status(&side.status)) } } }
        }
        @for pair in changed.iter().take(RINGS) {
            div.two.pair {
                @for queue in pair {
                    @match queue {
                        Some(queue) if queue.is_set_up() => (ring::ring(queue)),
                        Some(queue) => p.note { "#" (queue.index) " " (Text(&queue.name)) ": size " (queue.size) ", not set up by the driver" },
                        None => p.note { "no such queue" },
                    }
                }
            }
        }
        @if changed.len() > RINGS { p.note { "… and " (changed.len() - RINGS) " more queues differ" } }
    }
}

/// What a drawing of a queue shows.
fn look(queue: &QueueDoc) -> impl PartialEq + use<'_> {
    let QueueDoc { size, last_avail_idx, avail_idx, used_idx, inuse, vector, desc, avail, used, .. } = queue;
    (size, last_avail_idx, avail_idx, used_idx, inuse, vector, (desc, avail, used))
}

/// How much differs, in a few words.
fn extent(difference: &SectionDifference) -> Markup {
    html! {
        @match difference.missing_in {
            Some(Side::A) => span.badge.gained { "+ only in B" },
            Some(Side::B) => span.badge.lost { "− only in A" },
            None => span.badge.idle { (count(difference.differences.len(), "field", "fields")) },
        }
    }
}

fn table(differences: &[&Difference]) -> Markup {
    html! {
        @if !differences.is_empty() {
            div.scroll {
                table.changes {
                    thead { tr { th { "field" } th { "A" } th { "B" } } }
                    tbody {
                        @for Difference { path, a, b } in differences.iter().take(ROWS) {
                            @let other = [b, a];
                            tr {
                                th scope="row" { (Text(path)) }
                                @for (value, other) in [a, b].into_iter().zip(other) { td { (cell(value.as_ref(), other.as_ref())) } }
                            }
                        }
                    }
                }
            }
            @if differences.len() > ROWS { p.note { "… and " (differences.len() - ROWS) " more fields" } }
        }
    }
}

/// A value; of a buffer only the bytes in which the other side's differs.
fn cell(value: Option<&Value>, other: Option<&Value>) -> Markup {
    let Some(value) = value else { return html! { span.none { "—" } } };
    let buffer = |value: &Value| buffer::bytes(value.as_str()?);
    match (buffer(value), other.and_then(buffer)) {
        (Some(value), Some(other)) if value.len() == other.len() => {
            let runs = runs(&value, &other);
            html! {
                @for (offset, bytes) in runs.iter().take(RUNS) {
                    span.item { small { (format!("{offset:#x}: ")) } (hex::encode(bytes)) } " "
                }
                @if runs.len() > RUNS { small { "… and at " (runs.len() - RUNS) " more places" } }
            }
        }
        _ => tree::brief(value),
    }
}

/// The words of four bytes in which two buffers of one length differ, neighbours together, with their offset.
fn runs<'a>(value: &'a [u8], other: &[u8]) -> Vec<(usize, &'a [u8])> {
    let differs = |at: usize| {
        value
            .get(at..)
            .zip(other.get(at..))
            .is_some_and(|(a, b)| a.iter().zip(b).take(4).any(|(a, b)| a != b))
    };
    let mut runs = Vec::new();
    let mut at = 0;
    while at < value.len() {
        let start = at;
        while at < value.len() && differs(at) && at - start < LONGEST {
            at += 4;
        }
        match value.get(start..at.min(value.len())) {
            Some(run) if at > start => runs.push((start, run)),
            _ => at += 4,
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_differ_in_words() {
        let (a, b) = ([0; 18], [0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(runs(&b, &a), [(0, b.get(..8).unwrap()), (16, b.get(16..).unwrap())]);
        assert!(runs(&a, &a).is_empty());
    }
}
