//! What is wrong, before anything else.

use maud::{Markup, html};
use virtio::finding::Severity;

use super::View;
use super::text::{Text, count, prose};
use crate::document::{ErrorDoc, FindingDoc};

/// Findings listed.
const MOST: usize = 200;

/// Something wrong, and where.
struct Row<'a> {
    severity: Option<Severity>,
    code: &'a str,
    message: String,
    whose: String,
    anchor: Option<String>,
}

/// The verdict in a sentence, then each finding, worst first.
pub(super) fn findings(view: &View<'_>) -> Markup {
    let mut rows = rows(view);
    // What could not be read at all is the worst; in between, the order of the stream.
    rows.sort_by_key(|row| std::cmp::Reverse((row.severity.is_none(), row.severity)));
    let devices = view.document.devices.len();
    html! {
        section.findings aria-label="Findings" {
            @if rows.is_empty() {
                p.verdict.good {
                    strong { "No findings." }
                    @match devices {
                        0 => " The stream was read to its end; it has no virtio device.",
                        1 => " The virtio device was read and passes the checks of the load procedure.",
                        _ => { " All " (devices) " virtio devices were read and pass the checks of the load procedure." }
                    }
                }
            } @else {
                p.verdict.(class(rows.first().and_then(|row| row.severity))) {
                    strong { (count(rows.len(), "finding", "findings")) "." }
                    " " (verdict(rows.first().and_then(|row| row.severity)))
                }
                ul {
                    @for row in rows.iter().take(MOST) { (self::row(row)) }
                    @if rows.len() > MOST { li { "… and " (rows.len() - MOST) " more" } }
                }
            }
        }
    }
}

/// The findings of one device, in its own place.
pub(super) fn of_device(findings: &[FindingDoc]) -> Markup {
    html! {
        @if !findings.is_empty() {
            ul.findings {
                @for finding in findings.iter().take(MOST) {
                    (row(&Row {
                        severity: Some(finding.severity),
                        code: &finding.code,
                        message: finding.message.clone(),
                        whose: String::new(),
                        anchor: None,
                    }))
                }
            }
        }
    }
}

/// Why something could not be read.
pub(super) fn error(error: &ErrorDoc) -> Markup {
    html! { ul.findings { (row(&Row::unread(error, String::new(), None))) } }
}

fn row(row: &Row<'_>) -> Markup {
    html! {
        li {
            span.effect.(class(row.severity)) { (effect(row.severity)) }
            " " code { (row.code) } " "
            @match &row.anchor {
                Some(anchor) => { a href={ "#" (anchor) } { (Text(&row.whose)) } " " }
                None if row.whose.is_empty() => {}
                None => { b { (Text(&row.whose)) } " " }
            }
            (prose(&row.message))
        }
    }
}

fn rows<'a>(view: &'a View<'_>) -> Vec<Row<'a>> {
    let document = &view.document;
    let mut rows: Vec<Row<'_>> = document
        .error
        .iter()
        .map(|error| Row::unread(error, "the stream ends early:".to_owned(), None))
        .collect();
    for (index, device) in document.devices.iter().enumerate() {
        let whose = || device.title();
        let anchor = || view.anchor(index);
        rows.extend(device.error.iter().map(|error| Row::unread(error, whose(), anchor())));
        let findings = device.loaded.iter().flat_map(|loaded| &loaded.findings);
        rows.extend(findings.map(|finding| Row::found(finding, whose(), anchor())));
    }
    for section in &document.sections {
        let whose = || section.title();
        rows.extend(section.error.iter().map(|error| Row::unread(error, whose(), None)));
        rows.extend(section.findings.iter().map(|finding| Row::found(finding, whose(), None)));
    }
    rows
}

impl<'a> Row<'a> {
    fn unread(error: &'a ErrorDoc, whose: String, anchor: Option<String>) -> Self {
        let message = format!("{} at {:#x}: {}", error.path, error.offset, error.message);
        Self { severity: None, code: &error.code, message, whose, anchor }
    }

    fn found(finding: &'a FindingDoc, whose: String, anchor: Option<String>) -> Self {
        let FindingDoc { code, severity, message } = finding;
        Self { severity: Some(*severity), code, message: message.clone(), whose, anchor }
    }
}

/// What a finding means for the load, in a few words; nothing stands for what could not be read.
fn effect(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(severity) => severity.effect(),
        None => "cannot be read",
    }
}

fn verdict(worst: Option<Severity>) -> &'static str {
    match worst {
        Some(Severity::Warning) => "None of them keeps the stream from loading.",
        Some(Severity::BreaksDevice) => "The stream loads, but with a device that needs a reset.",
        Some(Severity::FailsLoad) => "QEMU does not load this stream.",
        None => "Some of the stream cannot be read.",
    }
}

/// The colour of a finding.
pub(super) fn class(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Warning) => "doubtful",
        Some(Severity::BreaksDevice | Severity::FailsLoad) | None => "bad",
    }
}
