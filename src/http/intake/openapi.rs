//! The `OpenAPI` 3.1 document of the HTTP door, made from the handlers and types themselves.
//!
//! The envelope is described here; what `data` holds depends on the kind, and has a JSON Schema of its own under `/schemas/`.

use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::queue::Envelope;

/// An event, or several of them.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the two bodies of one media type for the `OpenAPI` document")]
pub enum OneOrMany {
    /// One.
    One(Box<Envelope>),
    /// Up to 500.
    Many(Vec<Envelope>),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "billrunner",
        description = "Hand in jobs, and ask how they stand. Requests are CloudEvents 1.0 in JSON; problems are told as \
                       RFC 9457 says. The payload of each type of job has a JSON Schema under `/schemas/`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(super::hand_in, super::show),
    tags((name = "jobs", description = "Units of background work.")),
    modifiers(&ApiKeys)
)]
struct Document;

struct ApiKeys;

impl Modify for ApiKeys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("br_<id>_<secret>")
            .description(Some("An API key, as `billrunner api-keys create` prints it once."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// Returns the document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
