//! Where the time went, as a table.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::HumanBytes;
use migration::event::{DeviceTime, Summary};

/// Devices that are named; the others are told as one.
const NAMED: usize = 12;

/// Shows where the time went.
pub(super) fn show(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let Summary { progress, .. } = summary;
    writeln!(
        out,
        "{} in {}: {} pages, {} pages of zeros, {} sent again",
        HumanBytes(progress.bytes),
        time(summary.total),
        progress.normal,
        progress.zero,
        progress.again
    )?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let rows = [
        ("total", summary.total),
        ("downtime, as the stream shows it", summary.downtime),
        ("  last of RAM", summary.ram),
        ("  device state", summary.devices),
        ("  checks", summary.check),
        ("  until acknowledged", summary.acknowledgement),
    ];
    for (what, duration) in rows {
        table.add_row([what.to_owned(), time(duration)]);
    }
    let mut devices: Vec<&DeviceTime> = summary.device_times.iter().collect();
    devices.sort_by_key(|device| std::cmp::Reverse((device.transfer, device.bytes)));
    for device in devices.iter().take(NAMED) {
        let parts = [(device.save, "saved"), (device.load, "loaded")];
        let parts = parts.iter().filter_map(|(part, what)| Some(format!(", {what} in {}", time((*part)?))));
        let name = format!("    {} ({}){}", device.name, HumanBytes(device.bytes), parts.collect::<String>());
        table.add_row([name, time(device.transfer)]);
    }
    if let Some(others) = devices.get(NAMED..).filter(|others| !others.is_empty()) {
        let sum = others.iter().map(|device| device.transfer).sum();
        table.add_row([format!("    {} others", others.len()), time(sum)]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")
}

/// A time for people.
pub(crate) fn time(duration: Duration) -> String {
    match duration.as_millis() {
        0..10 => format!("{:.2} ms", duration.as_secs_f64() * 1e3),
        10..10_000 => format!("{} ms", duration.as_millis()),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
