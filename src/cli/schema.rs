//! `billrunner schema [KIND]`: the JSON Schemas of the payloads, of the envelope and of the invoice as JSON.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use super::{Failure, Output};
use crate::documents;

/// Names the schema of the invoice as JSON.
const DOCUMENT: &str = "document";

/// Arguments of `schema`.
#[derive(Args)]
pub struct Arguments {
    /// A kind such as `generate_invoice`, its type, or `envelope`, or `document` for the invoice as JSON. Default: list those of
    /// payloads and envelope.
    kind: Option<String>,
    /// Write one file a schema into this folder instead.
    #[arg(long, conflicts_with = "kind")]
    into: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, output: Output) -> anyhow::Result<()> {
    let schemas = crate::jobs::registry().schemas();
    if let Some(folder) = &arguments.into {
        for (name, schema) in &schemas {
            let path = folder.join(format!("{name}.json"));
            fs::write(&path, text(schema)? + "\n").with_context(|| format!("{} cannot be written", path.display()))?;
        }
        let documents = folder.join("documents");
        fs::create_dir_all(&documents).with_context(|| format!("{} cannot be made", documents.display()))?;
        let path = documents.join(format!("{}.json", documents::FORMAT));
        let schema = documents::json_schema();
        fs::write(&path, text(&schema)? + "\n").with_context(|| format!("{} cannot be written", path.display()))?;
        return output.line(&format!("{} schemas are written", schemas.len() + 1));
    }
    let Some(kind) = &arguments.kind else {
        let schemas: Vec<&Value> = schemas.values().collect();
        let cell = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        return output.rows(&schemas, &["kind", "schema", "payload"], |schema| {
            ["title", "$id", "description"].map(|key| cell(&schema[key])).to_vec()
        });
    };
    if kind == DOCUMENT {
        let schema = documents::json_schema();
        let schema_text = text(&schema)?;
        return output.value(&schema, |_| schema_text);
    }
    let found = schemas.iter().find(|(name, schema)| *name == kind || schema["title"] == kind.as_str());
    let (_, schema) = found.ok_or_else(|| {
        let known: Vec<&str> = schemas.values().filter_map(|schema| schema["title"].as_str()).collect();
        Failure::NotFound(format!("unknown job `{kind}`; known: {}, {DOCUMENT}", known.join(", ")))
    })?;
    let schema_text = text(schema)?;
    output.value(schema, |_| schema_text)
}

fn text(schema: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(schema)?)
}
