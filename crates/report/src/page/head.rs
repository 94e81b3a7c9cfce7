//! The head of a stream's part of the page: which stream this is.

use maud::{Markup, html};

use super::View;
use super::text::{Text, bytes, count};

/// The file, and what the stream says of itself.
pub(super) fn head(view: &View<'_>) -> Markup {
    html! {
        header {
            h1 { (Text(view.name)) }
            (facts(view))
        }
    }
}

/// Machine, size, RAM, and how many sections.
pub(super) fn facts(view: &View<'_>) -> Markup {
    let document = &view.document;
    let stream = &document.stream;
    html! {
        dl.facts {
            div { dt { "machine" } dd { (Text(stream.machine.as_deref().unwrap_or("not named"))) } }
            div {
                dt { "stream" }
                dd {
                    "version " (stream.version) ", " (bytes(stream.bytes))
                    @if stream.container != "raw" { ", in " (Text(&stream.container)) }
                    @if stream.trailing > 0 { ", then " (bytes(stream.trailing)) " that belong to no stream" }
                }
            }
            @if let Some(ram) = &document.ram {
                @let total = ram.blocks.iter().fold(0_u64, |sum, block| sum.saturating_add(block.bytes));
                div { dt { "RAM" } dd { (bytes(total)) " in " (count(ram.blocks.len(), "block", "blocks")) } }
            }
            div {
                dt { "sections" }
                dd { (document.sections.len()) ", of which " (count(document.devices_total, "is a virtio device", "are virtio devices")) }
            }
        }
    }
}
