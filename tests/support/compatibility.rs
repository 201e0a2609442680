//! Whether requests that an old schema accepts are accepted by a new one: what would break a sender is named.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that say something and refuse nothing.
const ANNOTATIONS: [&str; 5] = ["$id", "$schema", "title", "description", "examples"];
/// Keywords that refuse what is below or above.
const LOWER_BOUNDS: [&str; 3] = ["minimum", "minLength", "minItems"];
const UPPER_BOUNDS: [&str; 3] = ["maximum", "maxLength", "maxItems"];

/// Returns what the new schema takes away from senders who keep to the old one.
pub fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut changes = Vec::new();
    compare(old, new, "", &mut changes);
    changes
}

fn compare(old: &Value, new: &Value, at: &str, changes: &mut Vec<String>) {
    // `true` accepts everything, as an empty object does.
    let none = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
    let keywords: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for keyword in keywords.into_iter().filter(|keyword| !ANNOTATIONS.contains(&keyword.as_str())) {
        let (before, after) = (old.get(keyword), new.get(keyword));
        let mut broken = |what: &str| changes.push(format!("{at}/{keyword}: {what}"));
        match keyword.as_str() {
            "properties" => compare_properties(old, new, at, changes),
            "required" if names(after).any(|name| !names(before).any(|known| known == name)) => broken("a field more"),
            "type" | "enum" if !holds_all(before, after) => broken("a value less"),
            "additionalProperties" if before != Some(&false.into()) && after == Some(&false.into()) => broken("closed"),
            "default" if before.is_some() && before != after => broken("another meaning for what is left out"),
            "items" => {
                let all = Value::Bool(true);
                compare(before.unwrap_or(&all), after.unwrap_or(&all), &format!("{at}/items"), changes);
            }
            word if LOWER_BOUNDS.contains(&word) && is_tighter(before, after, f64::lt) => broken("raised"),
            word if UPPER_BOUNDS.contains(&word) && is_tighter(before, after, f64::gt) => broken("lowered"),
            word if LOWER_BOUNDS.contains(&word) || UPPER_BOUNDS.contains(&word) => {}
            "required" | "type" | "enum" | "additionalProperties" | "default" => {}
            // A pattern or a format of other wording may be wider, but nobody can tell: whatever is said anew may refuse.
            _ if after.is_some() && before != after => broken("other words, which may refuse more"),
            _ => {}
        }
    }
}

fn compare_properties(old: &Map<String, Value>, new: &Map<String, Value>, at: &str, changes: &mut Vec<String>) {
    let none = Map::new();
    let of = |schema: &Map<String, Value>| schema.get("properties").and_then(Value::as_object).cloned();
    let (old, new) = (of(old).unwrap_or_default(), of(new).unwrap_or(none));
    for (name, rule) in &old {
        match new.get(name) {
            Some(rule_now) => compare(rule, rule_now, &format!("{at}/{name}"), changes),
            None => changes.push(format!("{at}/{name}: removed")),
        }
    }
}

fn names(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

/// Tells whether every value of the old list is in the new one; no list holds everything, a single value is a list.
fn holds_all(old: Option<&Value>, new: Option<&Value>) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    match (old.map(list), new.map(list)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(old), Some(new)) => old.iter().all(|value| new.contains(value)),
    }
}

fn is_tighter(old: Option<&Value>, new: Option<&Value>, is_tighter: fn(&f64, &f64) -> bool) -> bool {
    match (old.and_then(Value::as_f64), new.and_then(Value::as_f64)) {
        (Some(old), Some(new)) => is_tighter(&old, &new),
        (None, Some(_)) => true,
        (_, None) => false,
    }
}
