//! Descriptions of sections, and what two of them have different.

use std::collections::BTreeSet;
use std::io::{self, Write};

use compat::schema::{Difference, Effect, Field, Part, Section, Struct};

use super::style::{BAD, DIM, DOUBTFUL, GOOD, HEADING, LABEL};
use crate::verb::schema::Direction;

/// Sections, one after the other. What all virtio sections have is shown once.
pub(crate) fn sections(sections: &[Section], out: &mut dyn Write) -> io::Result<()> {
    let mut shown = BTreeSet::new();
    for (index, section) in sections.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let Section { name, version, minimum_version, title, unmigratable, parts } = section;
        write!(out, "{HEADING}{name}{HEADING:#}  {title}")?;
        match unmigratable {
            Some(why) => writeln!(out, ", {DOUBTFUL}not migrated{DOUBTFUL:#} {DIM}({why}){DIM:#}")?,
            None => writeln!(out, ", {DIM}{}{DIM:#}", versions(*version, *minimum_version))?,
        }
        for part in parts {
            self::part(part, &mut shown, out)?;
        }
    }
    Ok(())
}

fn part(part: &Part, shown: &mut BTreeSet<String>, out: &mut dyn Write) -> io::Result<()> {
    let Part { title, transport, shared, body } = part;
    write!(out, "  {LABEL}{title}{LABEL:#}")?;
    if let Some(transport) = transport {
        write!(out, " ({})", transport.name())?;
    }
    write!(out, "  {}", body.name)?;
    if *shared && !shown.insert(body.name.clone()) {
        return writeln!(out, "  {DIM}as above{DIM:#}");
    }
    if body.version > 1 {
        write!(out, "  {DIM}version {}{DIM:#}", body.version)?;
    }
    writeln!(out)?;
    structure(body, 4, out)
}

fn versions(version: u32, minimum: u32) -> String {
    match version - minimum.min(version) {
        0 => format!("version {version}"),
        _ => format!("version {version}, reads from {minimum}"),
    }
}

fn structure(body: &Struct, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    let width = |length: fn(&Field) -> usize| body.fields.iter().map(length).max().unwrap_or(0);
    let (names, types) = (width(|field| field.name.len()), width(|field| field.ty.chars().count()));
    for field in &body.fields {
        let Field { name, ty, since, when, max, doc, structs, .. } = field;
        write!(out, "{:indent$}{name:names$}  {DIM}{ty}{DIM:#}", "")?;
        if !doc.is_empty() {
            write!(out, "{:gap$}{doc}", "", gap = 2 + types - ty.chars().count())?;
        }
        if *since > 0 {
            write!(out, " {DIM}[since version {since}]{DIM:#}")?;
        }
        if let Some(when) = when {
            write!(out, " {DIM}[if {when}]{DIM:#}")?;
        }
        if let Some(max) = max {
            write!(out, " {DIM}[at most {max}]{DIM:#}")?;
        }
        writeln!(out)?;
        for inner in structs {
            structure(inner, indent + 4, out)?;
        }
    }
    for subsection in &body.subsections {
        let needed = subsection.needed.as_deref().unwrap_or_default();
        let (name, version) = (&subsection.name, subsection.version);
        writeln!(
            out,
            "{:indent$}{LABEL}subsection{LABEL:#} {name}  {DIM}version {version}{DIM:#}  {needed}",
            ""
        )?;
        structure(subsection, indent + 4, out)?;
    }
    Ok(())
}

/// Sections that are named, if they are not compared.
const MOST_NAMES: usize = 12;

/// What would break, in each direction.
pub(crate) fn directions(directions: &[Direction], out: &mut dyn Write) -> io::Result<()> {
    for (index, direction) in directions.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let Direction { from, to, comparison } = direction;
        writeln!(
            out,
            "{HEADING}{from} → {to}{HEADING:#}  {DIM}{} sections compared{DIM:#}",
            comparison.compared
        )?;
        for difference in &comparison.differences {
            self::difference(difference, out)?;
        }
        if comparison.is_safe() {
            writeln!(out, "  {GOOD}nothing would break{GOOD:#}")?;
        }
        match comparison.not_compared.len() {
            0 => {}
            1..=MOST_NAMES => {
                let names = comparison.not_compared.join(", ");
                writeln!(out, "  {DIM}not compared, since only one side describes them: {names}{DIM:#}")?;
            }
            count => writeln!(
                out,
                "  {DIM}not compared: {count} sections that only one side describes (--json has their names){DIM:#}"
            )?,
        }
    }
    Ok(())
}

fn difference(difference: &Difference, out: &mut dyn Write) -> io::Result<()> {
    let Difference { section, types, path, effect, reason } = difference;
    let (style, effect) = match effect {
        Effect::Breaks => (BAD, "breaks"),
        Effect::MayBreak => (DOUBTFUL, "may break"),
        Effect::Harmless => (DIM, "harmless"),
    };
    write!(out, "  {style}{effect:<9}{style:#} {section}")?;
    if types.iter().any(|name| name != section) {
        write!(out, " {DIM}({}){DIM:#}", types.join(", "))?;
    }
    if !path.is_empty() {
        write!(out, " › {path}")?;
    }
    writeln!(out, ": {reason}")
}
