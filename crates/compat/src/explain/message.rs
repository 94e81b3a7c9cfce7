//! Takes apart what QEMU printed.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Serialize, Serializer};
use virtio::device::DeviceType;
use vmstate::Code;

use super::messages::{MESSAGES, Message};
use super::values::{Values, fill, section};
use super::{Page, page};

/// What a line of QEMU's means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The line.
    pub line: String,
    /// The code of what it is about, if that has one.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What it says, with its values.
    pub says: String,
    /// What to do.
    pub remedy: String,
    /// The values, those that were printed and those that follow from them.
    pub values: Values,
}

#[expect(clippy::ref_option, reason = "serde wants it so")]
fn as_text<S: Serializer>(code: &Option<Code>, serializer: S) -> Result<S::Ok, S::Error> {
    match code {
        Some(code) => serializer.collect_str(code),
        None => serializer.serialize_none(),
    }
}

/// The table, ready to be used.
static PATTERNS: LazyLock<Vec<(&Message, Regex)>> = LazyLock::new(|| {
    // That each can be compiled is tested.
    MESSAGES.iter().filter_map(|message| Some((message, Regex::new(message.pattern).ok()?))).collect()
});

/// Explains what was pasted: the lines that are known, the most telling first; each once.
///
/// `device` names feature bits. Without it, they are those of the device that another of the lines names.
#[must_use]
pub fn explain(text: &str, device: Option<&'static DeviceType>) -> Vec<Explanation> {
    let mut found: Vec<(usize, Explanation)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for (rank, message, values) in known(line) {
            let explanation = message.explain(line, values, device.or_else(|| device_in(text)));
            if !found.iter().any(|(_, seen)| seen.says == explanation.says) {
                found.push((rank, explanation));
            }
        }
    }
    found.sort_by_key(|&(rank, _)| rank);
    found.into_iter().map(|(_, explanation)| explanation).collect()
}

/// The messages in a line, with their rank and values. Newer QEMUs print the whole chain of a failure in one
/// line; of several patterns for the same words the most telling one counts.
fn known(line: &str) -> Vec<(usize, &'static Message, Values)> {
    let mut taken: Vec<Range<usize>> = Vec::new();
    let mut known = Vec::new();
    for (rank, (message, pattern)) in PATTERNS.iter().enumerate() {
        let Some(captures) = pattern.captures(line) else { continue };
        let Some(place) = captures.get(0).map(|whole| whole.range()) else { continue };
        if taken.iter().any(|other| other.start < place.end && place.start < other.end) {
            continue;
        }
        taken.push(place);
        let named = pattern.capture_names().flatten();
        let values =
            named.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned())));
        known.push((rank, *message, values.collect()));
    }
    known
}

/// The device that a text speaks of.
fn device_in(text: &str) -> Option<&'static DeviceType> {
    let mut words = text.split(|c: char| c.is_whitespace() || "'\",;()".contains(c));
    words.find_map(|word| {
        let name = section(word);
        DeviceType::of_section(name.split(':').next().unwrap_or(name))
    })
}

impl Message {
    fn explain(&self, line: &str, mut values: Values, device: Option<&'static DeviceType>) -> Explanation {
        (self.derive)(&mut values, device);
        let page: Option<&Page> = self.code.map(Code).and_then(page);
        let remedy = match (self.remedy, page) {
            ("", Some(page)) => page.remedy.to_owned(),
            (remedy, _) => fill(remedy, &values),
        };
        Explanation {
            line: line.to_owned(),
            code: page.map(|page| page.code),
            says: fill(self.says, &values),
            remedy,
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one_and_every_slot_has_a_value() {
        assert_eq!(PATTERNS.len(), MESSAGES.len());
        for (message, pattern) in PATTERNS.iter() {
            assert!(message.code.is_none_or(|code| page(Code(code)).is_some()), "{}", message.pattern);
            assert!(message.code.is_some() || !message.remedy.is_empty(), "{}", message.pattern);
            let mut values: Values =
                pattern.capture_names().flatten().map(|name| (name.to_owned(), "0x1".to_owned())).collect();
            for name in ["offset", "read", "local"] {
                values.entry(name.to_owned()).and_modify(|value| *value = "1".to_owned());
            }
            (message.derive)(&mut values, None);
            for text in [message.says, message.remedy] {
                for slot in text.split('{').skip(1) {
                    let name = slot.split(['}', '|']).next().unwrap();
                    assert!(values.contains_key(name), "{name} in {text}");
                }
            }
        }
    }
}
