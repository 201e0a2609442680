//! The page of what the demo lets its visitor open.

use maud::{DOCTYPE, Markup, html};

use crate::store::invoice_list::InvoiceSummary;

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { text-align: left; padding: .4rem .8rem; border-bottom: 1px solid #8884; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
";

/// Makes the page of the invoices and the names of the mails that can be opened.
pub fn papers(invoices: &[InvoiceSummary], mails: &[String]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "billrunner" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "billrunner" }
                p { a href="/" { "The console" } }
                (invoice_table(invoices))
                (mail_list(mails))
            }
        }
    }
}

fn invoice_table(invoices: &[InvoiceSummary]) -> Markup {
    html! {
        h2 { "Invoices" }
        table {
            thead {
                tr {
                    @for title in ["customer", "provider", "period", "number", "status"] { th scope="col" { (title) } }
                    th scope="col" .number { "total" }
                    th scope="col" { "documents" }
                    th scope="col" { "mail" }
                }
            }
            tbody {
                @for invoice in invoices {
                    tr {
                        td { (invoice.customer_name) }
                        td { (invoice.provider) }
                        td { (invoice.billing_period) }
                        td { (invoice.number.as_deref().unwrap_or(&invoice.document_id)) }
                        td { (invoice.status) }
                        td .number { (invoice.total.to_plain_string()) " " (invoice.currency) }
                        td {
                            @for kind in &invoice.documents {
                                a href=(format!("/documents/{}/{kind}", invoice.id)) { (kind) } " "
                            }
                        }
                        td { (invoice.notifications.join(", ")) }
                    }
                }
            }
        }
    }
}

fn mail_list(mails: &[String]) -> Markup {
    html! {
        h2 { "Mails" }
        @if mails.is_empty() { p { "No mail has been sent yet." } }
        ul { @for name in mails { li { a href=(format!("/mails/{name}")) { (name) } } } }
    }
}
