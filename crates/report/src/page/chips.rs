//! Names as chips: features, status bits, subsections.

use maud::{Markup, html};

use super::text::Text;
use crate::document::FeaturesDoc;

/// Feature bits that belong to rings and transport (virtio 1.3 §2.2); the others are the device type's.
const RESERVED: std::ops::RangeInclusive<u32> = 24..=49;

/// A set of features, the device type's apart from those of rings and transport.
pub(super) fn features(features: &FeaturesDoc) -> Markup {
    let all = named(features);
    html! {
        ul.chips {
            @for (bit, name) in &all { (feature(*bit, name, "")) }
            @if all.is_empty() { li.none { "none" } }
        }
    }
}

/// What one set has and the other does not, and what both have.
pub(super) fn changed_features(a: &FeaturesDoc, b: &FeaturesDoc) -> Markup {
    let (a, b) = (named(a), named(b));
    let lost = a.iter().filter(|feature| !b.contains(feature));
    let gained = b.iter().filter(|feature| !a.contains(feature));
    let both = a.iter().filter(|feature| b.contains(feature));
    html! {
        ul.chips {
            @for (bit, name) in lost { (feature(*bit, name, "lost")) }
            @for (bit, name) in gained { (feature(*bit, name, "gained")) }
            @for (bit, name) in both { (feature(*bit, name, "same")) }
        }
    }
}

/// Words.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>, none: &str) -> Markup {
    let mut names = names.peekable();
    html! {
        ul.chips {
            @if names.peek().is_none() { li.none { (none) } }
            @for name in names { li { (Text(name)) } }
        }
    }
}

fn feature(bit: u32, name: &str, change: &str) -> Markup {
    let layer = if RESERVED.contains(&bit) { "reserved" } else { "of-device" };
    html! {
        li.(layer).(change) title={ "bit " (bit) } {
            @match change { "lost" => "− ", "gained" => "+ ", _ => "" }
            (Text(name))
        }
    }
}

/// Each bit with its name.
fn named(features: &FeaturesDoc) -> Vec<(u32, &str)> {
    let digits = features.guest.trim_start_matches("0x");
    let set = u128::from_str_radix(digits, 16).unwrap_or_default();
    let bits = (0..u128::BITS).filter(|bit| set >> bit & 1 == 1);
    bits.zip(features.names.iter().map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(guest: &str, names: &[&str]) -> FeaturesDoc {
        FeaturesDoc { guest: guest.into(), names: names.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn changes_are_marked() {
        let a = set("0x100000021", &["CSUM", "MAC", "VERSION_1"]);
        let b = set("0x400000021", &["CSUM", "MAC", "RING_PACKED"]);
        let page = changed_features(&a, &b).into_string();
        assert!(page.contains(r#"<li class="reserved lost" title="bit 32">− VERSION_1</li>"#), "{page}");
        assert!(page.contains(r#"<li class="reserved gained" title="bit 34">+ RING_PACKED</li>"#), "{page}");
        assert!(page.contains(r#"<li class="of-device same" title="bit 0">CSUM</li>"#), "{page}");
    }
}
