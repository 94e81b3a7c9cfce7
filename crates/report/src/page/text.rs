//! Text for the page: what comes from a stream, numbers of bytes, shares.

use humansize::{BINARY, format_size};
use maud::{Markup, Render, html};

/// Characters shown of one piece of text.
const MOST: usize = 1024;

/// Text that may be anything. Markup in it is escaped, and so is what would be invisible or turn the text
/// around; of a long one the start is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Render for Text<'_> {
    fn render_to(&self, out: &mut String) {
        let mut plain = String::with_capacity(self.0.len().min(MOST));
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(MOST) {
            if is_hidden(character) {
                plain.extend(character.escape_unicode());
            } else {
                plain.push(character);
            }
        }
        if characters.next().is_some() {
            plain.push('…');
        }
        plain.render_to(out);
    }
}

/// Control characters, and format characters that have no shape (Unicode: bidirectional controls, joiners).
fn is_hidden(character: char) -> bool {
    let is_format = matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    character.is_control() || is_format
}

/// A sentence in which code stands between backticks, as messages have it.
pub(super) fn prose(text: &str) -> Markup {
    let is_even = text.matches('`').count().is_multiple_of(2);
    html! {
        @if is_even {
            @for (index, part) in text.split('`').enumerate() {
                @if index % 2 == 1 { code { (Text(part)) } } @else { (Text(part)) }
            }
        } @else {
            (Text(text))
        }
    }
}

/// A number of bytes, for people.
pub(super) fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        0..10_240 => format!("{count} bytes"),
        _ => format_size(count, BINARY),
    }
}

/// A share in percent, as CSS and SVG take it.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A number with its noun.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_stream_is_markup() {
        let hostile = "</style><script>alert(1)</script>\" onload='x' \u{202e}gpj.\u{0}";
        let shown = Text(hostile).render().into_string();
        assert!(!shown.contains(['<', '>', '"', '\u{202e}', '\u{0}']), "{shown}");
        assert!(shown.ends_with(r"\u{202e}gpj.\u{0}"), "{shown}");
    }

    #[test]
    fn code_in_a_sentence_is_code() {
        assert_eq!(
            prose("expected `a<b`, found `c`").into_string(),
            "expected <code>a&lt;b</code>, found <code>c</code>"
        );
        assert_eq!(prose("a ` alone").into_string(), "a ` alone");
    }

    #[test]
    fn long_text_is_cut() {
        let shown = Text(&"ä".repeat(MOST + 1)).render().into_string();
        assert_eq!(shown.chars().count(), MOST + 1);
        assert!(shown.ends_with('…'));
    }
}
