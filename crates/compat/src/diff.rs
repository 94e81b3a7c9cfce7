//! What differs between two guests: matched section by section, named by field.

use serde::Serialize;
use serde_json::Value;

use crate::state::{SectionState, State};

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The field, as `core.queues[0].last_avail_idx`.
    pub path: String,
    /// Its value on the first side; nothing if it is not there.
    pub a: Option<Value>,
    /// Its value on the second side; nothing if it is not there.
    pub b: Option<Value>,
}

/// What differs between two sections of the same name, or that one of them is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SectionDifference {
    /// The section.
    pub section: String,
    /// On which side it is missing, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_in: Option<Side>,
    /// The fields that differ.
    pub differences: Vec<Difference>,
}

/// One of the two guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// Compares two guests. Sections that do not differ are left out.
#[must_use]
pub fn states(a: &State, b: &State) -> Vec<SectionDifference> {
    let configuration = |state: &State| serde_json::to_value(&state.configuration).unwrap_or_default();
    let mut all = vec![SectionDifference {
        section: "configuration".to_owned(),
        missing_in: None,
        differences: values(&configuration(a), &configuration(b)),
    }];
    for section in &a.sections {
        let other = b.section(&section.name, section.instance);
        all.push(match other {
            Some(other) => SectionDifference {
                section: section.title(),
                missing_in: None,
                differences: versions(section, other)
                    .into_iter()
                    .chain(values(&section.state, &other.state))
                    .collect(),
            },
            None => missing(section, Side::B),
        });
    }
    let only_b = b.sections.iter().filter(|section| a.section(&section.name, section.instance).is_none());
    all.extend(only_b.map(|section| missing(section, Side::A)));
    all.retain(|section| section.missing_in.is_some() || !section.differences.is_empty());
    all
}

fn missing(section: &SectionState, side: Side) -> SectionDifference {
    SectionDifference { section: section.title(), missing_in: Some(side), differences: Vec::new() }
}

fn versions(a: &SectionState, b: &SectionState) -> Option<Difference> {
    let differs = a.version != b.version;
    differs.then(|| Difference {
        path: "version".to_owned(),
        a: Some(a.version.into()),
        b: Some(b.version.into()),
    })
}

/// Compares two values, down to the scalars.
#[must_use]
pub fn values(a: &Value, b: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(Some(a), Some(b), &mut String::new(), &mut differences);
    differences
}

fn compare(a: Option<&Value>, b: Option<&Value>, path: &mut String, differences: &mut Vec<Difference>) {
    let length = path.len();
    match (a, b) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                compare(a.get(name), b.get(name), path, differences);
                path.truncate(length);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                path.push_str(&format!("[{index}]"));
                compare(a.get(index), b.get(index), path, differences);
                path.truncate(length);
            }
        }
        (a, b) if a == b => {}
        (a, b) => differences.push(Difference { path: path.clone(), a: a.cloned(), b: b.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_each_scalar_that_differs() {
        let a = json!({"core": {"queues": [{"num": 256}, {"num": 64}], "isr": 1}, "gone": {"x": 1}});
        let b = json!({"core": {"queues": [{"num": 1024}], "isr": 1}, "new": null});
        let paths: Vec<_> = values(&a, &b).into_iter().map(|difference| difference.path).collect();
        assert_eq!(paths, ["core.queues[0].num", "core.queues[1]", "gone", "new"]);
        assert!(values(&a, &a).is_empty());
    }
}
