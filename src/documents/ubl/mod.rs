//! The invoice as an e-invoice: UBL 2.1 with the content of EN 16931, an `Invoice` or a `CreditNote`.
//!
//! Called to render the document kind `ubl`. What the standard requires and the invoice lacks is a [`UblRefusal`]; all is
//! checked before the first byte is written. Element order is that of the UBL schemas; the tests ask the schemas and the
//! official rules. docs/UBL.md says what is in it.

mod parties;
mod refusal;
mod vat;
mod xml;

#[cfg(test)]
mod rules_tests;

use std::{collections::BTreeMap, io};

use bigdecimal::{BigDecimal, Signed};
use chrono::NaiveDate;

pub use self::refusal::UblRefusal;
use self::{
    parties::{Role, UblParty},
    vat::{TaxShare, Vat, shares},
    xml::Xml,
};
use super::{
    DocumentError,
    model::{DocumentModel, MarkKind, PrintedLine, Section},
};
use crate::domain::taxes::TaxCategory;

/// Says which rules the document keeps.
const CUSTOMIZATION: &str = "urn:cen.eu:en16931:2017";
/// Most decimals that an amount may have (BR-DEC-09 and those behind it).
const MAX_DECIMALS: i64 = 2;
/// Where the names of aggregates and of simple elements are defined.
const AGGREGATES: &str = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2";
const BASICS: &str = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2";

/// What invoices and credit notes call the same things.
struct Names {
    root: &'static str,
    namespace: &'static str,
    type_code: (&'static str, &'static str),
    line: &'static str,
    quantity: &'static str,
}

const INVOICE: Names = Names {
    root: "Invoice",
    namespace: "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2",
    type_code: ("cbc:InvoiceTypeCode", "380"),
    line: "cac:InvoiceLine",
    quantity: "cbc:InvoicedQuantity",
};
const CREDIT_NOTE: Names = Names {
    root: "CreditNote",
    namespace: "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2",
    type_code: ("cbc:CreditNoteTypeCode", "381"),
    line: "cac:CreditNoteLine",
    quantity: "cbc:CreditedQuantity",
};

/// A printed line with its one VAT category.
struct Item<'m> {
    section: &'m Section,
    line: &'m PrintedLine,
    vat: Vat,
}

/// An invoice that has all that EN 16931 requires.
struct EInvoice<'m> {
    model: &'m DocumentModel,
    names: &'static Names,
    issued_on: NaiveDate,
    seller: UblParty<'m>,
    buyer: UblParty<'m>,
    lines: Vec<Item<'m>>,
    /// Custom charges and discounts.
    charges: Vec<Item<'m>>,
    shares: BTreeMap<Vat, TaxShare>,
}

/// Renders the invoice as UBL.
///
/// # Errors
/// [`UblRefusal`] when there is none.
pub(super) fn render(model: &DocumentModel) -> Result<Vec<u8>, DocumentError> {
    EInvoice::of(model)?.write().map_err(DocumentError::Write)
}

impl<'m> EInvoice<'m> {
    fn of(model: &'m DocumentModel) -> Result<Self, UblRefusal> {
        let number = || model.printed_number().clone();
        let issued_on = match (model.mark.as_ref().map(|mark| mark.kind), model.accounting.issued_on) {
            (Some(MarkKind::Void), _) => return Err(UblRefusal::Void { number: number() }),
            (Some(MarkKind::Draft), _) | (None, None) => return Err(UblRefusal::Draft { number: number() }),
            (None, Some(issued_on)) => issued_on,
        };
        if model.accounting.is_view {
            return Err(UblRefusal::View { number: number() });
        }
        let (currency, minor_units) = (model.currency.code(), model.currency.minor_units());
        if minor_units > MAX_DECIMALS {
            return Err(UblRefusal::Decimals { number: number(), currency, minor_units });
        }
        let (mut charges, mut lines) = (Vec::new(), Vec::new());
        for section in &model.sections {
            let items = if section.is_custom_charges { &mut charges } else { &mut lines };
            for line in &section.lines {
                items.push(Item { section, line, vat: Vat::of(line, model)? });
            }
        }
        if lines.is_empty() {
            // A charge needs something that it is on top of.
            std::mem::swap(&mut lines, &mut charges);
        }
        if lines.is_empty() {
            return Err(UblRefusal::NoLines { number: number() });
        }
        let shares = shares(lines.iter().chain(&charges).map(|item| (&item.vat, item.line)), model);
        let categories: Vec<TaxCategory> = shares.keys().map(|vat| vat.category).collect();
        Ok(Self {
            model,
            names: if model.is_credit_note { &CREDIT_NOTE } else { &INVOICE },
            issued_on,
            seller: UblParty::new(Role::Seller, model, &categories)?,
            buyer: UblParty::new(Role::Buyer, model, &categories)?,
            lines,
            charges,
            shares,
        })
    }

    fn write(&self) -> io::Result<Vec<u8>> {
        let mut xml = Xml::new(self.model.currency.code())?;
        let namespaces = [("xmlns", self.names.namespace), ("xmlns:cac", AGGREGATES), ("xmlns:cbc", BASICS)];
        xml.root(self.names.root, &namespaces, |xml| {
            self.write_head(xml)?;
            self.write_references(xml)?;
            self.seller.write(xml)?;
            self.buyer.write(xml)?;
            self.write_delivery(xml)?;
            let terms = &self.model.accounting.payment_terms;
            xml.element("cac:PaymentTerms", |xml| xml.text("cbc:Note", terms))?;
            self.charges.iter().try_for_each(|charge| write_charge(xml, charge))?;
            self.write_taxes(xml)?;
            self.write_totals(xml)?;
            self.lines.iter().zip(1..).try_for_each(|(item, id)| self.write_line(xml, item, id))
        })?;
        Ok(xml.finish())
    }

    fn write_head(&self, xml: &mut Xml) -> io::Result<()> {
        let model = self.model;
        xml.text("cbc:CustomizationID", CUSTOMIZATION)?;
        xml.text("cbc:ID", model.printed_number())?;
        xml.text("cbc:IssueDate", &self.issued_on.to_string())?;
        let (name, code) = self.names.type_code;
        xml.text(name, code)?;
        // The purchase order has a field of its own.
        let fields = model.references.iter().skip(usize::from(model.accounting.purchase_order.is_some()));
        let fields = fields.map(|field| format!("{}: {}", field.label, field.value));
        for note in model.notes.iter().cloned().chain(fields) {
            // Between two `#` a reader looks for the code of the note's subject (BR-CL-08).
            xml.text("cbc:Note", &note.replace('#', "＃"))?;
        }
        xml.text("cbc:DocumentCurrencyCode", model.currency.code())
    }

    fn write_references(&self, xml: &mut Xml) -> io::Result<()> {
        let accounting = &self.model.accounting;
        xml.element("cac:InvoicePeriod", |xml| {
            xml.text("cbc:StartDate", &accounting.billing_period.start().to_string())?;
            xml.text("cbc:EndDate", &accounting.billing_period.last_day().to_string())
        })?;
        if let Some(order) = accounting.purchase_order.as_ref().filter(|order| !order.trim().is_empty()) {
            xml.element("cac:OrderReference", |xml| xml.text("cbc:ID", order))?;
        }
        if let Some(replaced) = &accounting.replaced_number {
            xml.element("cac:BillingReference", |xml| {
                xml.element("cac:InvoiceDocumentReference", |xml| xml.text("cbc:ID", replaced))
            })?;
        }
        Ok(())
    }

    /// Writes where services go that are supplied to another member state (BR-IC-12).
    fn write_delivery(&self, xml: &mut Xml) -> io::Result<()> {
        if !self.shares.keys().any(|vat| vat.category == TaxCategory::IntraCommunity) {
            return Ok(());
        }
        xml.element("cac:Delivery", |xml| {
            xml.element("cac:DeliveryLocation", |xml| {
                xml.element("cac:Address", |xml| {
                    let code = self.buyer.country.to_string();
                    xml.element("cac:Country", |xml| xml.text("cbc:IdentificationCode", &code))
                })
            })
        })
    }

    fn write_taxes(&self, xml: &mut Xml) -> io::Result<()> {
        let tax: BigDecimal = self.shares.values().map(|share| &share.amount).sum();
        xml.element("cac:TaxTotal", |xml| {
            xml.amount("cbc:TaxAmount", &self.model.currency.round(&tax))?;
            for (vat, share) in &self.shares {
                xml.element("cac:TaxSubtotal", |xml| {
                    xml.amount("cbc:TaxableAmount", &share.base)?;
                    xml.amount("cbc:TaxAmount", &share.amount)?;
                    write_category(xml, "cac:TaxCategory", vat, Some(share))
                })?;
            }
            Ok(())
        })
    }

    fn write_totals(&self, xml: &mut Xml) -> io::Result<()> {
        let currency = self.model.currency;
        let (subtotal, total) = (&self.model.subtotal.amount.value, &self.model.total.amount.value);
        let sum = |items: &mut dyn Iterator<Item = &Item<'_>>| -> BigDecimal {
            currency.round(&items.map(|item| item.line.net.value.abs()).sum())
        };
        let allowances = sum(&mut self.charges.iter().filter(|charge| is_allowance(charge)));
        let surcharges = sum(&mut self.charges.iter().filter(|charge| !is_allowance(charge)));
        xml.element("cac:LegalMonetaryTotal", |xml| {
            xml.amount("cbc:LineExtensionAmount", &(subtotal + &allowances - &surcharges))?;
            xml.amount("cbc:TaxExclusiveAmount", subtotal)?;
            xml.amount("cbc:TaxInclusiveAmount", total)?;
            if self.charges.iter().any(is_allowance) {
                xml.amount("cbc:AllowanceTotalAmount", &allowances)?;
            }
            if !self.charges.iter().all(is_allowance) {
                xml.amount("cbc:ChargeTotalAmount", &surcharges)?;
            }
            xml.amount("cbc:PayableAmount", total)
        })
    }

    /// Writes a line as one piece of its price; a price is never negative (BR-27), so the piece is.
    fn write_line(&self, xml: &mut Xml, item: &Item<'_>, id: usize) -> io::Result<()> {
        let Item { section, line, vat } = item;
        let net = &line.net.value;
        let heading = section.printed_heading();
        let section_name = section.printed_id().map_or_else(|| heading.clone(), |id| format!("{heading} ({id})"));
        xml.element(self.names.line, |xml| {
            xml.text("cbc:ID", &id.to_string())?;
            xml.text("cbc:Note", &section_name)?;
            xml.pieces(self.names.quantity, if net.is_negative() { "-1" } else { "1" })?;
            xml.amount("cbc:LineExtensionAmount", net)?;
            xml.element("cac:Item", |xml| {
                xml.text("cbc:Description", line.category.as_deref().unwrap_or_default())?;
                xml.text("cbc:Name", name_of(item))?;
                write_category(xml, "cac:ClassifiedTaxCategory", vat, None)
            })?;
            xml.element("cac:Price", |xml| xml.amount("cbc:PriceAmount", &net.abs()))
        })
    }
}

/// Returns what a line is called; something it must be (BR-25).
fn name_of<'m>(item: &Item<'m>) -> &'m str {
    let names = [&item.line.description, &item.section.name];
    names.into_iter().map(|name| name.trim()).find(|name| !name.is_empty()).unwrap_or("-")
}

fn is_allowance(charge: &Item<'_>) -> bool {
    charge.line.net.value.is_negative()
}

fn write_charge(xml: &mut Xml, charge: &Item<'_>) -> io::Result<()> {
    xml.element("cac:AllowanceCharge", |xml| {
        xml.text("cbc:ChargeIndicator", if is_allowance(charge) { "false" } else { "true" })?;
        xml.text("cbc:AllowanceChargeReason", name_of(charge))?;
        xml.amount("cbc:Amount", &charge.line.net.value.abs())?;
        write_category(xml, "cac:TaxCategory", &charge.vat, None)
    })
}

fn write_category(xml: &mut Xml, name: &'static str, vat: &Vat, share: Option<&TaxShare>) -> io::Result<()> {
    xml.element(name, |xml| {
        xml.text("cbc:ID", vat.category.as_str())?;
        xml.text("cbc:Percent", &vat.percent().unwrap_or_default())?;
        if let Some(share) = share {
            xml.text("cbc:TaxExemptionReasonCode", share.exemption_code.as_deref().unwrap_or_default())?;
            xml.text("cbc:TaxExemptionReason", share.exemption_reason.as_deref().unwrap_or_default())?;
        }
        xml.element("cac:TaxScheme", |xml| xml.text("cbc:ID", "VAT"))
    })
}
