//! Fields by path: `core.queues[0].last_avail_idx`.

use serde_json::{Map, Value};

/// Why a field cannot be set.
#[derive(Debug)]
pub(super) enum SetError {
    /// There is none; these are.
    NoField(Vec<String>),
    /// It takes no such value.
    Value(String),
}

/// Whether a path is that of the negotiated features, which stand in several places.
pub(super) fn is_features(path: &str) -> bool {
    path == "core.guest_features"
}

/// Sets a field. `null` leaves out what may be missing; a field that is missing can be set where it may
/// stand, which loading the result will tell.
pub(super) fn set(state: &mut Value, path: &str, text: &str) -> Result<(), SetError> {
    match state {
        Value::Object(object) => set_in_object(object, path, text),
        Value::Array(elements) => {
            let count = elements.len();
            let known = || SetError::NoField(vec![format!("[0] to [{}]", count.saturating_sub(1))]);
            let (index, rest) =
                path.strip_prefix('[').and_then(|path| path.split_once(']')).ok_or_else(known)?;
            let element =
                index.parse::<usize>().ok().and_then(|index| elements.get_mut(index)).ok_or_else(known)?;
            match rest.strip_prefix('.').unwrap_or(rest) {
                "" => replace(element, text),
                rest => set(element, rest, text),
            }
        }
        _ => Err(SetError::NoField(vec!["nothing: it is one value".to_owned()])),
    }
}

fn set_in_object(object: &mut Map<String, Value>, path: &str, text: &str) -> Result<(), SetError> {
    // Names may have dots: the longest that fits is meant.
    let rest = |name: &String| {
        path.strip_prefix(name.as_str()).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let found =
        object.keys().filter_map(|name| Some((name.clone(), rest(name)?))).max_by_key(|(name, _)| name.len());
    match found {
        Some((name, "")) if text == "null" => {
            object.remove(&name);
            Ok(())
        }
        Some((name, rest)) => {
            let Some(field) = object.get_mut(&name) else { return Ok(()) };
            match rest.strip_prefix('.').unwrap_or(rest) {
                "" => replace(field, text),
                rest => set(field, rest, text),
            }
        }
        None if !path.contains(['.', '[']) && text != "null" => {
            object.insert(path.to_owned(), parse(text));
            Ok(())
        }
        None => Err(SetError::NoField(object.keys().cloned().collect())),
    }
}

/// Replaces a value by one of its kind.
fn replace(value: &mut Value, text: &str) -> Result<(), SetError> {
    let new = match value {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Number(_) => match text.strip_prefix("0x") {
            Some(digits) => {
                u64::from_str_radix(digits, 16).map(Value::from).map_err(|_| expected("a number", text))?
            }
            None => serde_json::from_str::<serde_json::Number>(text)
                .map(Value::Number)
                .map_err(|_| expected("a number", text))?,
        },
        Value::Bool(_) => {
            text.parse::<bool>().map(Value::from).map_err(|_| expected("true or false", text))?
        }
        Value::Null | Value::Array(_) | Value::Object(_) => parse(text),
    };
    *value = new;
    Ok(())
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn expected(what: &str, found: &str) -> SetError {
    SetError::Value(format!("`{found}`, expected {what}"))
}
