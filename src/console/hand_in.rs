//! Jobs that a change is done by: recorded in the transaction that records who asked.

use serde_json::Value;
use sqlx::PgConnection;

use super::{Console, Problem};
use crate::{
    domain::ids::JobId,
    queue::RequestId,
    store::{
        jobs::{self, AcceptError},
        operator_actions::Operator,
    },
};

/// Source of the jobs that the console hands in.
const SOURCE: &str = "console";

impl Console {
    /// Hands in a job for somebody, in the caller's transaction.
    pub(super) async fn hand_in(
        &self,
        connection: &mut PgConnection,
        kind: &str,
        payload: Value,
        operator: Operator<'_>,
    ) -> Result<JobId, Problem> {
        let request = RequestId::new(SOURCE, JobId::new());
        let job = (self.prepare)(kind, payload, request, operator.name)
            .map_err(|refusal| Problem::Invalid(refusal.to_string()))?;
        let accepted = jobs::accept(&mut *connection, &job).await.map_err(|error| match error {
            AcceptError::Database(error) => Problem::from(error),
            conflict @ AcceptError::Conflict { .. } => Problem::Refused(conflict.to_string()),
        })?;
        jobs::notify_dispatchers(connection).await?;
        Ok(accepted.id())
    }
}
