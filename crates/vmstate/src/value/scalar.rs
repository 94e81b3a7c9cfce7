//! JSON to the forms that are neither struct nor array.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::Value;
use crate::error::ErrorKind;
use crate::types::Timer;

impl Value {
    /// A value of the same form with the content that `json` gives. Bytes keep their number, unless
    /// `size` says that it is another, or open.
    pub(super) fn scalar_from_json(&self, json: &Json, size: Option<u64>) -> Result<Self, ErrorKind> {
        match self {
            Self::U8(_) => integer(json, "a uint8").map(Self::U8),
            Self::U16(_) => integer(json, "a uint16").map(Self::U16),
            Self::U32(_) => integer(json, "a uint32").map(Self::U32),
            Self::U64(_) => integer(json, "a uint64").map(Self::U64),
            Self::I8(_) => integer(json, "an int8").map(Self::I8),
            Self::I16(_) => integer(json, "an int16").map(Self::I16),
            Self::I32(_) => integer(json, "an int32").map(Self::I32),
            Self::I64(_) => integer(json, "an int64").map(Self::I64),
            Self::Bool(_) => match json {
                Json::Bool(value) => Ok(Self::Bool(u8::from(*value))),
                _ => integer(json, "a bool or a uint8").map(Self::Bool),
            },
            Self::Timer(_) => match json {
                Json::Null => Ok(Self::Timer(Timer(None))),
                _ => {
                    let expiry = integer(json, "null or nanoseconds")?;
                    Ok(Self::Timer(Timer(Some(expiry).filter(|&expiry| expiry != u64::MAX))))
                }
            },
            Self::Bytes { ty, .. } => {
                let bytes = hexadecimal(json, size)?;
                Ok(Self::Bytes { ty: ty.clone(), bytes })
            }
            Self::Struct(_) => Err(mismatch(json, "a struct, whose fields are set one by one")),
            Self::Array(_) => Err(mismatch(json, "an array, whose elements are set one by one")),
        }
    }
}

/// A JSON number, or a string with a number as `0x…`.
fn integer<T: TryFrom<i128>>(json: &Json, expected: &str) -> Result<T, ErrorKind> {
    let number = match json {
        Json::String(text) => {
            text.strip_prefix("0x").and_then(|digits| i128::from_str_radix(digits, 16).ok())
        }
        _ => json.as_u64().map(i128::from).or_else(|| json.as_i64().map(i128::from)),
    };
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| mismatch(json, expected))
}

fn hexadecimal(json: &Json, size: Option<u64>) -> Result<Vec<u8>, ErrorKind> {
    let bytes = json.as_str().and_then(|text| hex::decode(text).ok());
    let Some(bytes) = bytes else { return Err(mismatch(json, "bytes in hexadecimal")) };
    match size {
        Some(size) if size != bytes.len() as u64 => Err(ErrorKind::NotEqual {
            found: format!("{} bytes", bytes.len()),
            expected: format!("{size} bytes"),
        }),
        _ => Ok(bytes),
    }
}

/// The failure of something else being expected.
pub(super) fn mismatch(json: &Json, expected: &str) -> ErrorKind {
    /// Longer texts than any number or name would bury the rest of the message.
    const LONG: usize = 40;
    let found: Cow<'_, str> = match json {
        Json::Array(_) => "an array".into(),
        Json::Object(_) => "an object".into(),
        Json::String(text) if text.len() > LONG => "a long text".into(),
        _ => json.to_string().into(),
    };
    ErrorKind::NotEqual { found: found.into_owned(), expected: expected.to_owned() }
}
