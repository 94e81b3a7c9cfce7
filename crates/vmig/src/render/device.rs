//! A virtio device: transport, status, features, queues, state, findings.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use report::document::{DeviceDoc, FindingDoc, LoadedDoc, QueueDoc};
use serde_json::Value;
use virtio::finding::Severity;
use virtio::transport::TransportKind;

use super::state;
use super::style::{BAD, DIM, DOUBTFUL, GOOD, HEADING, LABEL, bytes};

/// Columns a line of names may take.
const WIDTH: usize = 96;

/// Writes a device.
pub(crate) fn device(device: &DeviceDoc, out: &mut dyn Write) -> io::Result<()> {
    let separator = if device.path.is_empty() { "" } else { "/" };
    write!(out, "{HEADING}{}{separator}{}{HEADING:#}", device.path, device.name)?;
    if device.instance > 0 {
        write!(out, " instance {}", device.instance)?;
    }
    writeln!(out, "  {}, {DIM}{} at {:#x}{DIM:#}", device.title, bytes(device.bytes), device.offset)?;
    if let Some(error) = &device.error {
        return writeln!(
            out,
            "  {BAD}cannot be read: {}{BAD:#} {} at {:#x}: {}",
            error.code, error.path, error.offset, error.message
        );
    }
    match &device.loaded {
        Some(loaded) => self::loaded(device.transport, loaded, out),
        None => Ok(()),
    }
}

fn loaded(transport: TransportKind, device: &LoadedDoc, out: &mut dyn Write) -> io::Result<()> {
    let label = |name: &str| format!("  {LABEL}{name:<10}{LABEL:#}");
    writeln!(out, "{}{}", label("transport"), self::transport(transport, device))?;
    let (style, status) = match (device.broken, device.disabled) {
        (true, _) => (BAD, "broken: "),
        (false, true) => (DOUBTFUL, "disabled: "),
        (false, false) => (anstyle::Style::new(), ""),
    };
    let names = match device.status.names.as_slice() {
        [] => "reset".to_owned(),
        names => names.join(" "),
    };
    writeln!(out, "{}{style}{status}{names}{style:#}  {DIM}isr {:#x}{DIM:#}", label("status"), device.isr)?;
    writeln!(out, "{}{}", label("features"), device.features.guest)?;
    let names: Vec<&str> = device.features.names.iter().map(String::as_str).collect();
    for line in wrap(&names) {
        writeln!(out, "{:12}{DIM}{line}{DIM:#}", "")?;
    }
    if let Some(reason) = &device.memory_unread {
        writeln!(out, "{}rings behind {} could not be read: {reason}", label("memory"), device.memory)?;
    } else if device.memory != "physical" {
        writeln!(out, "{}rings are read through {}", label("memory"), device.memory)?;
    }
    queues(&device.queues, out)?;
    if let Some(object) = device.state.as_object().filter(|object| !object.is_empty()) {
        writeln!(out, "  {LABEL}state{LABEL:#}")?;
        state::fields(object, 4, out)?;
    }
    findings(&device.findings, out)
}

/// What is special about the transport, in a line.
fn transport(kind: TransportKind, device: &LoadedDoc) -> String {
    let has = |name: &str| device.subsections.iter().any(|subsection| subsection == name);
    let form = if has("virtio/extra_state") && has("virtio/virtqueues") { "modern" } else { "legacy" };
    let byte_order = to_text(&serde_json::to_value(device.endianness).unwrap_or_default());
    let state = device.transport_state.get(to_text(&serde_json::to_value(kind).unwrap_or_default()));
    let detail = match kind {
        TransportKind::Pci => match state.and_then(|state| state.get("msix")?.get("table")?.as_array()) {
            Some(table) => format!(", MSI-X with {} vectors", table.len()),
            None => ", no MSI-X".to_owned(),
        },
        TransportKind::Ccw => {
            let revision = state.and_then(|state| state.get("revision")?.as_i64());
            return format!("ccw, revision {}, {byte_order}-endian", revision.unwrap_or_default());
        }
        TransportKind::Mmio => String::new(),
    };
    format!(
        "{}, {form}{detail}, {byte_order}-endian",
        to_text(&serde_json::to_value(kind).unwrap_or_default())
    )
}

fn to_text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Words in lines.
pub(super) fn wrap(words: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => line.extend([" ", word]),
            _ => lines.push((*word).to_owned()),
        }
    }
    lines
}

fn queues(queues: &[QueueDoc], out: &mut dyn Write) -> io::Result<()> {
    if queues.is_empty() {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let headings =
        ["#", "queue", "size", "desc", "avail", "used", "last_avail_idx", "used_idx", "in flight", "vector"];
    table.set_header(headings);
    let number = |value: Option<u64>| value.map_or_else(|| "—".to_owned(), |value| value.to_string());
    let last_used = queues.iter().rposition(|queue| queue.desc != "0x0").map_or(0, |at| at + 1);
    for queue in queues.iter().take(last_used) {
        let wrap = |bit: Option<bool>| bit.map_or("", |bit| if bit { " w1" } else { " w0" });
        table.add_row([
            queue.index.to_string(),
            queue.name.clone(),
            queue.size.to_string(),
            queue.desc.clone(),
            queue.avail.clone(),
            queue.used.clone(),
            format!("{}{}", queue.last_avail_idx, wrap(queue.wrap.as_ref().map(|wrap| wrap.avail))),
            format!(
                "{}{}",
                number(queue.used_idx.map(u64::from)),
                wrap(queue.wrap.as_ref().map(|wrap| wrap.used))
            ),
            number(queue.inuse.map(u64::from)),
            number(queue.vector.map(u64::from)),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 1));
        if index != 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if last_used > 0 {
        writeln!(out, "  {LABEL}queues{LABEL:#}")?;
        for line in table.lines() {
            writeln!(out, "   {}", line.trim_end())?;
        }
    }
    match queues.len() - last_used {
        0 => Ok(()),
        unused => {
            let sizes: Vec<_> = queues.iter().skip(last_used).map(|queue| queue.size).collect();
            let size = match (sizes.iter().min(), sizes.iter().max()) {
                (Some(min), Some(max)) if min != max => format!("{min} to {max}"),
                (Some(size), _) => size.to_string(),
                _ => String::new(),
            };
            writeln!(out, "    {DIM}{unused} not set up by the driver (size {size}){DIM:#}")
        }
    }
}

fn findings(findings: &[FindingDoc], out: &mut dyn Write) -> io::Result<()> {
    if findings.is_empty() {
        return writeln!(out, "  {LABEL}findings{LABEL:#}  {GOOD}none{GOOD:#}");
    }
    writeln!(out, "  {LABEL}findings{LABEL:#}")?;
    for finding in findings {
        let style = if finding.severity == Severity::Warning { DOUBTFUL } else { BAD };
        let effect = finding.severity.effect();
        writeln!(out, "    {style}{} {effect}{style:#}: {}", finding.code, finding.message)?;
    }
    Ok(())
}
