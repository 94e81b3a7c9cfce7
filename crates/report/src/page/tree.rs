//! Any state as a tree: values beside one another, what is nested folded, lists of like things as tables.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::text::{Text, bytes, count};
use crate::buffer;

/// Values shown of one state.
const MOST: usize = 1500;
/// Rows of a table, and elements of a list.
const ROWS: usize = 64;
/// Characters of a long text.
const CHARACTERS: usize = 384;
/// Bytes of a buffer.
const BYTES: usize = 256;
/// Bytes of a buffer that is shown in its place, not folded.
const FEW_BYTES: usize = 64;
/// Zeros at a buffer's end that are counted, not shown.
const ZEROS: usize = 16;
/// The most that is not folded, of what [`weight`] counts.
const UNFOLDED: usize = 24;
/// How deep what is nested is followed.
const DEPTH: usize = 24;

/// Shows state.
pub(super) fn tree(state: &Value) -> Markup {
    Tree { left: MOST }.fields(state, 0)
}

/// One value in a few words, for a table.
pub(super) fn brief(value: &Value) -> Markup {
    match value {
        Value::Object(_) | Value::Array(_) => {
            let text = value.to_string();
            html! { code { (Text(&cut(&text, 240))) } }
        }
        scalar => self::scalar(scalar, 128, FEW_BYTES),
    }
}

struct Tree {
    /// Values that may still be shown.
    left: usize,
}

impl Tree {
    fn fields(&mut self, value: &Value, depth: usize) -> Markup {
        match value {
            Value::Object(object) if !object.is_empty() => self.object(object, depth),
            Value::Array(elements) if !elements.is_empty() => self.array(elements, depth),
            Value::Object(_) | Value::Array(_) => html! { p.note { "nothing" } },
            scalar => html! { p.element { (self::scalar(scalar, CHARACTERS, BYTES)) } },
        }
    }

    fn object(&mut self, object: &Map<String, Value>, depth: usize) -> Markup {
        let (flat, nested): (Vec<_>, Vec<_>) = object.iter().partition(|(_, value)| is_flat(value));
        let shown = flat.len().min(self.left);
        self.left -= shown;
        html! {
            @if !flat.is_empty() {
                dl.fields {
                    @for (name, value) in flat.iter().take(shown) {
                        div.long[is_long(value)] { dt { (Text(name)) } dd { (self::flat(value)) } }
                    }
                }
            }
            @for (name, value) in nested { (self.nested(name, value, depth)) }
            @if shown < flat.len() { (more()) }
        }
    }

    fn nested(&mut self, name: &str, value: &Value, depth: usize) -> Markup {
        if self.left == 0 || depth > DEPTH {
            return html! { p.note { (Text(name)) " …" } };
        }
        self.left -= 1;
        let size = match value {
            Value::Array(elements) => count(elements.len(), "entry", "entries"),
            Value::String(text) => bytes(text.len() as u64 / 2),
            _ => String::new(),
        };
        html! {
            details.nested open[is_small(value)] {
                summary { (Text(name)) " " small { (size) } }
                (self.fields(value, depth + 1))
            }
        }
    }

    fn array(&mut self, elements: &[Value], depth: usize) -> Markup {
        let shown = elements.len().min(ROWS).min(self.left);
        let elements_shown = elements.iter().take(shown);
        html! {
            @if let Some(columns) = columns(elements) {
                ({ self.left -= shown; table(&columns, elements_shown) })
            } @else {
                @for (index, element) in elements_shown.enumerate() {
                    @if is_flat(element) {
                        ({ self.left = self.left.saturating_sub(1); html! { p.element { small { "[" (index) "] " } (flat(element)) } } })
                    } @else {
                        (self.nested(&format!("[{index}]"), element, depth))
                    }
                }
            }
            @if shown < elements.len() { p.note { "… " (elements.len() - shown) " more, which vmig inspect --json shows" } }
        }
    }
}

fn more() -> Markup {
    html! { p.note { "… more, which vmig inspect --json shows" } }
}

/// The names of the fields, if the elements are all objects with the same few flat ones.
fn columns(elements: &[Value]) -> Option<Vec<&String>> {
    let first: Vec<_> = elements.first()?.as_object()?.keys().collect();
    let like_first = |element: &Value| {
        element.as_object().is_some_and(|object| {
            object.len() == first.len()
                && object
                    .iter()
                    .zip(&first)
                    .all(|((name, value), &other)| name == other && is_flat(value) && !is_long(value))
        })
    };
    (!first.is_empty() && first.len() <= 12 && elements.iter().take(ROWS).all(like_first)).then_some(first)
}

fn table<'a>(columns: &[&String], elements: impl Iterator<Item = &'a Value>) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "#" } @for name in columns { th { (Text(name)) } } } }
                tbody {
                    @for (index, element) in elements.enumerate() {
                        tr {
                            td { (index) }
                            @for value in element.as_object().into_iter().flat_map(Map::values) { td { (flat(value)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Whether what is nested is little enough not to be folded.
fn is_small(value: &Value) -> bool {
    weight(value) <= UNFOLDED
}

/// Lines that a value takes, about.
fn weight(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.values().map(weight).sum(),
        Value::Array(elements) if columns(elements).is_some() => elements.len(),
        Value::Array(elements) => elements.iter().map(weight).sum(),
        Value::String(text) => 1 + text.len() / FEW_BYTES * 4,
        _ => 1,
    }
}

/// Whether a value is shown in its place, not below.
fn is_flat(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.len() <= 4 && object.values().all(is_short),
        Value::Array(elements) => {
            elements.iter().all(|element| !element.is_object() && !element.is_array() && is_flat(element))
        }
        Value::String(text) => {
            text.len() <= 2 * FEW_BYTES || said(text).is_some() || buffer::bytes(text).is_none()
        }
        _ => true,
    }
}

/// Whether a value is a word or two.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) => false,
        Value::String(text) => text.len() <= 24,
        _ => true,
    }
}

/// Whether a value takes a line of its own.
fn is_long(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().count() > 48 && said(text).is_none(),
        Value::Array(elements) => elements.len() > 8,
        _ => false,
    }
}

fn flat(value: &Value) -> Markup {
    match value {
        Value::Array(elements) if elements.is_empty() => html! { span.none { "—" } },
        Value::Array(elements) => html! {
            @for (index, element) in elements.iter().take(ROWS).enumerate() {
                @if index > 0 { " " }
                span.item { (scalar(element, 64, ZEROS)) }
            }
            @if elements.len() > ROWS { " … " (elements.len() - ROWS) " more" }
        },
        Value::Object(object) if object.is_empty() => html! { span.none { "—" } },
        Value::Object(object) => html! {
            @for (name, value) in object {
                span.item { small { (Text(name)) } " " (scalar(value, CHARACTERS, BYTES)) } " "
            }
        },
        value => scalar(value, CHARACTERS, BYTES),
    }
}

fn scalar(value: &Value, most: usize, most_bytes: usize) -> Markup {
    match value {
        Value::Null => html! { span.none { "—" } },
        Value::String(text) => match said(text) {
            Some(said) => html! { (Text(&said)) },
            None => match buffer::bytes(text) {
                Some(buffer) => html! { (digits(&buffer, most_bytes)) },
                None => html! { (Text(&cut(text, most))) },
            },
        },
        scalar => html! { (scalar.to_string()) },
    }
}

/// The start of long text, and how much is left out.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{} … {} more", text.get(..end).unwrap_or_default(), text.len() - end),
        None => text.to_owned(),
    }
}

/// A buffer in words of four bytes.
fn digits(buffer: &[u8], most: usize) -> String {
    let end = buffer.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1).next_multiple_of(4);
    let end = if buffer.len().saturating_sub(end) < ZEROS { buffer.len() } else { end };
    let words: Vec<_> = buffer.get(..end.min(most)).unwrap_or_default().chunks(4).map(hex::encode).collect();
    let rest = match buffer.len() - end.min(most) {
        0 => String::new(),
        rest if end <= most => format!(" … {rest} zero bytes"),
        rest => format!(" … {rest} bytes more"),
    };
    format!("{}{rest}", words.join(" "))
}

/// What a buffer in hexadecimal holds, if that can be said in words: one byte over and over, or text.
fn said(text: &str) -> Option<String> {
    let buffer = buffer::bytes(text)?;
    match buffer::repeated(&buffer) {
        Some(byte) => Some(format!("{}, all {byte:#04x}", bytes(buffer.len() as u64))),
        None => Some(format!("\"{}\"", buffer::text(&buffer)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn buffers_are_said_in_words() {
        assert_eq!(said(&"00".repeat(512)).as_deref(), Some("512 bytes, all 0x00"));
        assert_eq!(said("7669727469302e30300000").as_deref(), Some("\"virti0.00\""));
        assert_eq!(said("525400123456010152540012"), None);
        assert_eq!(said("0x2808000"), None);
    }

    #[test]
    fn zeros_at_the_end_of_a_buffer_are_counted() {
        let mut buffer = vec![0x12, 0x34, 0x56, 0x78, 0x9a];
        buffer.resize(40, 0);
        assert_eq!(digits(&buffer, 256), "12345678 9a000000 … 32 zero bytes");
        assert_eq!(digits(&buffer, 4), "12345678 … 36 bytes more");
        assert_eq!(digits(&[1; 5], 256), "01010101 01");
    }

    #[test]
    fn like_things_are_a_table() {
        let page = tree(&json!({"table": [{"address": "0x1", "data": 4}, {"address": "0x2", "data": 5}]}))
            .into_string();
        assert!(page.contains("<th>address</th><th>data</th>"), "{page}");
        let page = tree(&json!({"ports": [{"id": 0}, {"id": 1, "elem": {"x": 1}}]})).into_string();
        assert!(!page.contains("<table>") && page.contains("elem"), "{page}");
    }

    #[test]
    fn huge_state_is_cut() {
        let wide: Map<String, Value> = (0..100_000).map(|at| (format!("field{at}"), at.into())).collect();
        let page = tree(&Value::Object(wide)).into_string();
        assert!(page.len() < 150_000 && page.contains("more, which"), "{}", page.len());
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!({"x": {"y": deep}});
        }
        assert!(tree(&deep).into_string().matches("<details").count() <= DEPTH + 1);
    }
}
