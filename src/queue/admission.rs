//! What every door does with requests once they are read: record them in bulk, and keep one that Postgres refuses from
//! taking the others with it.

use sqlx::{Acquire, PgConnection};
use tracing::{Instrument, Span};

use super::envelope::EnvelopeError;
use crate::{
    store::jobs::{self, AcceptError, Accepted, NewJob},
    traces::{self, Message},
};

/// Records requests in the caller's transaction. The answers come in the order of the requests; one that did not read
/// keeps its error.
///
/// # Errors
/// When the database fails; nothing is recorded then.
pub async fn admit(
    connection: &mut PgConnection,
    requests: Vec<Result<NewJob, EnvelopeError>>,
) -> sqlx::Result<Vec<Result<Accepted, EnvelopeError>>> {
    let mut good: Vec<NewJob> = requests.iter().filter_map(|request| request.as_ref().ok().cloned()).collect();
    let span = start_sending(&mut good);
    let accepted = accept_each(connection, &good).instrument(span.clone()).await;
    say_what_was_sent(&span, accepted.as_deref());
    let mut answers = accepted?.into_iter();
    let answer = |request: Result<NewJob, EnvelopeError>| {
        let answer = request.map(|_| answers.next());
        answer.and_then(|answer| answer.unwrap_or_else(|| Err(EnvelopeError::Unrecordable("no answer".into()))))
    };
    Ok(requests.into_iter().map(answer).collect())
}

/// Starts the span of recording jobs; those that bring no span of their own carry it. Where nobody wants spans there is none,
/// and the jobs stay as they are.
pub(super) fn start_sending(jobs: &mut [NewJob]) -> Span {
    if jobs.is_empty() || !traces::are_wanted() {
        return Span::none();
    }
    let messages = jobs.iter().map(|job| Message::new(&job.queue, job.traceparent.as_deref()));
    let span = traces::send(&messages.collect::<Vec<_>>());
    let own = traces::traceparent_of(&span);
    for job in jobs.iter_mut().filter(|job| job.traceparent.is_none()) {
        job.traceparent.clone_from(&own);
    }
    span
}

/// Ends such a span with what became of it.
pub(super) fn say_what_was_sent<E, F>(span: &Span, accepted: Result<&[Result<Accepted, E>], &F>) {
    match accepted {
        Ok([Ok(alone)]) => traces::is_of(span, &alone.id()),
        Ok(_) => {}
        Err(_) => traces::fail(span, "database"),
    }
}

async fn accept_each(
    connection: &mut PgConnection,
    jobs: &[NewJob],
) -> sqlx::Result<Vec<Result<Accepted, EnvelopeError>>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let mut savepoint = connection.begin().await?;
    match jobs::accept_all(&mut savepoint, jobs).await {
        Ok(answers) => {
            savepoint.commit().await?;
            Ok(answers.into_iter().map(|answer| answer.map_err(EnvelopeError::from)).collect())
        }
        Err(error) => {
            savepoint.rollback().await?;
            let reason = refused_value(&error).ok_or(error)?;
            if jobs.len() == 1 {
                return Ok(vec![Err(EnvelopeError::Unrecordable(reason))]);
            }
            // Some value in here is refused: halves narrow down which.
            let (left, right) = jobs.split_at(jobs.len() / 2);
            let mut answers = Box::pin(accept_each(connection, left)).await?;
            answers.extend(Box::pin(accept_each(connection, right)).await?);
            Ok(answers)
        }
    }
}

impl From<AcceptError> for EnvelopeError {
    fn from(error: AcceptError) -> Self {
        match error {
            conflict @ AcceptError::Conflict { .. } => Self::Conflict(conflict),
            AcceptError::Database(error) => Self::Unrecordable(error.to_string()),
        }
    }
}

/// Returns what Postgres says of a value that it will never take: SQLSTATE classes 22 and 23.
fn refused_value(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    let code = error.code()?;
    ["22", "23"].iter().any(|class| code.starts_with(class)).then(|| error.message().to_owned())
}
