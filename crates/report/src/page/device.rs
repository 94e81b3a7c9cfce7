//! Devices: each with its findings, its three layers, and its rings.

use maud::{Markup, html};
use serde_json::Value;

use super::text::{Text, bytes, count};
use super::{View, chips, findings, ring, tree};
use crate::document::{DeviceDoc, LoadedDoc, StatusDoc};

/// Devices shown; a real machine has far fewer.
pub(super) const MOST: usize = 256;
/// A stream with no more devices than these has none of them folded.
const FEW: usize = 3;

/// All devices.
pub(super) fn devices(view: &View<'_>) -> Markup {
    let devices = &view.document.devices;
    html! {
        section.devices aria-label="Devices" {
            @if !devices.is_empty() {
                h2 { (count(devices.len(), "virtio device", "virtio devices")) }
                (ring::legend())
            }
            @for (index, device) in devices.iter().enumerate().take(MOST) {
                (self::device(device, view.anchor(index).as_deref(), devices.len() <= FEW))
            }
            @if devices.len() > MOST { p.note { "… and " (devices.len() - MOST) " more" } }
        }
    }
}

/// One device. What deserves a look is unfolded.
fn device(device: &DeviceDoc, anchor: Option<&str>, is_one_of_few: bool) -> Markup {
    let loaded = device.loaded.as_ref();
    let is_notable = loaded.is_none_or(|loaded| !loaded.findings.is_empty() || loaded.in_flight() > 0);
    html! {
        details.device open[is_notable || is_one_of_few] {
            summary {
                (heading(device))
                @if let Some(loaded) = loaded { (ring::glance(&loaded.queues)) }
                (badges(device))
            }
            // The anchor is inside: whoever follows it finds the device unfolded.
            div.body id=[anchor] {
                @if let Some(error) = &device.error { (findings::error(error)) }
                @if let Some(loaded) = loaded {
                    (findings::of_device(&loaded.findings))
                    (layers(device, loaded))
                    @if let Some(reason) = &loaded.memory_unread {
                        p.note { "Rings behind " (Text(&loaded.memory)) " could not be read: " (Text(reason)) "." }
                    } @else if loaded.memory != "physical" {
                        p.note { "Rings are read through " (Text(&loaded.memory)) "." }
                    }
                    (ring::rings(&loaded.queues))
                }
                p.note { "Section of " (bytes(device.bytes)) " at " (format!("{:#x}", device.offset)) "." }
            }
        }
    }
}

/// Name, place and type, in a line.
pub(super) fn heading(device: &DeviceDoc) -> Markup {
    html! {
        h3 {
            span.kind { (Text(&device.name)) }
            span.path { (Text(&device.path)) @if device.instance > 0 { "#" (device.instance) } }
        }
        span.title { (device.title) }
    }
}

fn badges(device: &DeviceDoc) -> Markup {
    html! {
        span.badges {
            (state(device.loaded.as_ref()))
            @if let Some(loaded) = &device.loaded {
                    @let in_flight = loaded.in_flight();
                    @if in_flight > 0 { span.badge.inflight { (in_flight) " in flight" } }
                    @let worst = loaded.findings.iter().map(|finding| finding.severity).max();
                    @if worst.is_some() {
                        span.badge.(findings::class(worst)) { (count(loaded.findings.len(), "finding", "findings")) }
                    }
            }
        }
    }
}

/// How the device is, in a word.
pub(super) fn state(device: Option<&LoadedDoc>) -> Markup {
    let Some(device) = device else { return html! { span.badge.bad { "cannot be read" } } };
    let (class, word) = match (device.broken, device.disabled, device.status.names.last()) {
        (true, _, _) => ("bad", "broken"),
        (_, true, _) => ("doubtful", "disabled"),
        (_, _, None) => ("idle", "reset"),
        (_, _, Some(_)) if device.status.names.contains(&"DRIVER_OK") => ("good", "DRIVER_OK"),
        (_, _, Some(&last)) => ("idle", last),
    };
    html! { span.badge.(class) { (word) } }
}

/// The layers that the state is spread over, side by side.
fn layers(device: &DeviceDoc, loaded: &LoadedDoc) -> Markup {
    html! {
        div.layers {
            section.core aria-label="Core" {
                h4 { "virtio core" }
                (status(&loaded.status))
                h5 { "features " small { (Text(&loaded.features.guest)) } }
                (chips::features(&loaded.features))
                dl.fields {
                    div { dt { "isr" } dd { (format!("{:#x}", loaded.isr)) } }
                    div { dt { "queue_sel" } dd { (loaded.queue_sel) } }
                    div { dt { "byte order" } dd { (brief(loaded.endianness)) } }
                    div.long { dt { "config" } dd { (tree::brief(&Value::from(loaded.config.as_str()))) } }
                }
                h5 { "subsections" }
                (chips::names(loaded.subsections.iter().map(String::as_str), "none"))
            }
            section.transport aria-label="Transport" {
                h4 { "transport " span { (brief(device.transport)) } }
                @let kind = serde_json::to_value(device.transport).unwrap_or_default();
                @let state = kind.as_str().and_then(|kind| loaded.transport_state.get(kind));
                (tree::tree(state.unwrap_or(&loaded.transport_state)))
            }
            section.of-device aria-label="Device" {
                h4 { "device " span { (Text(&device.name)) } }
                (tree::tree(&loaded.state))
            }
        }
    }
}

/// The status byte as chips.
pub(super) fn status(status: &StatusDoc) -> Markup {
    html! {
        h5 { "status " small { (format!("{:#x}", status.bits)) } }
        (chips::names(status.names.iter().copied(), "reset"))
    }
}

fn brief(value: impl serde::Serialize) -> Markup {
    tree::brief(&serde_json::to_value(value).unwrap_or_default())
}

impl LoadedDoc {
    /// Entries that the device has taken from all its queues and not returned.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.queues.iter().filter_map(|queue| queue.inuse).map(u64::from).sum()
    }
}
