//! Seller and buyer: what EN 16931 must know of them, checked and written.

use std::io;

use super::{refusal::UblRefusal, xml::Xml};
use crate::{
    documents::{
        accounting::Registration,
        model::{DocumentModel, Party},
    },
    domain::{country::Country, taxes::TaxCategory},
};

/// Which party, and what is required of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Seller,
    Buyer,
}

impl Role {
    fn element(self) -> &'static str {
        match self {
            Self::Seller => "cac:AccountingSupplierParty",
            Self::Buyer => "cac:AccountingCustomerParty",
        }
    }

    /// Returns what the directory calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Seller => "reseller",
            Self::Buyer => "customer",
        }
    }

    /// Returns the rule that asks for a tax id under a category, if one does.
    fn tax_id_rule(self, categories: &[TaxCategory]) -> Option<&'static str> {
        match self {
            Self::Seller => Some("BR-CO-26"),
            Self::Buyer if categories.contains(&TaxCategory::ReverseCharge) => Some("BR-AE-02"),
            Self::Buyer if categories.contains(&TaxCategory::IntraCommunity) => Some("BR-IC-02"),
            Self::Buyer => None,
        }
    }

    /// Tells whether a category is only for who is registered for VAT (BR-IC-02, BR-G-02).
    fn needs_vat_number(self, category: TaxCategory) -> bool {
        match category {
            TaxCategory::IntraCommunity => true,
            TaxCategory::Export => self == Self::Seller,
            TaxCategory::Standard
            | TaxCategory::ZeroRated
            | TaxCategory::Exempt
            | TaxCategory::ReverseCharge
            | TaxCategory::OutsideScope => false,
        }
    }
}

/// A party that has all that EN 16931 requires.
pub(super) struct UblParty<'m> {
    role: Role,
    party: &'m Party,
    pub country: Country,
    tax_id: Option<&'m str>,
    is_vat_number: bool,
    /// Who is outside the scope of VAT names no VAT number (BR-O-02).
    is_outside_scope: bool,
}

impl<'m> UblParty<'m> {
    /// Checks a party under the tax categories of an invoice's lines.
    pub fn new(role: Role, model: &'m DocumentModel, categories: &[TaxCategory]) -> Result<Self, UblRefusal> {
        let (party, Registration { tax_id, country }) = match role {
            Role::Seller => (&model.issuer, &model.accounting.issuer),
            Role::Buyer => (&model.customer, &model.accounting.customer),
        };
        let number = || model.printed_number().clone();
        let missing = |field, rule| UblRefusal::Missing { number: number(), party: role.name(), field, rule };
        if party.name.trim().is_empty() {
            return Err(missing("name", if role == Role::Seller { "BR-06" } else { "BR-07" }));
        }
        let country =
            country.ok_or_else(|| missing("country", if role == Role::Seller { "BR-09" } else { "BR-11" }))?;
        let tax_id = tax_id.as_deref();
        if let (None, Some(rule)) = (tax_id, role.tax_id_rule(categories)) {
            return Err(missing("tax_id", rule));
        }
        let is_vat_number = tax_id.is_some_and(|tax_id| country.is_vat_number(tax_id));
        let needing = categories.iter().find(|category| role.needs_vat_number(**category) && !is_vat_number);
        if let (Some(category), Some(tax_id)) = (needing, tax_id) {
            let (category, party, tax_id) = (*category, role.name(), tax_id.to_owned());
            return Err(UblRefusal::NoVatNumber { number: number(), category, party, tax_id });
        }
        let is_outside_scope = categories.contains(&TaxCategory::OutsideScope);
        Ok(Self { role, party, country, tax_id, is_vat_number, is_outside_scope })
    }

    pub fn write(&self, xml: &mut Xml) -> io::Result<()> {
        xml.element(self.role.element(), |xml| {
            xml.element("cac:Party", |xml| {
                xml.element("cac:PostalAddress", |xml| self.write_address(xml))?;
                self.write_tax_scheme(xml)?;
                xml.element("cac:PartyLegalEntity", |xml| {
                    xml.text("cbc:RegistrationName", &self.party.name)?;
                    // What is no VAT number identifies the company all the same.
                    let is_registration = !self.is_vat_number || self.is_outside_scope;
                    xml.text("cbc:CompanyID", self.tax_id.filter(|_| is_registration).unwrap_or_default())
                })
            })
        })
    }

    /// Writes the address as it is printed, line by line: which of them is the city is not known.
    fn write_address(&self, xml: &mut Xml) -> io::Result<()> {
        let mut lines = self.party.address.iter();
        xml.text("cbc:StreetName", lines.next().map_or("", String::as_str))?;
        xml.text("cbc:AdditionalStreetName", lines.next().map_or("", String::as_str))?;
        let rest = lines.map(String::as_str).collect::<Vec<_>>().join(", ");
        if !rest.trim().is_empty() {
            xml.element("cac:AddressLine", |xml| xml.text("cbc:Line", &rest))?;
        }
        xml.element("cac:Country", |xml| xml.text("cbc:IdentificationCode", &self.country.to_string()))
    }

    fn write_tax_scheme(&self, xml: &mut Xml) -> io::Result<()> {
        let Some(tax_id) = self.tax_id.filter(|_| !self.is_outside_scope) else { return Ok(()) };
        let scheme = match (self.is_vat_number, self.role) {
            (true, _) => "VAT",
            (false, Role::Seller) => "TAX",
            (false, Role::Buyer) => return Ok(()),
        };
        xml.element("cac:PartyTaxScheme", |xml| {
            xml.text("cbc:CompanyID", tax_id)?;
            xml.element("cac:TaxScheme", |xml| xml.text("cbc:ID", scheme))
        })
    }
}
