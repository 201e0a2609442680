//! What the sink does wrong, with whom and when: planned by tests, read by each conversation.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// What the sink does wrong with one mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers MAIL with 451; before it can be known whom the mail is for.
    RefuseSender,
    /// Answers RCPT with 451.
    RefuseRecipient,
    /// Answers RCPT with 550: there is no such mailbox.
    RejectRecipient,
    /// Answers RCPT with 550: it does not take mail from us.
    RejectByPolicy,
    /// Answers RCPT with 421 and closes the connection.
    HangUpPolitely,
    /// Says nothing to DATA, ever.
    HangBeforeContent,
    /// Closes the connection instead of asking for the content.
    DropBeforeContent,
    /// Answers the content with 452.
    RefuseContent,
    /// Answers the content with 554.
    RejectContent,
    /// Closes the connection while the content comes in, and forgets it.
    DropDuringContent,
    /// Keeps the mail, then closes the connection without an answer.
    DropAfterContent,
    /// Keeps the mail, then says nothing more.
    HangAfterContent,
}

impl Fault {
    /// Returns what is said to RCPT instead of yes.
    pub(super) fn answer_to_recipient(self) -> Option<&'static str> {
        match self {
            Self::RefuseRecipient => Some("451 4.2.1 try again later\r\n"),
            Self::RejectRecipient => Some("550 5.1.1 no such mailbox\r\n"),
            Self::RejectByPolicy => Some("550 5.7.1 not from you\r\n"),
            Self::HangUpPolitely => Some("421 4.3.2 closing\r\n"),
            _ => None,
        }
    }

    /// Returns what is said to the content instead of keeping it.
    pub(super) fn answer_to_content(self) -> Option<&'static str> {
        match self {
            Self::RefuseContent => Some("452 4.3.1 no room for now\r\n"),
            Self::RejectContent => Some("554 not here\r\n"),
            _ => None,
        }
    }
}

/// The faults to come.
#[derive(Default)]
pub(super) struct Script {
    for_anybody: Mutex<VecDeque<Fault>>,
    by_recipient: Mutex<HashMap<String, VecDeque<Fault>>>,
    is_silent: watch::Sender<bool>,
}

impl Script {
    pub fn plan(&self, fault: Fault) {
        locked(&self.for_anybody).push_back(fault);
    }

    pub fn plan_for(&self, recipient: &str, faults: impl IntoIterator<Item = Fault>) {
        locked(&self.by_recipient).entry(recipient.to_owned()).or_default().extend(faults);
    }

    /// Takes the fault that the next mail meets, whomever it is for.
    pub fn next(&self) -> Option<Fault> {
        locked(&self.for_anybody).pop_front()
    }

    /// Takes the fault that the next mail to this address meets.
    pub fn next_for(&self, recipient: &str) -> Option<Fault> {
        locked(&self.by_recipient).get_mut(recipient)?.pop_front()
    }

    pub fn set_silent(&self, is_silent: bool) {
        self.is_silent.send_replace(is_silent);
    }

    /// Waits until new connections are greeted.
    pub async fn may_greet(&self) {
        let mut is_silent = self.is_silent.subscribe();
        // The sender lives as long as the script.
        let _ = is_silent.wait_for(|is_silent| !is_silent).await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
