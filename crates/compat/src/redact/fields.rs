//! Fields of a section's state, found by name wherever they are, and what is done with them.

use serde_json::Value;

/// Calls `change` with the value of each field of this name, at any depth.
pub(super) fn each(state: &mut Value, name: &str, change: &mut dyn FnMut(&mut Value)) {
    match state {
        Value::Object(object) => {
            for (known, value) in object {
                if known == name { change(value) } else { each(value, name, change) }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| each(element, name, change)),
        _ => {}
    }
}

/// Makes zeros of a value: of buffers in hexadecimal, and of numbers, in lists too.
pub(super) fn blank(value: &mut Value) {
    match value {
        Value::String(hex) => *hex = "0".repeat(hex.len()),
        Value::Number(number) => *number = 0.into(),
        Value::Array(elements) => elements.iter_mut().for_each(blank),
        Value::Object(object) => object.values_mut().for_each(blank),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Changes the bytes of a buffer in hexadecimal.
pub(super) fn bytes(value: &mut Value, change: impl FnOnce(&mut [u8])) {
    if let Value::String(text) = value
        && let Ok(mut bytes) = hex::decode(&*text)
    {
        change(&mut bytes);
        *text = hex::encode(bytes);
    }
}

/// Calls `change` with each string, at any depth.
pub(super) fn strings(state: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match state {
        Value::String(text) => change(text),
        Value::Object(object) => object.values_mut().for_each(|value| strings(value, change)),
        Value::Array(elements) => elements.iter_mut().for_each(|value| strings(value, change)),
        _ => {}
    }
}
