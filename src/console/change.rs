//! A change that somebody asks for through a form: its fields, who asks and why.
//!
//! The guard of all pages has read the form and checked that it is ours; a handler that takes a [`Change`] cannot be reached
//! without a reason.

use std::str::FromStr;

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{Problem, elements, frame::Frame};
use crate::store::operator_actions::Operator;

/// Longest reason that is kept.
const MAX_REASON_CHARS: usize = 500;

/// The fields of a form that the guard let pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// Returns a field's text as it was sent.
    pub fn exact(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns a field's text without spaces around it; `None` where it is left out or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.exact(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Reads a field; `None` where it is left out or empty.
    ///
    /// # Errors
    /// When it does not read: names the field and what is wrong with it.
    pub fn read<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        elements::read(name, self.get(name))
    }
}

/// A change, asked for by somebody who may.
#[derive(Clone, Debug)]
pub struct Change {
    name: String,
    reason: String,
    fields: Fields,
}

impl Change {
    /// Says who asks and why, for the history.
    pub fn operator(&self) -> Operator<'_> {
        Operator { name: &self.name, reason: &self.reason }
    }

    /// Returns all fields.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Returns a field's text; `None` where it is left out or empty.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// Returns a field's text as it was sent, with the spaces of a password.
    pub fn exact(&self, name: &str) -> Option<&str> {
        self.fields.exact(name)
    }

    /// Reads a field; `None` where it is left out or empty.
    ///
    /// # Errors
    /// When it does not read: names the field and what is wrong with it.
    pub fn read<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.fields.read(name)
    }

    /// Reads a field that cannot be left out.
    ///
    /// # Errors
    /// As [`Change::read`], and when there is nothing in it.
    pub fn require<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Problem> {
        self.read(name)?.ok_or_else(|| Problem::Invalid(format!("{name}: fill it in")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Change {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let frame = Frame::from_request_parts(parts, state).await.map_err(|_| Problem::Unavailable)?;
        let fields = parts.extensions.get::<Fields>().cloned().unwrap_or_default();
        let reason = fields.get("reason").unwrap_or_default().to_owned();
        if reason.is_empty() || reason.chars().count() > MAX_REASON_CHARS {
            let problem = format!("reason: say why, in up to {MAX_REASON_CHARS} characters");
            return Err(Problem::Invalid(problem));
        }
        Ok(Self { name: frame.visitor.name, reason, fields })
    }
}
