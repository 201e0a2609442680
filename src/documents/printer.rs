//! How an invoice becomes its [`DocumentModel`]: each value is formatted once, here.
//!
//! Fails only when a text is missing from the catalogues.

use std::collections::BTreeSet;

use bigdecimal::BigDecimal;
use chrono::NaiveDate;

use super::{
    accounting::{Accounting, AccountingTexts},
    labels::{Labels, categories_of},
    model::{
        Amount, DocumentModel, Fact, Mark, MarkKind, Names, NumberStyle, Party, PrintedLine, Section, TotalRow, clean,
        cut_after,
    },
};
use crate::{
    domain::{
        currency_view::CurrencyView,
        invoice::{Invoice, InvoiceKind, Line, PartyDetails, TaxAmount},
        invoice_status::InvoiceStatus,
        money::Currency,
        pricing::ExchangeRate,
        taxes::TaxCategory,
        time_zone::TimeZone,
    },
    language::{Argument, Language, LanguageError},
};

/// Longest name that is repeated inside another text.
const MAX_REPEATED_NAME_CHARS: usize = 60;
/// Longest address that is printed.
const MAX_ADDRESS_LINES: usize = 12;
/// Longest file name that every system takes leaves room for suffix and ending.
const MAX_FILE_STEM_CHARS: usize = 100;

impl DocumentModel {
    /// Prints an invoice in a language.
    ///
    /// # Errors
    /// When the language lacks a text.
    pub fn new(invoice: &Invoice, language: &Language) -> Result<Self, LanguageError> {
        Self::with_names(invoice, language, Names::default())
    }

    /// Prints an invoice in a language, with names that were looked up beside it.
    ///
    /// # Errors
    /// When the language lacks a text.
    pub fn with_names(invoice: &Invoice, language: &Language, names: Names<'_>) -> Result<Self, LanguageError> {
        match names.view {
            None => Self::print(invoice, language, names),
            Some(view) => Self::print(&view.convert_invoice(invoice), language, names),
        }
    }

    fn print(invoice: &Invoice, language: &Language, names: Names<'_>) -> Result<Self, LanguageError> {
        let printer = Printer { invoice, language };
        let labels = Labels::new(language, invoice.currency)?;
        let (heading_key, file_key) = match invoice.kind {
            InvoiceKind::Invoice => ("document-invoice", "document-file-name-invoice"),
            InvoiceKind::CreditNote => ("document-credit-note", "document-file-name-credit-note"),
        };
        let heading = language.text(heading_key)?;
        let printed_number = invoice.number.as_ref().unwrap_or(&invoice.document_id);
        let number = clean(printed_number);
        let title_arguments = [("heading", (&heading).into()), ("number", (&number).into())];
        Ok(Self {
            language: language.locale().to_owned(),
            direction: language.direction(),
            title: language.text_with("document-title", &title_arguments)?,
            heading,
            number: invoice.number.as_deref().map(clean),
            document_id: clean(&invoice.document_id),
            mark: printer.mark()?,
            status: printer.status()?,
            dated_at: invoice.opened_at.unwrap_or(invoice.created_at),
            billing_period: invoice.billing_period.to_string(),
            billing_period_text: language.billing_period(invoice.billing_period)?,
            currency: invoice.currency,
            is_credit_note: invoice.kind == InvoiceKind::CreditNote,
            issuer: printer.party(&invoice.reseller)?,
            customer: printer.party(&invoice.customer)?,
            accounting: printer.accounting(names)?,
            facts: printer.facts(names)?,
            references: printer.references()?,
            sections: printer.sections(&labels, &printer.remarks(names)?)?,
            categories: categories_of(&invoice.lines).into_iter().map(|of| labels.category_name(of).into()).collect(),
            subtotal: printer.total_row(labels.subtotal.clone(), &invoice.subtotal),
            taxes: printer.taxes()?,
            total: printer.total_row(labels.total.clone(), &invoice.total),
            notes: printer.notes(names)?,
            number_style: number_style(language),
            file_stem: file_stem(&language.text(file_key)?, printed_number, names.view),
            labels,
            branding: names.branding.cloned().unwrap_or_default(),
        })
    }
}

/// What rows of a file without notes say of their taxes and currency.
struct Remarks {
    taxes: Vec<String>,
    exemptions: Vec<String>,
    view: Option<String>,
}

struct Printer<'a> {
    invoice: &'a Invoice,
    language: &'a Language,
}

impl Printer<'_> {
    fn mark(&self) -> Result<Option<Mark>, LanguageError> {
        let (kind, key) = match self.invoice.status {
            InvoiceStatus::Draft | InvoiceStatus::Discarded => (MarkKind::Draft, "document-draft-mark"),
            InvoiceStatus::Void => (MarkKind::Void, "document-void-mark"),
            InvoiceStatus::Open | InvoiceStatus::Closed => return Ok(None),
        };
        Ok(Some(Mark { kind, text: self.language.text(key)? }))
    }

    fn status(&self) -> Result<String, LanguageError> {
        self.language.text(match self.invoice.status {
            InvoiceStatus::Draft | InvoiceStatus::Discarded => "document-draft-mark",
            InvoiceStatus::Open => "document-status-open",
            InvoiceStatus::Closed => "document-status-closed",
            InvoiceStatus::Void => "document-void-mark",
        })
    }

    fn party(&self, details: &PartyDetails) -> Result<Party, LanguageError> {
        let label = self.language.text("document-tax-id")?;
        let lines = details.address.lines().filter(|line| !line.trim().is_empty());
        let tax_id = details.tax_id.as_deref().map(clean);
        Ok(Party {
            name: clean(&details.name),
            tax_id: tax_id.map(|id| self.field(&label, &id)).transpose()?,
            address: lines.map(clean).take(MAX_ADDRESS_LINES).collect(),
        })
    }

    /// Writes a name and what it is, with the colon that the language has.
    fn field(&self, label: &str, value: &str) -> Result<String, LanguageError> {
        self.language.text_with("format-field", &[("label", label.into()), ("value", value.into())])
    }

    fn accounting(&self, names: Names<'_>) -> Result<Accounting, LanguageError> {
        let reasons = self.invoice.taxes.iter().map(|tax| self.exemption_reason(tax));
        let texts = AccountingTexts {
            replaced_number: names.replaced_number.map(clean),
            payment_terms: self.language.text("document-payment-terms")?,
            exemption_reasons: reasons.collect::<Result<_, _>>()?,
        };
        Ok(Accounting::new(self.invoice, names.view.is_some(), texts))
    }

    fn facts(&self, names: Names<'_>) -> Result<Vec<Fact>, LanguageError> {
        let (invoice, language) = (self.invoice, self.language);
        let values = [
            ("document-number", invoice.number.as_deref().map(clean)),
            ("document-issued-on", invoice.issued_on.map(|day| language.date(day))),
            ("document-generated-on", invoice.number.is_none().then(|| language.date(self.generated_on()))),
            ("document-billing-period", Some(language.billing_period(invoice.billing_period)?)),
            ("document-provider", Some(clean(names.provider.unwrap_or(&invoice.provider)))),
            ("document-document-id", Some(clean(&invoice.document_id))),
            ("document-total", Some(language.money(&self.value(&invoice.total), invoice.currency))),
        ];
        let printed = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
        printed.map(|(key, value)| Ok(Fact { label: language.text(key)?, value })).collect()
    }

    /// Returns the day of generation as the customer's calendar has it; the day of issue is the series' own, in UTC.
    fn generated_on(&self) -> NaiveDate {
        self.invoice.customer.time_zone.unwrap_or(TimeZone::UTC).day_of(self.invoice.created_at)
    }

    fn references(&self) -> Result<Vec<Fact>, LanguageError> {
        let customer = &self.invoice.customer;
        let order = customer
            .purchase_order
            .as_deref()
            .map(|order| Ok(Fact { label: self.language.text("document-purchase-order")?, value: clean(order) }));
        let fields =
            customer.fields.iter().map(|field| Ok(Fact { label: clean(&field.label), value: clean(&field.value) }));
        order.into_iter().chain(fields).collect()
    }

    fn sections(&self, labels: &Labels, remarks: &Remarks) -> Result<Vec<Section>, LanguageError> {
        let same_section = |a: &Line, b: &Line| {
            (a.correction_of, &a.section_id, &a.section_name) == (b.correction_of, &b.section_id, &b.section_name)
        };
        self.invoice.lines.chunk_by(same_section).map(|lines| self.section(lines, labels, remarks)).collect()
    }

    fn section(&self, lines: &[Line], labels: &Labels, remarks: &Remarks) -> Result<Section, LanguageError> {
        let first = lines.first();
        let custom = first.filter(|line| line.is_custom_charge());
        let custom = custom.map(|_| self.language.text("document-custom-charges")).transpose()?;
        let id = first.map(|line| clean(&line.section_id)).unwrap_or_default();
        let name = first.map(|line| clean(&line.section_name)).filter(|name| !name.trim().is_empty());
        let name = custom.clone().or(name).unwrap_or_else(|| id.clone());
        let is_custom_charges = custom.is_some();
        let id = if is_custom_charges { name.clone() } else { id };
        let short_name = cut_after(&name, MAX_REPEATED_NAME_CHARS).into_owned();
        let month = first.and_then(|line| line.correction_of);
        let correction = month.map(|month| {
            let month = self.language.month(month);
            self.language.text_with("document-correction-of", &[("month", Argument::Text(&month))])
        });
        Ok(Section {
            subtotal_label: self
                .language
                .text_with("document-section-subtotal", &[("section", Argument::Text(&short_name))])?,
            is_custom_charges,
            correction: correction.transpose()?,
            corrected_month: month.map(|month| month.format("%Y-%m").to_string()),
            subtotal: self.amount(&lines.iter().map(|line| &line.net).sum()),
            lines: lines.iter().map(|line| self.line(line, labels, remarks)).collect(),
            id,
            name,
        })
    }

    fn line(&self, line: &Line, labels: &Labels, remarks: &Remarks) -> PrintedLine {
        let places = &line.details.taxes;
        let of_taxes = |texts: &[String]| -> Vec<String> {
            places.iter().filter_map(|place| texts.get(*place)).filter(|text| !text.is_empty()).cloned().collect()
        };
        let remark = [of_taxes(&remarks.exemptions), remarks.view.iter().cloned().collect()].concat();
        let charges = self.language.decimal(&BigDecimal::from(line.charge_count), 0);
        PrintedLine {
            taxes: of_taxes(&remarks.taxes).join(", "),
            tax_places: places.clone(),
            remark: remark.join(" "),
            description: clean(&line.description),
            category: line.charge_category.map(|category| labels.category_name(category).to_owned()),
            charge_count: line.charge_count,
            charges: if line.is_custom_charge() { String::new() } else { charges },
            net: self.amount(&line.net),
        }
    }

    fn taxes(&self) -> Result<Vec<TotalRow>, LanguageError> {
        let tax_row = |tax: &TaxAmount| {
            let (name, rate) = (clean(&tax.name), self.language.percent(&tax.rate));
            let base = self.language.money(&self.value(&tax.base), self.invoice.currency);
            let arguments = [("name", (&name).into()), ("rate", (&rate).into()), ("base", (&base).into())];
            let label = self.language.text_with("document-tax", &arguments)?;
            Ok(self.total_row(label, &tax.amount))
        };
        self.invoice.taxes.iter().map(tax_row).collect()
    }

    /// Says of each tax what it is and why nothing is taxed, and of a view what it shows.
    fn remarks(&self, names: Names<'_>) -> Result<Remarks, LanguageError> {
        let name =
            |tax: &TaxAmount| format!("{} {} ({})", clean(&tax.name), self.language.percent(&tax.rate), tax.category);
        Ok(Remarks {
            taxes: self.invoice.taxes.iter().map(name).collect(),
            exemptions: self.invoice.taxes.iter().map(|tax| self.exemption(tax)).collect::<Result<_, _>>()?,
            view: names.view.map(|view| self.view_note(view)).transpose()?,
        })
    }

    /// Says which tax is zero, why, and by which code; empty where it is taxed.
    fn exemption(&self, tax: &TaxAmount) -> Result<String, LanguageError> {
        let Some(reason) = self.exemption_reason(tax)? else { return Ok(String::new()) };
        let code = tax.exemption_code.as_ref().map(|code| format!(" ({})", clean(code))).unwrap_or_default();
        self.field(&clean(&tax.name), &format!("{reason}{code}"))
    }

    /// Says why a tax is zero: in the reseller's words, else in those of its category.
    fn exemption_reason(&self, tax: &TaxAmount) -> Result<Option<String>, LanguageError> {
        let key = match tax.category {
            TaxCategory::Standard | TaxCategory::ZeroRated => return Ok(None),
            TaxCategory::Exempt => "document-tax-exempt",
            TaxCategory::ReverseCharge => "document-tax-reverse-charge",
            TaxCategory::IntraCommunity => "document-tax-intra-community",
            TaxCategory::Export => "document-tax-export",
            TaxCategory::OutsideScope => "document-tax-outside-scope",
        };
        match &tax.exemption_reason {
            Some(reason) => Ok(Some(clean(reason))),
            None => self.language.text(key).map(Some),
        }
    }

    fn view_note(&self, view: &CurrencyView) -> Result<String, LanguageError> {
        let total = self.language.money(&(&view.invoice_total * self.invoice.printed_sign()), view.invoice_currency);
        let arguments = [
            ("currency", view.currency.code().into()),
            ("invoice_currency", view.invoice_currency.code().into()),
            ("total", (&total).into()),
        ];
        self.language.text_with("document-converted-view", &arguments)
    }

    fn notes(&self, names: Names<'_>) -> Result<Vec<String>, LanguageError> {
        let (invoice, language) = (self.invoice, self.language);
        let mut notes = Vec::new();
        let remarks = self.remarks(names)?;
        notes.extend(remarks.exemptions.into_iter().filter(|exemption| !exemption.is_empty()));
        notes.dedup();
        if let Some(view) = names.view {
            notes.extend(remarks.view);
            notes.push(self.exchange_rate_note(view.invoice_currency, view.currency, &view.exchange_rate)?);
        }
        let invoice_currency = names.view.map_or(invoice.currency, |view| view.invoice_currency);
        if let Some(replaced) = invoice.replaces {
            let number = names.replaced_number.map_or_else(|| replaced.to_string(), clean);
            notes.push(language.text_with("document-replaces", &[("number", (&number).into())])?);
        }
        let converted: BTreeSet<Currency> = invoice.lines.iter().map(|line| line.cost_currency).collect();
        for (from, exchange) in invoice.exchange_rates.iter().filter(|(from, _)| converted.contains(from)) {
            notes.push(self.exchange_rate_note(*from, invoice_currency, exchange)?);
        }
        if invoice.zero_line_count > 0 {
            let count = Argument::Count(invoice.zero_line_count.into());
            notes.push(language.text_with("document-zero-lines", &[("count", count)])?);
        }
        Ok(notes)
    }

    fn exchange_rate_note(
        &self,
        from: Currency,
        to: Currency,
        exchange: &ExchangeRate,
    ) -> Result<String, LanguageError> {
        let rate = exchange.rate.normalized();
        let rate = self.language.decimal(&rate, rate.fractional_digit_count().max(0));
        let (source, date) = (clean(&exchange.source), self.language.date(exchange.rated_on));
        let arguments = [
            ("from", from.code().into()),
            ("to", to.code().into()),
            ("rate", (&rate).into()),
            ("source", (&source).into()),
            ("date", (&date).into()),
        ];
        self.language.text_with("document-exchange-rate", &arguments)
    }

    fn total_row(&self, label: String, stored: &BigDecimal) -> TotalRow {
        let value = self.value(stored);
        let text = self.language.money(&value, self.invoice.currency);
        TotalRow { label, amount: Amount { value, text } }
    }

    fn amount(&self, stored: &BigDecimal) -> Amount {
        let value = self.value(stored);
        let text = self.language.amount(&value, self.invoice.currency);
        Amount { value, text }
    }

    fn value(&self, stored: &BigDecimal) -> BigDecimal {
        self.invoice.currency.round(&(stored * self.invoice.printed_sign()))
    }
}

fn number_style(language: &Language) -> NumberStyle {
    let half = language.decimal(&BigDecimal::new(5.into(), 1), 1);
    NumberStyle::of(if half.contains(',') { ',' } else { '.' })
}

fn file_stem(word: &str, number: &str, view: Option<&CurrencyView>) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let stem: String = format!("{word}-{number}").chars().take(MAX_FILE_STEM_CHARS).map(safe).collect();
    let currency = view.map(|view| view.currency.code().to_lowercase());
    let parts: Vec<&str> = stem.split('-').chain(currency.as_deref()).filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{HOSTILE_NAMES, credit_note, decimal, hostile, invoice, long_draft, model};
    use super::*;

    #[test]
    fn an_invoice_prints_in_spanish() {
        insta::assert_debug_snapshot!(model(&invoice(), "es"));
    }

    #[test]
    fn a_void_credit_note_prints_positive_amounts_in_german() {
        let mut credit_note = credit_note();
        credit_note.status = InvoiceStatus::Void;
        let model = model(&credit_note, "de");
        assert_eq!(model.mark.as_ref().map(|mark| mark.kind), Some(MarkKind::Void));
        insta::assert_debug_snapshot!((model.title, model.mark, model.sections, model.taxes, model.total, model.notes));
    }

    #[test]
    fn a_draft_is_marked_and_has_no_number() {
        let model = model(&long_draft(1, 1), "en");
        assert_eq!(model.mark, Some(Mark { kind: MarkKind::Draft, text: "DRAFT".to_owned() }));
        assert_eq!(model.number, None);
        assert_eq!(model.printed_number(), "DOC-000117");
    }

    #[test]
    fn nothing_of_the_resellers_side_is_in_it() {
        let printed = format!("{:?}", model(&invoice(), "en"));
        for secret in ["666.6", "666,6", "0.777", "77.7", "88.888", "0.00555"] {
            assert!(!printed.contains(secret), "{secret} is printed");
        }
    }

    #[test]
    fn sections_add_up_to_the_subtotal() {
        for (invoice, language) in
            [(invoice(), "fr"), (credit_note(), "de"), (long_draft(3, 40), "en"), (hostile(), "es")]
        {
            let model = model(&invoice, language);
            let sum: BigDecimal = model.sections.iter().map(|section| &section.subtotal.value).sum();
            assert_eq!(sum, model.subtotal.amount.value);
        }
    }

    #[test]
    fn names_looked_up_elsewhere_are_printed_instead_of_ids() {
        let language = Language::for_tag(&"en".parse().expect("a tag")).expect("a language");
        let names =
            Names { provider: Some("Amazon Web Services"), replaced_number: Some("2026-00041"), ..Names::default() };
        let model = DocumentModel::with_names(&invoice(), &language, names).expect("a model");
        assert!(model.facts.iter().any(|fact| fact.value == "Amazon Web Services"));
        assert!(model.notes.iter().any(|note| note == "Replaces 2026-00041"));
    }

    #[test]
    fn no_control_character_is_printed() {
        let printed = model(&hostile(), "en");
        for line in printed.sections.iter().flat_map(|section| &section.lines) {
            assert!(!line.description.contains(char::is_control));
        }
        assert_eq!(clean(HOSTILE_NAMES[2]), "two  lines and a tab");
    }

    #[test]
    fn numbers_follow_the_region() {
        let style = |tag| model(&invoice(), tag).number_style;
        assert_eq!(style("es"), NumberStyle { decimal_mark: ',', delimiter: b';', byte_order_mark: true });
        for tag in ["es-MX", "de-CH"] {
            assert_eq!(style(tag), NumberStyle { decimal_mark: '.', delimiter: b',', byte_order_mark: true }, "{tag}");
        }
    }

    #[test]
    fn yen_have_no_decimals() {
        let mut invoice = invoice();
        invoice.currency = "JPY".parse().expect("a currency");
        invoice.total = decimal("1234567");
        assert_eq!(model(&invoice, "en").total.amount.text, "JPY\u{a0}1,234,567");
    }
}
