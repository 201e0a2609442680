//! What the HTTP door answers when it does not accept: problem details (RFC 9457), with the headers that belong to them.

use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::queue::{EnvelopeError, Refusal};

/// The media type of problem details.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// How long a client leaves a Postgres alone that did not answer.
const RETRY_UNAVAILABLE_SECS: u32 = 5;

/// Why a request was not accepted, as RFC 9457 writes it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Which sort of problem: a name to compare with, not an address.
    r#type: &'static str,
    /// The sort in words.
    title: &'static str,
    /// The status of the answer, or what it would have been for this item alone.
    status: u16,
    /// What is wrong here, and the way out.
    detail: String,
    /// The resource that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// Where in the envelope the trouble lies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// Seconds to wait before the next try, for the header `Retry-After`.
    #[serde(skip)]
    retry_after_secs: Option<u32>,
}

/// One wrong value.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    /// JSON Pointer (RFC 6901) within the envelope; a missing member is named by the object that lacks it.
    #[schema(example = "/data/billing_period")]
    pointer: String,
    /// What is wrong with it.
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, r#type: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let (status, detail) = (status.as_u16(), detail.into());
        Self { r#type, title, status, detail, instance: None, errors: Vec::new(), retry_after_secs: None }
    }

    /// The body is no JSON, or JSON that is no envelope.
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "urn:billrunner:problem:unreadable", "The body cannot be read", detail)
    }

    /// Nobody knows who asks.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let r#type = "urn:billrunner:problem:unauthorized";
        Self::new(StatusCode::UNAUTHORIZED, r#type, "A valid API key is needed", detail)
    }

    /// The client may not do this, whatever it sends.
    pub fn forbidden(pointer: &str, detail: String) -> Self {
        let r#type = "urn:billrunner:problem:forbidden";
        let problem = Self::new(StatusCode::FORBIDDEN, r#type, "The client may not send this", detail);
        problem.with_fault(pointer.to_owned())
    }

    /// There is nothing of the client's here.
    pub fn not_found(instance: String) -> Self {
        let detail = "no job of this client has this id; ids are those that POST /v1/jobs answers with";
        let r#type = "urn:billrunner:problem:not-found";
        Self { instance: Some(instance), ..Self::new(StatusCode::NOT_FOUND, r#type, "There is no such job", detail) }
    }

    /// The method is none of this resource's.
    pub fn method_not_allowed() -> Self {
        let detail = "POST to /v1/jobs hands jobs in, GET of /v1/jobs/{id} tells how one stands";
        let r#type = "urn:billrunner:problem:method-not-allowed";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, r#type, "The resource has no such method", detail)
    }

    /// The body did not come.
    pub fn body_timeout(limit: Duration) -> Self {
        let detail = format!("the whole body must arrive within {} s; send it again", limit.as_secs());
        let r#type = "urn:billrunner:problem:body-timeout";
        Self::new(StatusCode::REQUEST_TIMEOUT, r#type, "The body did not arrive", detail)
    }

    /// There is too much of it.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "urn:billrunner:problem:too-large", "The request is too large", detail)
    }

    /// It is not in a form that is read.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let r#type = "urn:billrunner:problem:unsupported-media-type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, r#type, "The body is in a form that is not read", detail)
    }

    /// The client sends too fast.
    pub fn rate_limited(detail: String, retry_after: Duration) -> Self {
        let r#type = "urn:billrunner:problem:rate-limited";
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, r#type, "The client sends too fast", detail);
        // Whole seconds, and never too few.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self { retry_after_secs: Some(u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)), ..problem }
    }

    /// The ledger cannot be reached. Whether a job was recorded is not known; the idempotency key makes asking again safe.
    pub fn unavailable() -> Self {
        let detail = "the ledger does not answer; send the same request again later, which is safe";
        let r#type = "urn:billrunner:problem:unavailable";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, r#type, "The ledger does not answer", detail);
        Self { retry_after_secs: Some(RETRY_UNAVAILABLE_SECS), ..problem }
    }

    fn with_fault(mut self, pointer: String) -> Self {
        self.errors.push(Fault { pointer, detail: self.detail.clone() });
        self
    }

    /// Returns the status of the answer.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<EnvelopeError> for Problem {
    fn from(error: EnvelopeError) -> Self {
        let detail = error.to_string();
        let problem = match error.refusal() {
            Refusal::Unreadable => Self::unreadable(detail),
            Refusal::TooLarge => Self::too_large(detail),
            Refusal::Invalid => {
                let r#type = "urn:billrunner:problem:invalid";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, r#type, "A value of the envelope is not valid", detail)
            }
            Refusal::Conflict => {
                let title = "The id was used for another payload";
                Self::new(StatusCode::CONFLICT, "urn:billrunner:problem:conflict", title, detail)
            }
        };
        match error.pointer() {
            Some(pointer) => problem.with_fault(pointer),
            None => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"billrunner\""));
            }
            // The rest of the body is not waited for.
            StatusCode::REQUEST_TIMEOUT => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (self.status(), headers, body).into_response()
    }
}
