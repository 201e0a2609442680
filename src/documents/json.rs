//! The invoice as JSON, for programs: what the other formats print, each amount also as an exact decimal.
//!
//! [`json_schema`] describes it; `billrunner schema document` prints it. A field is never taken away or given another
//! meaning within `billrunner.document.v1`; readers ignore fields they do not know.

use chrono::SecondsFormat;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value;

use super::{
    DocumentError,
    model::{self, DocumentModel, MarkKind},
};

/// Names the shape of the invoice as JSON.
pub const FORMAT: &str = "billrunner.document.v1";

/// An invoice or credit note as it is printed.
#[derive(Serialize, JsonSchema)]
struct PrintedInvoice<'m> {
    /// Names the shape.
    #[schemars(extend("const" = "billrunner.document.v1"))]
    format: &'static str,
    /// Whether money is owed or given back; amounts of a credit note are positive.
    kind: Kind,
    /// Why it is not to be paid, if so.
    mark: Option<MarkName>,
    /// Fiscal number, once issued.
    number: Option<&'m str>,
    /// Given at generation; unique.
    document_id: &'m str,
    /// When it was issued, else when it was generated.
    #[schemars(extend("format" = "date-time"))]
    dated_at: String,
    /// The provider's month, such as `2026-08`.
    billing_period: &'m str,
    /// ISO 4217 code of every amount.
    currency: &'static str,
    /// BCP 47 tag of the texts.
    language: &'m str,
    /// `Invoice` or `Credit note`, in the document's language.
    heading: &'m str,
    /// Who issues it.
    issuer: Party<'m>,
    /// Who receives it.
    customer: Party<'m>,
    /// What stands at the top, in order.
    facts: Vec<Fact<'m>>,
    /// What the customer refers to: purchase order and custom fields.
    references: Vec<Fact<'m>>,
    /// In printing order, corrections last.
    sections: Vec<Section<'m>>,
    /// Sum of the lines.
    subtotal: TotalRow<'m>,
    /// Tax by tax.
    taxes: Vec<TotalRow<'m>>,
    /// What is owed, or given back.
    total: TotalRow<'m>,
    /// Exemptions, exchange rates and what else stands below the totals.
    notes: &'m [String],
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Invoice,
    CreditNote,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MarkName {
    Draft,
    Void,
}

/// An amount, exactly and as printed.
#[derive(Serialize, JsonSchema)]
struct Amount<'m> {
    /// Decimal digits with a point.
    #[schemars(regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    value: String,
    /// In the document's language.
    text: &'m str,
}

#[derive(Serialize, JsonSchema)]
struct Party<'m> {
    /// Legal name.
    name: &'m str,
    /// Tax number with its label.
    tax_id: Option<&'m str>,
    /// Line by line.
    address: &'m [String],
}

#[derive(Serialize, JsonSchema)]
struct Fact<'m> {
    /// What it is, in the document's language.
    label: &'m str,
    /// As printed.
    value: &'m str,
}

/// The lines of one provider account, their corrections of one earlier month, or the custom charges.
#[derive(Serialize, JsonSchema)]
struct Section<'m> {
    /// Provider account id.
    sub_account_id: &'m str,
    /// Its name, or its id.
    sub_account_name: &'m str,
    /// For corrections: the original month, such as `2026-07`.
    correction_of: Option<&'m str>,
    /// In printing order.
    lines: Vec<Line<'m>>,
    /// Sum of the lines.
    subtotal: Amount<'m>,
}

#[derive(Serialize, JsonSchema)]
struct Line<'m> {
    /// Service or SKU.
    description: &'m str,
    /// In the document's language.
    charge_category: Option<&'m str>,
    /// How many charges it stands for.
    charge_count: i64,
    /// The price.
    net: Amount<'m>,
    /// Names, rates and categories of the taxes that apply.
    taxes: &'m str,
    /// Why it is not taxed, and what the amount is where it is a view in another currency.
    remark: &'m str,
}

#[derive(Serialize, JsonSchema)]
struct TotalRow<'m> {
    /// What it is, in the document's language.
    label: &'m str,
    /// Exactly and as printed, with its currency.
    amount: Amount<'m>,
}

/// Renders the invoice as JSON.
pub(super) fn render(model: &DocumentModel) -> Result<Vec<u8>, DocumentError> {
    let mut bytes = serde_json::to_vec_pretty(&document(model))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Returns the JSON Schema (2020-12) of the invoice as JSON.
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.for_serialize().into_generator().into_root_schema_for::<PrintedInvoice<'static>>();
    schema.insert("$id".to_owned(), format!("/schemas/documents/{FORMAT}.json").into());
    schema.insert("title".to_owned(), "document".into());
    schema.to_value()
}

fn document(model: &DocumentModel) -> PrintedInvoice<'_> {
    PrintedInvoice {
        format: FORMAT,
        kind: if model.is_credit_note { Kind::CreditNote } else { Kind::Invoice },
        mark: model.mark.as_ref().map(|mark| match mark.kind {
            MarkKind::Draft => MarkName::Draft,
            MarkKind::Void => MarkName::Void,
        }),
        number: model.number.as_deref(),
        document_id: &model.document_id,
        dated_at: model.dated_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        billing_period: &model.billing_period,
        currency: model.currency.code(),
        language: &model.language,
        heading: &model.heading,
        issuer: party(&model.issuer),
        customer: party(&model.customer),
        facts: model.facts.iter().map(fact).collect(),
        references: model.references.iter().map(fact).collect(),
        sections: model.sections.iter().map(section).collect(),
        subtotal: total_row(&model.subtotal),
        taxes: model.taxes.iter().map(total_row).collect(),
        total: total_row(&model.total),
        notes: &model.notes,
    }
}

fn party(party: &model::Party) -> Party<'_> {
    Party { name: &party.name, tax_id: party.tax_id.as_deref(), address: &party.address }
}

fn fact(fact: &model::Fact) -> Fact<'_> {
    Fact { label: &fact.label, value: &fact.value }
}

fn section(section: &model::Section) -> Section<'_> {
    Section {
        sub_account_id: &section.id,
        sub_account_name: &section.name,
        correction_of: section.corrected_month.as_deref(),
        lines: section.lines.iter().map(line).collect(),
        subtotal: amount(&section.subtotal),
    }
}

fn line(line: &model::PrintedLine) -> Line<'_> {
    Line {
        description: &line.description,
        charge_category: line.category.as_deref(),
        charge_count: line.charge_count,
        net: amount(&line.net),
        taxes: &line.taxes,
        remark: &line.remark,
    }
}

fn total_row(row: &model::TotalRow) -> TotalRow<'_> {
    TotalRow { label: &row.label, amount: amount(&row.amount) }
}

fn amount(amount: &model::Amount) -> Amount<'_> {
    Amount { value: amount.value.to_plain_string(), text: &amount.text }
}

#[cfg(test)]
mod tests {
    use bigdecimal::BigDecimal;

    use super::super::samples::{credit_note, decimal, hostile, invoice, long_draft, model, with_references};
    use super::*;

    #[test]
    fn it_fits_its_schema_and_adds_up() {
        let schema = jsonschema::validator_for(&json_schema()).expect("a schema");
        let drafts = long_draft(2, 3);
        for (invoice, language) in
            [(invoice(), "es"), (credit_note(), "de"), (hostile(), "en"), (drafts, "fr"), (with_references(), "en")]
        {
            let model = model(&invoice, language);
            let document: Value = serde_json::from_slice(&render(&model).expect("json")).expect("json");
            let problems: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert_eq!(problems, Vec::<String>::new());
            let value = |amount: &Value| decimal(amount["value"].as_str().expect("a decimal"));
            let sections = document["sections"].as_array().expect("sections");
            let lines = sections.iter().flat_map(|section| section["lines"].as_array().expect("lines"));
            let sum: BigDecimal = lines.map(|line| value(&line["net"])).sum();
            assert_eq!(sum, value(&document["subtotal"]["amount"]));
            let taxes: BigDecimal =
                document["taxes"].as_array().expect("taxes").iter().map(|tax| value(&tax["amount"])).sum();
            assert_eq!(sum + taxes, value(&document["total"]["amount"]));
        }
    }

    #[test]
    fn an_invoice_is_written_in_spanish() {
        let text = String::from_utf8(render(&model(&invoice(), "es")).expect("json")).expect("utf-8");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_document_without_what_is_promised_does_not_fit() {
        let schema = jsonschema::validator_for(&json_schema()).expect("a schema");
        let mut document = serde_json::to_value(document(&model(&invoice(), "es"))).expect("json");
        assert!(schema.is_valid(&document));
        document["total"]["amount"]["value"] = "1.234,50".into();
        assert!(!schema.is_valid(&document), "an amount is decimal digits with a point");
        document["total"]["amount"].take();
        assert!(!schema.is_valid(&document));
    }
}
