//! Exit codes: what a script learns without reading a message. This is the one place that gives them a meaning.

use std::process::ExitCode;

use crate::{
    config::{ConfigError, MissingVariable},
    queue::{EnvelopeError, ScheduleError},
    store::jobs::AcceptError,
};

/// Every exit code with its meaning: the end of `--help` and of the manual's page.
pub const EXIT_CODES: &str = "Settings come from the environment; `billrunner config example` lists them.

Exit codes:
  0  done
  1  failed: a server did not answer, a check of `doctor` failed, or something unexpected happened
  2  the command line or the environment is wrong
  3  what was named does not exist
  4  refused: the request conflicts with what is recorded, or the job it waited for failed
  5  `verify` found something that does not hold";

/// A failure that has an exit code of its own.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It conflicts with what is recorded.
    #[error("{0}")]
    Refused(String),
    /// Something recorded does not hold.
    #[error("{0}")]
    DoesNotHold(String),
    /// A value on the command line does not read.
    #[error("{0}")]
    Usage(String),
}

/// Returns the exit code of an error, as `--help` lists them.
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    let code = match error.downcast_ref::<Failure>() {
        Some(Failure::NotFound(_)) => 3,
        Some(Failure::Refused(_)) => 4,
        Some(Failure::DoesNotHold(_)) => 5,
        Some(Failure::Usage(_)) => 2,
        None if error.is::<ConfigError>() || error.is::<MissingVariable>() || error.is::<EnvelopeError>() => 2,
        None if matches!(error.downcast_ref(), Some(AcceptError::Conflict { .. })) => 4,
        None => error.downcast_ref().map_or(1, code_of_schedule),
    };
    ExitCode::from(code)
}

fn code_of_schedule(error: &ScheduleError) -> u8 {
    match error {
        ScheduleError::Database(_) => 1,
        ScheduleError::UnknownReseller(_) => 3,
        ScheduleError::Name(_)
        | ScheduleError::Recurrence(_)
        | ScheduleError::Variable(_)
        | ScheduleError::TooLarge(_)
        | ScheduleError::Job(_) => 2,
    }
}
