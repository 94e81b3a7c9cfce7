//! Every section in a table, and the state of those that belong to a device.

use maud::{Markup, html};

use super::text::{Text, bytes};
use super::{View, tree};
use crate::document::SectionDoc;

/// Rows of the table.
const MOST: usize = 2000;
/// States shown.
const MOST_STATES: usize = 64;

/// The sections.
pub(super) fn sections(view: &View<'_>) -> Markup {
    let sections = &view.document.sections;
    let companions: Vec<_> = sections.iter().filter(|section| section.decoded == Some("typed")).collect();
    html! {
        section.sections aria-label="Sections" {
            @if !companions.is_empty() {
                h2 { "Sections that belong to devices" }
                @for section in companions.iter().take(MOST_STATES) {
                    @if let Some(state) = &section.state {
                        details.device open[!section.findings.is_empty()] {
                            summary { h3 { span.kind { (Text(&section.title())) } } }
                            div.body { (tree::tree(state)) }
                        }
                    }
                }
                @if companions.len() > MOST_STATES { p.note { "… and " (companions.len() - MOST_STATES) " more" } }
            }
            @if !sections.is_empty() {
                details.device {
                    summary { h3 { "All " (sections.len()) " sections" } }
                    div.body.scroll { (table(sections)) }
                }
            }
        }
    }
}

fn table(sections: &[SectionDoc]) -> Markup {
    html! {
        table.numbers {
            thead { tr { th { "id" } th.text { "section" } th { "version" } th.text { "kind" } th { "offset" } th { "size" } } }
            tbody {
                @for section in sections.iter().take(MOST) {
                    tr {
                        td { (section.id) }
                        td.text { (Text(&section.title())) }
                        td { (section.version) }
                        td.text { (Text(&section.kind)) }
                        td { (format!("{:#x}", section.offset)) }
                        td { (bytes(section.bytes)) }
                    }
                }
            }
        }
        @if sections.len() > MOST { p.note { "… and " (sections.len() - MOST) " more" } }
    }
}
