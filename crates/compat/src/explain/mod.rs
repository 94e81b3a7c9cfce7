//! What codes and QEMU's messages mean: a page for each code, and what a line that QEMU printed says.
//!
//! [`page`] has a code's page, [`explain`] takes what was pasted: each line that is known, with what its values
//! mean, the most telling first.

mod document;
mod message;
mod messages;
mod pages;
mod pci;
mod values;

use vmstate::Code;

pub use document::document;
pub use message::{Explanation, explain};
pub use pages::{Page, page, pages};

/// The code that a text is, if it is one: `VM0103`, `vm103`, `103`.
#[must_use]
pub fn code(text: &str) -> Option<Code> {
    let digits = text.trim_matches(|c: char| c.is_whitespace() || "[]:".contains(c));
    let digits = digits.strip_prefix("VM").or_else(|| digits.strip_prefix("vm")).unwrap_or(digits);
    let is_number =
        !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok().map(Code)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_codes() {
        for text in ["VM0103", "vm0103", "103", "[VM0103]", " VM103: "] {
            assert_eq!(code(text), Some(Code(103)), "{text}");
        }
        for text in ["", "VM", "VMX", "4 != 1", "12345"] {
            assert_eq!(code(text), None, "{text}");
        }
    }
}
