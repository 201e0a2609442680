//! Somebody who changes invoices and wants it at once, at a steady pace, whatever else the queue has to do.

use std::{net::SocketAddr, time::Duration};

use secrecy::SecretString;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    super::bench_http::HttpClient,
    doors::{URGENT, envelope},
};
use crate::{
    domain::{
        ids::{InvoiceId, ResellerId},
        invoice_status::InvoiceStatus,
    },
    jobs::ChangeInvoiceStatus,
};

/// Sends urgent changes until told to stop.
pub struct Urgent {
    pub reseller_id: ResellerId,
    /// Open ones.
    pub invoices: Vec<InvoiceId>,
    pub per_second: f64,
    pub address: SocketAddr,
    pub key: SecretString,
}

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Of each change, the seconds from when it was to be sent until it was accepted.
    pub to_acceptance: Vec<f64>,
}

impl Urgent {
    /// Sends one change after the other, each when it is time: late answers make no pause.
    ///
    /// # Errors
    /// When the door does not take one.
    pub async fn run(self, stop: &CancellationToken) -> anyhow::Result<Sent> {
        let mut client = HttpClient::connect(self.address, &self.key).await?;
        let mut sent = Sent::default();
        let every = Duration::from_secs_f64(1.0 / self.per_second);
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for (invoice_id, to) in changes(&self.invoices) {
            let due = tokio::select! {
                due = ticks.tick() => due,
                () = stop.cancelled() => break,
            };
            let change = ChangeInvoiceStatus {
                reseller_id: self.reseller_id,
                invoice_id,
                to,
                version: None,
                reason: Some("asked for by telephone".to_owned()),
                notify: None,
                force: false,
            };
            client.hand_in(envelope(&change, &Uuid::now_v7().to_string(), URGENT)?).await?;
            sent.to_acceptance.push(due.elapsed().as_secs_f64());
        }
        Ok(sent)
    }
}

/// Returns changes without end: half of the invoices are voided, the others closed, and from then on reopened and closed.
fn changes(invoices: &[InvoiceId]) -> impl Iterator<Item = (InvoiceId, InvoiceStatus)> {
    let to_void = invoices.iter().step_by(2).map(|id| (*id, InvoiceStatus::Void));
    let others = || invoices.iter().skip(1).step_by(2);
    let first = to_void.zip(others().map(|id| (*id, InvoiceStatus::Closed))).flat_map(<[_; 2]>::from);
    let again = [InvoiceStatus::Open, InvoiceStatus::Closed].into_iter().cycle();
    first.chain(again.flat_map(move |to| others().map(move |id| (*id, to))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::invoice_status::{Plan, plan};

    #[test]
    fn every_change_is_one_that_an_invoice_can_take() {
        let invoices: Vec<InvoiceId> = (0..4).map(|_| InvoiceId::new()).collect();
        let mut statuses: std::collections::BTreeMap<_, _> =
            invoices.iter().map(|id| (*id, InvoiceStatus::Open)).collect();
        for (id, to) in changes(&invoices).take(40) {
            let step = statuses.get(&id).map(|from| plan(*from, to));
            assert!(matches!(step, Some(Ok(Plan::Steps([_])))), "{step:?}");
            statuses.insert(id, to);
        }
        let void = statuses.values().filter(|status| **status == InvoiceStatus::Void).count();
        assert_eq!((void, statuses.len()), (2, 4));
    }
}
