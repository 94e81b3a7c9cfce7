//! Values that QEMU printed, put into words.

use std::collections::BTreeMap;

use virtio::companion::CompanionName;
use virtio::core::Features;
use virtio::device::DeviceType;

use super::pci;

/// Values by name.
pub(super) type Values = BTreeMap<String, String>;

/// Fills `{name}` and `{name|form}` in.
pub(super) fn fill(template: &str, values: &Values) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, (slot, after))) =
        rest.split_once('{').and_then(|(before, inside)| Some((before, inside.split_once('}')?)))
    {
        let (name, form) = slot.split_once('|').unwrap_or((slot, ""));
        let value = values.get(name).map_or("?", String::as_str);
        text.push_str(before);
        text.push_str(&in_words(value, form));
        rest = after;
    }
    text.push_str(rest);
    text
}

fn in_words(value: &str, form: &str) -> String {
    match (form, number(value)) {
        ("dec", Some(number)) => number.to_string(),
        ("bytes", Some(number)) => bytes(number),
        ("errno", _) => errno(value).to_owned(),
        ("title", _) => title(value),
        ("path", _) => value.rsplit_once('/').map_or_else(String::new, |(path, _)| format!(" at {path}")),
        _ => value.to_owned(),
    }
}

/// What a section is the state of.
fn title(name: &str) -> String {
    let device = DeviceType::of_section(section(name)).map(|device| device.title);
    let companion = || CompanionName::parse(name).map(|name| name.kind.title);
    device.or_else(companion).map_or_else(|| format!("device that writes `{}`", section(name)), str::to_owned)
}

/// A number as QEMU's `%d` and `0x%x` print it.
fn number(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

fn bytes(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|&(power, _)| count > 0 && count.trailing_zeros() >= power) {
        Some((power, unit)) => format!("{} {unit}", count >> power),
        None => format!("{count} bytes"),
    }
}

/// What an error number tells of a failed load.
fn errno(text: &str) -> &'static str {
    match text {
        "Invalid argument" => "something in the stream was refused",
        "Input/output error" => "the stream ended early, or a device read beyond the end of what was there",
        "Operation not permitted" => {
            "a device refused its state: this is the number -1, not about permissions"
        }
        "No such file or directory" => {
            "a subsection is not known to the destination: this is not about files"
        }
        "Operation not supported" | "Not supported" => {
            "the destination does not support something that the stream uses"
        }
        "Cannot allocate memory" => "the destination ran out of memory",
        _ => "the line before it says more, if there is one",
    }
}

/// The last part of a section's name.
pub(super) fn section(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, section)| section)
}

/// `guest` and `host` are sets of features: adds `missing` with `names`.
pub(super) fn features(values: &mut Values, device: Option<&'static DeviceType>) {
    let set = |name: &str| {
        let digits = values.get(name)?.strip_prefix("0x")?;
        u128::from_str_radix(digits, 16).ok().map(Features)
    };
    let (Some(guest), Some(host)) = (set("guest"), set("host")) else { return };
    let missing = guest.without(host);
    let names = missing.names(device.map_or(&[], |device| device.features)).join(", ");
    let unnamed = device.is_none() && names.contains("BIT_");
    let names = match (names.is_empty(), unnamed) {
        (true, _) => {
            "none that the line shows. QEMU 11.1 prints what it kept of the features, without those that it \
                      refused: `vmig check` names them"
                .to_owned()
        }
        (false, false) => names,
        (false, true) => {
            format!("{names}; what a BIT is depends on the device: name it with --device virtio-net, say")
        }
    };
    values.insert("missing".to_owned(), missing.to_string());
    values.insert("names".to_owned(), names);
}

/// `offset`, `read` and `local` are hexadecimal: adds `register`, `cause` and, for vectors, their numbers.
pub(super) fn config(values: &mut Values, _: Option<&'static DeviceType>) {
    let hexadecimal = |name: &str| usize::from_str_radix(values.get(name)?, 16).ok();
    let (Some(offset), Some(read), Some(local)) =
        (hexadecimal("offset"), hexadecimal("read"), hexadecimal("local"))
    else {
        return;
    };
    let (register, cause) = pci::register(offset);
    let register = match offset {
        0x9a => {
            format!("{register}, {} vectors in the stream and {} at the destination", read + 1, local + 1)
        }
        _ => register,
    };
    values.insert("register".to_owned(), register);
    values.insert("cause".to_owned(), cause.to_owned());
}

/// `read` and `local` are of a value that both sides must have.
pub(super) fn nothing(_: &mut Values, _: Option<&'static DeviceType>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in() {
        let values = [("a", "0x20000"), ("b", "7"), ("s", "0000:00:03.0/virtio-net")];
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(fill("{a|bytes}, {a|dec}, {b}; {c} {", &values), "128 KiB, 131072, 7; ? {");
        assert_eq!(fill("the {s|title}{s|path}", &values), "the network device at 0000:00:03.0");
    }

    #[test]
    fn bytes_are_exact() {
        assert_eq!(
            (bytes(0), bytes(1 << 30), bytes(1025)),
            ("0 bytes".into(), "1 GiB".into(), "1025 bytes".into())
        );
    }
}
