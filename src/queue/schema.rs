//! JSON Schemas (2020-12) of the payloads and of the envelope, derived from the types that read them.
//!
//! They are kept flat: no references, an enum where a value is one of some, bounds where a number has a size. So people
//! read them in one go, and the SQL door checks payloads with the few keywords they use.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

use super::{
    envelope::Envelope,
    job::Job,
    registry::{Lanes, Registry},
};
use crate::store::job_kinds::JobKind;

/// What the database checks of a field beside its type and format, and what refuses nothing.
const CHECKED_BY_SQL: [&str; 4] = ["enum", "pattern", "minimum", "maximum"];
const ANNOTATIONS: [&str; 3] = ["description", "default", "title"];
/// Name of the envelope among the schemas.
const ENVELOPE: &str = "envelope";

impl<C: Clone + Send + Sync + 'static> Registry<C> {
    /// Returns every schema under its name: the kind's event type, or `envelope`.
    pub fn schemas(&self) -> BTreeMap<String, Value> {
        let kinds = self.describe().into_iter().map(|kind| (kind.event_type.to_owned(), kind.schema));
        kinds.chain([(ENVELOPE.to_owned(), schema_of_envelope())]).collect()
    }

    /// Returns the kinds that the SQL door takes: those whose payload the database can check whole.
    pub fn kinds_at_the_sql_door(&self) -> Vec<JobKind> {
        self.describe().into_iter().filter(|kind| is_checked_by_sql(&kind.schema)).collect()
    }
}

/// Says what other systems may know of a kind.
pub(super) fn describe<J: Job>(lanes: &Lanes) -> JobKind {
    let schema = schema_of::<J>(J::EVENT_TYPE, J::KIND);
    JobKind {
        kind: J::KIND,
        event_type: J::EVENT_TYPE,
        queue: J::QUEUE.as_str(),
        lane_field: J::LANE_FIELD,
        lanes: lanes.iter().map(|(_, lane)| lane.clone()).collect(),
        max_attempts: J::MAX_ATTEMPTS,
        defaults: defaults(&schema),
        schema,
    }
}

fn schema_of<T: JsonSchema>(name: &str, title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.with_transform(flatten).into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), format!("/schemas/{name}.json").into());
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// Returns the envelope's schema, which is the one in the `OpenAPI` document: its version 3.1 speaks JSON Schema 2020-12.
fn schema_of_envelope() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("/schemas/{ENVELOPE}.json"),
        "title": ENVELOPE,
    });
    let described = json!(Envelope::schema());
    if let (Some(schema), Value::Object(described)) = (schema.as_object_mut(), described) {
        schema.extend(described);
    }
    schema
}

/// Returns what stands where a sender leaves a field out.
fn defaults(schema: &Value) -> Value {
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|names| names.contains(&name.into()));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let optional = properties.filter(|(name, _)| !is_required(name));
    optional.filter_map(|(name, rule)| Some((name.clone(), rule.get("default")?.clone()))).collect::<Map<_, _>>().into()
}

/// Tells whether a schema says nothing that `read_job_field` in the database does not check.
fn is_checked_by_sql(schema: &Value) -> bool {
    let is_known_type = |name: &Value| ["string", "integer", "boolean", "null"].iter().any(|known| name == known);
    let is_known = |(keyword, value): (&String, &Value)| match (keyword.as_str(), value) {
        ("type", Value::Array(types)) => types.iter().all(is_known_type),
        ("type", name) => is_known_type(name),
        ("format", name) => ["uuid", "billing-period"].iter().any(|known| name == known),
        (keyword, _) => CHECKED_BY_SQL.contains(&keyword) || ANNOTATIONS.contains(&keyword),
    };
    let rules = schema["properties"].as_object();
    let are_known = rules.is_none_or(|rules| {
        rules
            .values()
            .all(|rule| rule.get("type").is_some() && rule.as_object().is_some_and(|rule| rule.iter().all(is_known)))
    });
    are_known && schema["additionalProperties"] == false
}

fn flatten(schema: &mut Schema) {
    transform_subschemas(&mut flatten, schema);
    list_values(schema);
    bound_integer(schema);
}

/// Makes one list of the values of an enum, which the derive describes one by one.
fn list_values(schema: &mut Schema) {
    let variants = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let values: Vec<Value> = variants.iter().filter_map(|variant| variant.get("const").cloned()).collect();
    if values.is_empty() || values.len() < variants.len() {
        return;
    }
    let meanings = variants.iter().filter_map(|variant| {
        Some(format!("- `{}`: {}", variant["const"].as_str()?, variant.get("description")?.as_str()?))
    });
    let description = schema.get("description").and_then(Value::as_str).map(str::to_owned);
    let lines: Vec<String> = description.into_iter().chain(meanings).collect();
    schema.remove("oneOf");
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), values.into());
    schema.insert("description".to_owned(), lines.join("\n").into());
}

/// Says in JSON Schema's own words how large an integer may be.
fn bound_integer(schema: &mut Schema) {
    let (minimum, maximum) = match schema.get("format").and_then(Value::as_str) {
        Some("int8") => (json!(i8::MIN), json!(i8::MAX)),
        Some("int16") => (json!(i16::MIN), json!(i16::MAX)),
        Some("int32") => (json!(i32::MIN), json!(i32::MAX)),
        Some("int64") => (json!(i64::MIN), json!(i64::MAX)),
        Some("uint8") => (json!(0), json!(u8::MAX)),
        Some("uint16") => (json!(0), json!(u16::MAX)),
        Some("uint32") => (json!(0), json!(u32::MAX)),
        _ => return,
    };
    schema.remove("format");
    for (bound, value) in [("minimum", minimum), ("maximum", maximum)] {
        if schema.get(bound).is_none() {
            schema.insert(bound.to_owned(), value);
        }
    }
}
