//! Pages of codes, and what QEMU's lines mean.

use std::io::{self, Write};

use compat::defect::Defect;
use compat::explain::{Explanation, Page};

use super::device::wrap;
use super::style::{DIM, DOUBTFUL, HEADING, LABEL};

/// All codes, a line each.
pub(crate) fn codes<'a>(pages: impl Iterator<Item = &'a Page>, out: &mut dyn Write) -> io::Result<()> {
    for Page { code, title, .. } in pages {
        writeln!(out, "{LABEL}{code}{LABEL:#}  {title}")?;
    }
    Ok(())
}

/// Pages, one after the other.
pub(crate) fn pages<'a>(pages: impl Iterator<Item = &'a Page>, out: &mut dyn Write) -> io::Result<()> {
    for (index, page) in pages.enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        self::page(page, out)?;
    }
    Ok(())
}

fn page(page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let Page { code, title, meaning, cause, qemu, remedy, example } = page;
    writeln!(out, "{HEADING}{code}  {title}{HEADING:#}")?;
    paragraph("", meaning, out)?;
    paragraph("cause", cause, out)?;
    paragraph("QEMU says", qemu, out)?;
    paragraph("remedy", remedy, out)?;
    for Defect { name, releases, .. } in page.defects() {
        paragraph("defect", &format!("of QEMU {releases}: vmig explain {name}"), out)?;
    }
    paragraph("example", example, out)
}

/// Known defects, one after the other.
pub(crate) fn defects(defects: &[&Defect], out: &mut dyn Write) -> io::Result<()> {
    for (index, defect) in defects.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{HEADING}{}{HEADING:#}  of QEMU {}", defect.name, defect.releases)?;
        paragraph("", defect.what, out)?;
        paragraph("remedy", defect.remedy, out)?;
        let codes: Vec<_> = defect.codes.iter().map(ToString::to_string).collect();
        paragraph("codes", &codes.join(", "), out)?;
        paragraph("source", defect.source, out)?;
    }
    Ok(())
}

/// What QEMU's lines mean, the most telling first.
pub(crate) fn messages(messages: &[Explanation], out: &mut dyn Write) -> io::Result<()> {
    if messages.is_empty() {
        return writeln!(
            out,
            "{DOUBTFUL}nothing is known about this{DOUBTFUL:#}; QEMU's lines are known as it prints them"
        );
    }
    for (index, message) in messages.iter().enumerate() {
        let Explanation { line, code, says, remedy, .. } = message;
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{DIM}{line}{DIM:#}")?;
        paragraph("means", says, out)?;
        paragraph("remedy", remedy, out)?;
        if let Some(code) = code {
            paragraph("more", &format!("vmig explain {code}"), out)?;
        }
    }
    Ok(())
}

/// A text with a label beside its first line; nothing if it is empty.
fn paragraph(label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let words: Vec<_> = text.split_whitespace().collect();
    for (index, line) in wrap(&words).iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        writeln!(out, "  {LABEL}{label:<10}{LABEL:#}{line}")?;
    }
    Ok(())
}
