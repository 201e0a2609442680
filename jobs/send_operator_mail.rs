//! Sends one mail to an operator, at most once.
//!
//! As with customers (`send_notification`), the row is `sending` before the SMTP conversation begins, and an attempt that
//! finds it so leaves it `uncertain`. [`tell`] records a mail for each operator in the transaction of the occasion, once an
//! occasion.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mail_gate;
use crate::{
    context::Context,
    domain::{ids::OperatorMailId, operator_mail::Facts},
    language::Language,
    mail::{Correspondent, OPERATORS_SENDER, OperatorReport, Operators, OutgoingMail, SendError, templates},
    queue::{Attempt, Effects, Finished, Job, JobError, Queue},
    store::operator_mails::{self, StoredOperatorMail},
};

/// Names the mail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendOperatorMail {
    /// Which.
    pub operator_mail_id: OperatorMailId,
}

/// Tells every operator of an occasion, once; nobody, where none are set up.
pub(super) async fn tell(
    effects: &mut Effects,
    context: &Context,
    occasion: &str,
    facts: &Facts,
) -> Result<(), JobError> {
    let Some(operators) = &context.operators else { return Ok(()) };
    for id in operator_mails::record(effects.connection(), occasion, facts, &operators.recipients).await? {
        effects.enqueue(&SendOperatorMail { operator_mail_id: id }, id).await?;
    }
    Ok(())
}

impl Job for SendOperatorMail {
    type Context = Context;
    const KIND: &'static str = "send_operator_mail";
    const EVENT_TYPE: &'static str = "billrunner.operator_mail.send.v1";
    const IS_AT_THE_DOORS: bool = false;
    const QUEUE: Queue = Queue::Mail;
    const TIMEOUT: Duration = Duration::from_mins(5);
    /// As long as a mail to a customer is tried.
    const MAX_ATTEMPTS: i32 = 60;
    const MAX_BACKOFF: Duration = Duration::from_hours(4);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut connection = context.pool.acquire().await?;
        let Some(found) = operator_mails::find(&mut connection, self.operator_mail_id).await? else {
            tracing::warn!(operator_mail_id = %self.operator_mail_id, "the mail does not exist");
            return Ok(attempt.complete_without_effects("the mail does not exist"));
        };
        match found.state.as_str() {
            "queued" => {}
            "sending" => {
                let why = "an earlier attempt ended in the middle of the conversation";
                return self.conclude(&attempt, ("sending", "uncertain"), Some(why)).await;
            }
            state => return Ok(attempt.complete_without_effects(format!("the mail is {state} already"))),
        }
        let Some(operators) = &context.operators else {
            let why = "no operators are set up any more; see BILLRUNNER_OPERATOR_MAIL";
            return self.conclude(&attempt, ("queued", "failed"), Some(why)).await;
        };
        let mail = self.write(&context, operators, &found)?;
        let passage = mail_gate::pass_breaker(&mut connection).await?;
        let id = self.operator_mail_id;
        if !operator_mails::change_state(&mut connection, id, ("queued", "sending"), None).await? {
            return Ok(attempt.complete_without_effects("another attempt was faster"));
        }
        drop(connection);
        let sent = context.mailer.send(&mail).await;
        let left_alone = passage.note(&context, &sent).await;
        match sent {
            Ok(()) => self.conclude(&attempt, ("sending", "sent"), None).await,
            Err(error @ (SendError::Rejected { .. } | SendError::Unbuildable(_))) => {
                self.conclude(&attempt, ("sending", "failed"), Some(&error.to_string())).await
            }
            Err(error @ SendError::Uncertain { .. }) => {
                self.conclude(&attempt, ("sending", "uncertain"), Some(&error.to_string())).await
            }
            Err(error @ SendError::Temporary { .. }) => {
                let mut connection = context.pool.acquire().await?;
                operator_mails::change_state(&mut connection, id, ("sending", "queued"), None).await?;
                Err(mail_gate::later(error, left_alone))
            }
        }
    }
}

impl SendOperatorMail {
    fn write(
        &self,
        context: &Context,
        operators: &Operators,
        found: &StoredOperatorMail,
    ) -> Result<OutgoingMail, JobError> {
        let language = Language::for_tag(&operators.language).map_err(JobError::permanent)?;
        let report = OperatorReport::new(&found.facts, &language).map_err(JobError::permanent)?;
        let message = templates::render_report(found.facts.message(), &language, &report);
        Ok(OutgoingMail {
            message_id: format!("<{}@{}>", self.operator_mail_id, context.mail_domain),
            sent_at: context.clock.now(),
            from: Correspondent::new(OPERATORS_SENDER, &operators.from).map_err(JobError::permanent)?,
            to: Correspondent::new("", &found.recipient).map_err(JobError::permanent)?,
            deliver_to: None,
            reply_to: None,
            language: language.tag().to_owned(),
            message: message.map_err(JobError::permanent)?,
            logo: None,
            attachments: Vec::new(),
        })
    }

    async fn conclude(
        &self,
        attempt: &Attempt,
        states: (&str, &str),
        reason: Option<&str>,
    ) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        if !operator_mails::change_state(effects.connection(), self.operator_mail_id, states, reason).await? {
            return Ok(attempt.complete_without_effects("another attempt was faster"));
        }
        let (_, to) = states;
        effects.complete(reason.map_or_else(|| to.to_owned(), |reason| format!("{to}: {reason}"))).await
    }
}
