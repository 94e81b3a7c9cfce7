//! Any state as a tree: scalars on one line, what is nested below.

use std::io::{self, Write};

use report::buffer;
use serde_json::{Map, Value};

use super::style::{DIM, LABEL};

/// Columns a line of scalars may take.
const WIDTH: usize = 96;
/// Lines that a buffer may take.
const LINES: usize = 6;

/// Writes an object's fields, indented. What belongs together in one line of its own is not put beside others.
pub(crate) fn fields(object: &Map<String, Value>, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    let (inline, nested): (Vec<_>, Vec<_>) = object
        .iter()
        .map(|(name, value)| (name, value, one_line(value)))
        .partition(|(_, value, line)| line.is_some() && !value.is_object());
    let mut column = 0;
    for (name, _, line) in inline {
        let line = line.unwrap_or_default();
        let width = name.chars().count() + 1 + line.chars().count();
        match column {
            0 => write!(out, "{:indent$}", "")?,
            _ if column + 2 + width > WIDTH => {
                column = 0;
                write!(out, "\n{:indent$}", "")?;
            }
            _ => write!(out, "  ")?,
        }
        column += 2 + width;
        write!(out, "{LABEL}{name}{LABEL:#} {line}")?;
    }
    if column > 0 {
        writeln!(out)?;
    }
    for (name, value, line) in nested {
        match line {
            Some(line) => writeln!(out, "{:indent$}{LABEL}{name}{LABEL:#} {line}", "")?,
            None => {
                writeln!(out, "{:indent$}{LABEL}{name}{LABEL:#}", "")?;
                self::value(value, indent + 2, out)?;
            }
        }
    }
    Ok(())
}

fn value(value: &Value, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    match value {
        Value::Object(object) => fields(object, indent, out),
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                match one_line(element) {
                    Some(line) => writeln!(out, "{:indent$}{DIM}[{index}]{DIM:#} {line}", "")?,
                    None => {
                        writeln!(out, "{:indent$}{DIM}[{index}]{DIM:#}", "")?;
                        self::value(element, indent + 2, out)?;
                    }
                }
            }
            Ok(())
        }
        Value::String(text) => wrapped(text, indent, out),
        scalar => writeln!(out, "{:indent$}{scalar}", ""),
    }
}

/// Long text, or a buffer in hexadecimal with what repeats left out.
fn wrapped(text: &str, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    let bytes = buffer::bytes(text).unwrap_or_default();
    if let Some(byte) = buffer::repeated(&bytes) {
        return writeln!(out, "{:indent$}{DIM}{} bytes, all {byte:#04x}{DIM:#}", "", bytes.len());
    }
    let zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
    let shown = if zeros * 2 > WIDTH { text.len() - zeros * 2 } else { text.len() };
    let characters: Vec<char> = text.chars().take(shown).collect();
    for line in characters.chunks(WIDTH).take(LINES) {
        writeln!(out, "{:indent$}{}", "", line.iter().collect::<String>())?;
    }
    let more = characters.len().saturating_sub(WIDTH * LINES) / 2;
    if more > 0 {
        writeln!(out, "{:indent$}{DIM}… {more} bytes more, which --json shows{DIM:#}", "")?;
    }
    if shown < text.len() {
        writeln!(out, "{:indent$}{DIM}… {zeros} zero bytes{DIM:#}", "")?;
    }
    Ok(())
}

/// A value in one line, if it fits.
fn one_line(value: &Value) -> Option<String> {
    let line = match value {
        Value::Null => "—".to_owned(),
        Value::String(text) => readable(text),
        Value::Array(elements) => {
            let elements: Option<Vec<_>> = elements.iter().map(scalar).collect();
            format!("[{}]", elements?.join(", "))
        }
        Value::Object(object) if object.is_empty() => "—".to_owned(),
        Value::Object(object) => {
            let fields = object.iter().map(|(name, value)| Some(format!("{name} {}", scalar(value)?)));
            fields.collect::<Option<Vec<_>>>()?.join("  ")
        }
        scalar => scalar.to_string(),
    };
    (line.chars().count() <= WIDTH / 2).then_some(line)
}

/// A string, or what a buffer in hexadecimal says if that is text with zeros behind it.
fn readable(text: &str) -> String {
    let bytes = buffer::bytes(text).unwrap_or_default();
    buffer::text(&bytes).map_or_else(|| text.to_owned(), |said| format!("\"{said}\""))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Object(_) | Value::Array(_) => None,
        Value::String(text) => Some(text.clone()),
        scalar => Some(scalar.to_string()),
    }
}
