//! Guest addresses in JSON: `"0x…"` strings, for `#[serde(with = "crate::address")]`.

use serde::{Deserialize, Deserializer, Serializer};

/// Writes an address.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize<S: Serializer>(address: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{address:#x}"))
}

/// Reads an address.
///
/// # Errors
/// If it is no hexadecimal number after `0x`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.strip_prefix("0x").unwrap_or_default();
    u64::from_str_radix(digits, 16).map_err(|_| {
        serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &"an address, as 0x1000")
    })
}
