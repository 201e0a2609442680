//! The hash chain of events, walked link by link: what was edited, taken out or added behind the application's back.
//!
//! Called by `check_history` and `billrunner verify`. Reads a page at a time, so memory does not grow with the history.

use std::fmt;

use sqlx::PgConnection;

use super::invoice_status::{EventRow, events_from};
use crate::domain::{ids::ResellerId, invoice_event::CHAIN_START};

/// Broken links that are told of one chain: a damage is one or two, and a chain written anew breaks everywhere.
const NAMED_LINKS: usize = 20;

/// What does not hold at a place of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// No event stands there.
    Missing,
    /// The event does not follow the one before.
    NotFollowing,
    /// The event is not what its hash was made of.
    Altered,
    /// The chain's end, `event_chains`, does not know of the event.
    BeyondEnd,
    /// The chain's end has another hash.
    OtherEnd,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the event is missing",
            Self::NotFollowing => "the event does not follow the one before it",
            Self::Altered => "the event is not what its hash was made of",
            Self::BeyondEnd => "the event stands behind the end that event_chains names",
            Self::OtherEnd => "event_chains names another hash than its last event has",
        })
    }
}

/// A place where the chain does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenLink {
    /// Place in the chain.
    pub sequence: i64,
    /// What is wrong there.
    pub damage: Damage,
}

/// Where a reseller's chain ends, as `event_chains` says and as the events do, both at one moment.
struct Ends {
    next_sequence: i64,
    last_hash: Vec<u8>,
    last_sequence: i64,
}

/// Returns the first place where a reseller's chain does not hold; `None` when all of it does.
///
/// # Errors
/// When the database fails.
pub async fn find_broken_link(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Option<i64>> {
    let broken = find_broken_links(connection, reseller_id).await?;
    Ok(broken.first().map(|link| link.sequence))
}

/// Returns up to 20 places where a reseller's chain does not hold, in order.
///
/// # Errors
/// When the database fails.
pub async fn find_broken_links(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<Vec<BrokenLink>> {
    // Read first: what is appended meanwhile lies behind this end. Without it, events missing at the end are not missed.
    let ends = ends(connection, reseller_id).await?;
    let mut walk = Walk { reseller_id, expected: 1, previous_hash: CHAIN_START.to_vec(), broken: Vec::new() };
    while walk.expected < ends.next_sequence && walk.broken.len() < NAMED_LINKS {
        let page = events_from(connection, reseller_id, walk.expected).await?;
        let before = walk.expected;
        page.iter().take_while(|row| row.sequence < ends.next_sequence).for_each(|row| walk.pass(row));
        if walk.expected == before {
            walk.note(before, Damage::Missing);
            break;
        }
    }
    let reached_end = walk.expected == ends.next_sequence;
    if reached_end && walk.previous_hash != ends.last_hash {
        walk.note(ends.next_sequence - 1, Damage::OtherEnd);
    }
    if ends.last_sequence >= ends.next_sequence {
        walk.note(ends.next_sequence, Damage::BeyondEnd);
    }
    walk.broken.truncate(NAMED_LINKS);
    Ok(walk.broken)
}

async fn ends(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Ends> {
    sqlx::query_as!(
        Ends,
        r#"SELECT coalesce(chain.next_sequence, 1) AS "next_sequence!", coalesce(chain.last_hash, $2) AS "last_hash!",
               coalesce((SELECT max(sequence) FROM invoice_events WHERE reseller_id = $1), 0) AS "last_sequence!"
           FROM (VALUES ($1::uuid)) AS wanted (reseller_id) LEFT JOIN event_chains AS chain USING (reseller_id)"#,
        reseller_id.0,
        &CHAIN_START[..],
    )
    .fetch_one(connection)
    .await
}

struct Walk {
    reseller_id: ResellerId,
    expected: i64,
    previous_hash: Vec<u8>,
    broken: Vec<BrokenLink>,
}

impl Walk {
    fn note(&mut self, sequence: i64, damage: Damage) {
        self.broken.push(BrokenLink { sequence, damage });
    }

    /// Checks an event against the one before it and goes on from its own hash, so that each damage is told once.
    fn pass(&mut self, row: &EventRow) {
        if self.broken.len() < NAMED_LINKS {
            if row.sequence != self.expected {
                self.note(self.expected, Damage::Missing);
            } else if row.previous_hash != self.previous_hash {
                self.note(row.sequence, Damage::NotFollowing);
            }
            let stated = row.hash_after(self.reseller_id, &row.previous_hash);
            if stated.is_none_or(|hash| row.hash != hash) {
                self.note(row.sequence, Damage::Altered);
            }
        }
        self.previous_hash.clone_from(&row.hash);
        self.expected = row.sequence + 1;
    }
}
