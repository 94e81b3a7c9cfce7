//! The stream's head, and its sections.

use std::io::{self, Write};

use report::document::{Document, SectionDoc, StreamDoc};

use super::state;
use super::style::{BAD, DIM, HEADING, LABEL, bytes};

/// Writes what the stream is: machine, RAM, how many sections.
pub(crate) fn stream(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let stream = &document.stream;
    let machine = stream.machine.as_deref().unwrap_or("not named");
    writeln!(out, "{LABEL}machine{LABEL:#}   {HEADING}{machine}{HEADING:#}")?;
    write!(out, "{LABEL}stream{LABEL:#}    version {}, {}", stream.version, bytes(stream.bytes))?;
    if stream.container != "raw" {
        write!(out, ", {} container", stream.container)?;
    }
    if stream.trailing > 0 {
        write!(out, ", then {} that belong to no stream", bytes(stream.trailing))?;
    }
    writeln!(out)?;
    container(stream, out)?;
    if let Some(ram) = &document.ram {
        let total = ram.blocks.iter().map(|block| block.bytes).sum();
        let pages = &ram.pages;
        write!(out, "{LABEL}RAM{LABEL:#}       {} in {} blocks; ", bytes(total), ram.blocks.len())?;
        write!(out, "{} pages with content, {} zero", pages.normal, pages.zero)?;
        if pages.xbzrle > 0 {
            write!(out, ", {} XBZRLE", pages.xbzrle)?;
        }
        writeln!(out)?;
        for block in &ram.blocks {
            writeln!(out, "          {:<44} {DIM}{}{DIM:#}", block.name, bytes(block.bytes))?;
        }
    }
    let sections = document.sections.len();
    let devices = document.devices_total;
    writeln!(out, "{LABEL}sections{LABEL:#}  {sections}, of which {devices} are virtio devices")
}

/// Writes what is known of the guest from what its stream was found in.
fn container(stream: &StreamDoc, out: &mut dyn Write) -> io::Result<()> {
    if let Some(domain) = &stream.domain {
        let name = domain.name.as_deref().unwrap_or("not named").escape_debug();
        write!(out, "{LABEL}domain{LABEL:#}    {HEADING}{name}{HEADING:#}")?;
        if let Some(uuid) = &domain.uuid {
            write!(out, ", {}", uuid.escape_debug())?;
        }
        writeln!(out, ", {} when it was saved", if domain.was_running { "running" } else { "paused" })?;
    }
    if let Some(snapshot) = &stream.snapshot {
        let (id, name) = (snapshot.id.escape_debug(), snapshot.name.escape_debug());
        writeln!(out, "{LABEL}snapshot{LABEL:#}  {HEADING}{name}{HEADING:#}, id {id}, {}", snapshot.date)?;
    }
    Ok(())
}

/// Writes the sections whose state was asked for.
pub(crate) fn sections(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    for section in
        document.sections.iter().filter(|section| section.state.is_some() || section.error.is_some())
    {
        writeln!(out)?;
        self::section(section, out)?;
    }
    Ok(())
}

fn section(section: &SectionDoc, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{HEADING}{}{HEADING:#}", section.name)?;
    if section.instance > 0 {
        write!(out, " instance {}", section.instance)?;
    }
    let SectionDoc { id, version, offset, .. } = section;
    let size = bytes(section.bytes);
    writeln!(out, "  {DIM}section {id}, version {version}, {size} at {offset:#x}{DIM:#}")?;
    if let Some(error) = &section.error {
        writeln!(
            out,
            "  {BAD}{} {}{BAD:#} at {:#x}: {}",
            error.code, error.path, error.offset, error.message
        )?;
    }
    match &section.state {
        Some(serde_json::Value::Object(object)) => state::fields(object, 2, out),
        _ => Ok(()),
    }
}
