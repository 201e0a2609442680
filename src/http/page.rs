//! How the demo's own pages look, and the page of the invoices that its visitor can open.

use maud::{DOCTYPE, Markup, html};

use crate::store::invoice_list::InvoiceSummary;

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { text-align: left; padding: .4rem .8rem; border-bottom: 1px solid #8884; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dd { margin: 0; }
.plain { list-style: none; margin: 0; padding: 0; }
.mail { width: 100%; height: 48rem; border: 1px solid #8884; border-radius: .5rem; background: #fff; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
";

/// Makes the page of the invoices.
pub fn papers(invoices: &[InvoiceSummary]) -> Markup {
    let body = html! {
        h1 { "billrunner" }
        p { a href="/" { "The console" } " · " a href="/inbox" { "The mails that were sent" } }
        (invoice_table(invoices))
    };
    page("billrunner", &body)
}

/// Makes a page of its title and what is on it.
pub fn page(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body { (body) }
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
