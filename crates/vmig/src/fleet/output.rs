//! The rows of a fleet as a table for people, as JSON, and as Parquet.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use comfy_table::{CellAlignment, Table, presets};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RecordWriter;
use serde::Serialize;
use serde_json::{Map, Value};

use super::row::{NO_STREAM, Row};
use super::summary::Summary;
use crate::output::write_json;
use crate::render::style::bytes;

/// Rows that are written together.
const ROW_GROUP: usize = 4096;

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    rows: &'a [Row],
    summary: &'a Summary,
}

/// Writes one JSON object.
pub(super) fn json(rows: &[Row], summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    write_json(&Document { rows, summary }, out)
}

/// Writes a row as a line of JSON; it goes out at once.
pub(super) fn json_line(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, row)?;
    writeln!(out)?;
    out.flush()
}

/// Writes a table of guests for people.
pub(super) fn table(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    for row in rows.iter().filter(|row| row.verdict != NO_STREAM) {
        let Value::Object(row) = serde_json::to_value(row)? else { continue };
        if table.header().is_none() {
            head(&row, &mut table);
        }
        table.add_row(row.iter().map(|(name, value)| cell(name, value)));
    }
    if table.is_empty() { Ok(()) } else { writeln!(out, "{}\n", table.trim_fmt()) }
}

/// Names the columns, and sets numbers to the right.
fn head(row: &Map<String, Value>, table: &mut Table) {
    table.set_header(row.keys().map(|name| name.trim_end_matches("_bytes")));
    for (column, value) in table.column_iter_mut().zip(row.values()) {
        column.set_padding((0, 2));
        if value.is_number() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // Names are whatever somebody chose, and a terminal obeys.
        Value::String(text) => text.replace(char::is_control, "\u{fffd}"),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(count), _) if name.ends_with("_bytes") => bytes(count),
            (None, Some(fraction)) => format!("{fraction:.3}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// A Parquet file while rows come.
pub(super) struct ParquetRows<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    gathered: Vec<Row>,
}

impl<W: Write + Send> ParquetRows<W> {
    /// Begins a file.
    pub(super) fn new(out: W) -> io::Result<Self> {
        let rows: &[Row] = &[];
        let schema = rows.schema().map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY);
        let writer = SerializedFileWriter::new(out, schema, Arc::new(properties.build())).map_err(failed)?;
        Ok(Self { writer, gathered: Vec::new() })
    }

    /// Takes a row.
    pub(super) fn add(&mut self, row: Row) -> io::Result<()> {
        self.gathered.push(row);
        if self.gathered.len() < ROW_GROUP { Ok(()) } else { self.write().map_err(failed) }
    }

    fn write(&mut self) -> Result<(), ParquetError> {
        let rows = mem::take(&mut self.gathered);
        let mut group = self.writer.next_row_group()?;
        rows.as_slice().write_to_row_group(&mut group)?;
        group.close().map(|_| ())
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.write().map_err(failed)?;
        }
        self.writer.close().map(|_| ()).map_err(failed)
    }
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}
