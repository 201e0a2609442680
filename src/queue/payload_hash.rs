//! What tells a repeat from a conflict: a hash over kind and payload, the same at every door.
//!
//! The SQL door hashes what Postgres writes for the payload, `job_hash` in the database; here the same text is written.
//! Computing it there for all would cost every admission in bulk. A test holds the two equal.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Returns the SHA-256 over kind and payload.
pub(super) fn of(kind: &str, payload: &Value) -> [u8; 32] {
    let mut text = String::with_capacity(512);
    write(payload, &mut text);
    let mut hasher = Sha256::new();
    hasher.update(kind.as_bytes());
    hasher.update([0]);
    hasher.update(text.as_bytes());
    hasher.finalize().into()
}

/// Writes a value as `jsonb` is written: short keys first, then in the order of their bytes, a blank after comma and
/// colon.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| (name.len(), name.as_bytes()));
            write_all('{', fields, '}', text, |(name, value), text| {
                write_scalar(&Value::String(name.clone()), text);
                text.push_str(": ");
                write(value, text);
            });
        }
        Value::Array(values) => write_all('[', values, ']', text, write),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => write_scalar(value, text),
    }
}

fn write_all<T>(
    open: char,
    parts: impl IntoIterator<Item = T>,
    close: char,
    text: &mut String,
    write_part: impl Fn(T, &mut String),
) {
    text.push(open);
    for (n, part) in parts.into_iter().enumerate() {
        if n > 0 {
            text.push_str(", ");
        }
        write_part(part, text);
    }
    text.push(close);
}

fn write_scalar(value: &Value, text: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(text, "{value}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_as_postgres_writes_it() {
        let mut text = String::new();
        write(&json!({ "b": [1, {}, []], "aa": null, "a": "é\"\\\n\u{1}" }), &mut text);
        assert_eq!(text, r#"{"a": "é\"\\\n\u0001", "b": [1, {}, []], "aa": null}"#);
    }
}
