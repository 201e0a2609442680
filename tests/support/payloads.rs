//! Payloads good and bad of every kind, and what the handlers' types and the schemas say to them.

use std::{fs, path::Path};

use billrunner::{
    jobs::registry,
    queue::{JobOptions, RequestId},
    store::{job_kinds::JobKind, jobs::NewJob},
};
use jsonschema::Validator;
use serde_json::{Value, json};

/// Values that stand in one field each: some fit, most do not.
const ODD_TEXTS: [&str; 37] = [
    "",
    " ",
    "a",
    "aws",
    "é",
    "0199a000-0000-7000-8000-000000000001",
    "0199A000-0000-7000-8000-00000000000F",
    "0199a00000007000800000000000000f",
    "{0199a000-0000-7000-8000-000000000001}",
    "urn:uuid:0199a000-0000-7000-8000-000000000001",
    "0199a000-0000-7000-8000-000000000001\n",
    "0199a000-0000-7000-8000-00000000000g",
    "2026-08",
    "2026-8",
    "2026-13",
    "2026-00",
    "0999-08",
    "3000-01",
    "2026-08\n",
    " 2026-08",
    "2026-08-05/2026-09-05",
    "2026-08-01/2026-09-01",
    "2026-12-01/2027-01-01",
    "2024-02-29/2024-03-29",
    "EUR",
    "eur",
    "XXX",
    "ABC",
    "EUR ",
    "draft",
    "Draft",
    "open",
    "closed",
    "void",
    "pdf",
    "detailed_csv",
    "DetailedCsv",
];
/// Periods of days that no calendar has, or in the wrong order: no pattern tells.
const NO_PERIODS: [&str; 4] =
    ["2026-02-30/2026-03-05", "2026-08-05/2026-08-05", "2026-09-05/2026-08-05", "2023-02-29/2023-03-29"];

/// A kind with a payload that is good, from the fixtures.
pub struct Sample {
    pub kind: JobKind,
    pub payload: Value,
    validator: Validator,
}

/// Returns every kind with its fixture.
pub fn samples() -> Vec<Sample> {
    let sample = |kind: JobKind| {
        let path = format!("tests/fixtures/payloads/{}.json", kind.event_type);
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path));
        let text =
            text.unwrap_or_else(|_| panic!("{path} is missing: write a payload of this version, with every field"));
        let validator = jsonschema::options().should_validate_formats(true).build(&kind.schema);
        let validator = validator.expect("a schema that is one");
        Sample { payload: serde_json::from_str(&text).expect("JSON"), kind, validator }
    };
    registry().describe().into_iter().map(sample).collect()
}

/// What is said to a payload, and by whom it cannot be said.
pub struct Tried {
    pub payload: Value,
    /// Whether its fault is beyond the words of JSON Schema.
    pub is_beyond_schema: bool,
}

impl Sample {
    /// Returns payloads that differ from the sample in one place each.
    pub fn variants(&self) -> Vec<Tried> {
        let fields: Vec<&String> = self.payload.as_object().expect("an object").keys().collect();
        let mut values: Vec<(Value, bool)> = ODD_TEXTS.into_iter().map(|text| (text.into(), false)).collect();
        let others = json!([null, true, false, 0, 1, -1, 1.5, 2_147_483_647, 2_147_483_648_i64, -2_147_483_649_i64,
                            9_223_372_036_854_775_808_u64, {}, [], {"draft": null}, ["draft"], "x".repeat(5000)]);
        values.extend(others.as_array().expect("a list").iter().map(|value| (value.clone(), false)));
        // In JSON Schema 1.0 is an integer, to our types it is none.
        values.push((json!(1.0), true));
        values.extend(NO_PERIODS.into_iter().map(|text| (text.into(), true)));
        let mut variants = vec![self.payload.clone(), self.with("colour", &"red".into()), self.with("", &1.into())];
        variants.extend(fields.iter().map(|field| self.without(field)));
        variants.extend([json!([]), json!(null), json!("text"), json!({}), json!(fields)]);
        let mut tried: Vec<Tried> =
            variants.into_iter().map(|payload| Tried { payload, is_beyond_schema: false }).collect();
        for field in fields {
            let of_field = values.iter().map(|(value, is_beyond_schema)| Tried {
                payload: self.with(field, value),
                is_beyond_schema: *is_beyond_schema,
            });
            tried.extend(of_field);
        }
        tried
    }

    pub fn with(&self, field: &str, value: &Value) -> Value {
        let mut payload = self.payload.clone();
        payload[field] = value.clone();
        payload
    }

    pub fn without(&self, field: &str) -> Value {
        let mut payload = self.payload.clone();
        payload.as_object_mut().expect("an object").remove(field);
        payload
    }

    /// Returns the job that the handlers' type makes of a payload, `None` where it refuses it.
    pub fn read_by_type(&self, payload: &Value) -> Option<NewJob> {
        let request = RequestId::new("test", "1");
        let job =
            registry().prepare_kind(self.kind.kind, payload.clone(), request, "test".into(), JobOptions::default());
        job.ok()
    }

    pub fn is_valid(&self, payload: &Value) -> bool {
        self.validator.is_valid(payload)
    }
}
