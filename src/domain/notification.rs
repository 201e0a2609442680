//! When a customer is told of a change, and when never.

use super::invoice_status::Step;

/// How a status change came to be asked for; each path has its own default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPath {
    /// The first change, requested together with the generation.
    WithGeneration,
    /// A change of an invoice that existed.
    ExistingInvoice,
}

/// Decides whether a step is told to the customer.
///
/// `notify` is the request's tri-state: `Some(true)`, `Some(false)`, or `None` for the path's default. An amount of
/// zero is told only on request; discarding never is, whatever was asked.
pub fn is_told(step: Step, notify: Option<bool>, path: StatusPath, total_is_zero: bool) -> bool {
    if step.to == super::invoice_status::InvoiceStatus::Discarded {
        return false;
    }
    let default = match path {
        StatusPath::WithGeneration => false,
        StatusPath::ExistingInvoice => !total_is_zero,
    };
    notify.unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::{
        super::invoice_status::{InvoiceStatus, Plan, plan},
        *,
    };

    fn step(from: InvoiceStatus, to: InvoiceStatus) -> Step {
        let Ok(Plan::Steps(&[step])) = plan(from, to) else { panic!("{from} to {to} is one step") };
        step
    }

    #[test]
    fn each_path_has_its_default() {
        let opened = step(InvoiceStatus::Draft, InvoiceStatus::Open);
        assert!(!is_told(opened, None, StatusPath::WithGeneration, false));
        assert!(is_told(opened, None, StatusPath::ExistingInvoice, false));
        assert!(is_told(opened, Some(true), StatusPath::WithGeneration, false));
        assert!(!is_told(opened, Some(false), StatusPath::ExistingInvoice, false));
    }

    #[test]
    fn a_total_of_zero_is_told_only_on_request() {
        let closed = step(InvoiceStatus::Open, InvoiceStatus::Closed);
        assert!(!is_told(closed, None, StatusPath::ExistingInvoice, true));
        assert!(is_told(closed, Some(true), StatusPath::ExistingInvoice, true));
    }

    #[test]
    fn a_discarded_draft_is_never_told() {
        let discarded = step(InvoiceStatus::Draft, InvoiceStatus::Discarded);
        assert!(!is_told(discarded, Some(true), StatusPath::ExistingInvoice, false));
    }
}
