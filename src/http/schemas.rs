//! `/schemas/`: the JSON Schemas of payloads and envelope, for those who write requests or check them.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{PageError, Web};

/// Serves the index and one file a schema.
pub(super) fn router() -> Router<Web> {
    Router::new().route("/schemas/", get(index)).route("/schemas/{file}", get(schema))
}

async fn index(State(web): State<Web>) -> Json<Value> {
    let entry = |schema: &Value| json!({ "$id": schema["$id"], "title": schema["title"] });
    Json(json!({ "schemas": web.schemas.values().map(entry).collect::<Vec<_>>() }))
}

async fn schema(State(web): State<Web>, Path(file): Path<String>) -> Result<Response, PageError> {
    let schema = file.strip_suffix(".json").and_then(|name| web.schemas.get(name)).ok_or(PageError::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "application/schema+json")], schema.to_string()).into_response())
}
