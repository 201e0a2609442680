//! What a directory must be before it is applied: every problem names the thing, the value and the way out.
//!
//! Here is what the document itself can tell; what depends on customers that it does not name, the store checks.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::{BigDecimal, Signed};
use chrono::{Datelike, NaiveDate};

use super::{
    branding::BrandingProblem,
    custom_field::{CheckedField, CustomFieldProblem, MAX_PRINTED_CHARS},
    directory::{Customer, Directory, ProviderAccount},
    mail_settings::MailSettingsProblem,
};

/// Printed fields that the head of a document has room for.
pub const MAX_PRINTED_FIELDS: usize = 6;
/// Longest account id: providers' are far shorter, and it is part of several indexes.
const MAX_ACCOUNT_CHARS: usize = 200;

/// What is wrong with a directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryProblem {
    /// A provider that nobody knows.
    #[error("{place} names the provider `{provider}`; known: {known}")]
    UnknownProvider {
        /// What names it.
        place: String,
        /// The id.
        provider: String,
        /// The ids there are.
        known: String,
    },
    /// Two of what there is one of.
    #[error("{what} stands twice; name it once")]
    Twice {
        /// The thing, with its value.
        what: String,
    },
    /// A text that must not be empty, or is too long.
    #[error("{what} has {length} characters; write 1 to {max}")]
    Length {
        /// The thing.
        what: String,
        /// Of the text.
        length: usize,
        /// At most.
        max: usize,
    },
    /// Days that are none.
    #[error(
        "account `{account}` of {customer} is held from {from} to {to}, which is no day; `valid_to` is the day after the last"
    )]
    NoDay {
        /// Provider and account.
        account: String,
        /// Who holds it.
        customer: String,
        /// First day.
        from: NaiveDate,
        /// The day after the last.
        to: NaiveDate,
    },
    /// A year that is a slip of the pen.
    #[error("account `{account}` of {customer} has the day {day}; write one from 1900 to 2999, or leave it out")]
    Year {
        /// Provider and account.
        account: String,
        /// Who holds it.
        customer: String,
        /// The day.
        day: NaiveDate,
    },
    /// One account, two holders, one day.
    #[error(
        "account `{account}` is {one}'s and {other}'s on {day}; end one assignment with `valid_to` where the other begins"
    )]
    TwoHolders {
        /// Provider and account.
        account: String,
        /// One holder.
        one: String,
        /// The other.
        other: String,
        /// The first day that both have; `any day` where there is none before.
        day: String,
    },
    /// A field's definition.
    #[error(transparent)]
    Field(#[from] CustomFieldProblem),
    /// The reseller's branding.
    #[error(transparent)]
    Branding(#[from] BrandingProblem),
    /// How the reseller's mails are sent and worded.
    #[error(transparent)]
    Mail(#[from] MailSettingsProblem),
    /// Two fields in one place.
    #[error("custom fields `{0}` and `{1}` have the same position {2}; give each its own")]
    Position(String, String, i32),
    /// More than a document's head has room for.
    #[error(
        "{0} custom fields are printed; documents have room for {MAX_PRINTED_FIELDS}, set `printed` to false for others"
    )]
    TooManyPrinted(usize),
    /// A value of a field that is not defined.
    #[error("{customer} has a value for the custom field `{key}`, which is not defined; add it to `custom_fields`")]
    UnknownField {
        /// Whose.
        customer: String,
        /// The key.
        key: String,
    },
    /// A customer's value.
    #[error("{customer}: {problem}")]
    Value {
        /// Whose.
        customer: String,
        /// What is wrong.
        problem: CustomFieldProblem,
    },
    /// A rate out of range.
    #[error("{what} is {rate}; write {range}")]
    Rate {
        /// The thing.
        what: String,
        /// Its value.
        rate: BigDecimal,
        /// What can be.
        range: &'static str,
    },
}

impl Directory {
    /// Checks all that the document itself can tell.
    ///
    /// # Errors
    /// The first [`DirectoryProblem`].
    pub fn check(&self) -> Result<(), DirectoryProblem> {
        if let Some(branding) = &self.reseller.branding {
            branding.check()?;
        }
        if let Some(mail) = &self.reseller.mail {
            mail.check()?;
        }
        let fields = self.check_fields()?;
        once(self.customers.iter().map(|customer| format!("customer {}", customer.id)))?;
        for customer in &self.customers {
            check_customer(customer, &fields)?;
        }
        self.check_holders()?;
        self.check_rates()
    }

    /// Checks that every provider is known.
    ///
    /// # Errors
    /// [`DirectoryProblem::UnknownProvider`] for the first that is not.
    pub fn check_providers(&self, known: &[&str]) -> Result<(), DirectoryProblem> {
        let accounts = self.customers.iter().flat_map(|customer| {
            let place =
                |account: &ProviderAccount| format!("account `{}` of {}", account.account_id, name_of(customer));
            customer.accounts.iter().map(move |account| (account.provider.as_str(), place(account)))
        });
        let markups =
            self.markups.iter().filter_map(|markup| Some((markup.provider.as_deref()?, "a markup".to_owned())));
        let rules =
            self.price_rules.iter().filter_map(|rule| Some((rule.provider.as_deref()?, "a price rule".to_owned())));
        let charges = self
            .custom_charges
            .iter()
            .filter_map(|charge| Some((charge.provider.as_deref()?, "a custom charge".to_owned())));
        let waivers = self.unassigned_waivers.iter().map(|waiver| {
            (
                waiver.provider.as_str(),
                format!("the waiver of account `{}` in {}", waiver.account_id, waiver.billing_period),
            )
        });
        match accounts
            .chain(markups)
            .chain(rules)
            .chain(charges)
            .chain(waivers)
            .find(|(provider, _)| !known.contains(provider))
        {
            Some((provider, place)) => {
                Err(DirectoryProblem::UnknownProvider { place, provider: provider.to_owned(), known: known.join(", ") })
            }
            None => Ok(()),
        }
    }

    fn check_fields(&self) -> Result<BTreeMap<&str, CheckedField<'_>>, DirectoryProblem> {
        once(self.custom_fields.iter().map(|field| format!("custom field `{}`", field.key)))?;
        let mut positions = BTreeMap::new();
        let mut checked = BTreeMap::new();
        for field in &self.custom_fields {
            checked.insert(field.key.as_str(), field.check()?);
            if let Some(other) = positions.insert(field.position, &field.key) {
                return Err(DirectoryProblem::Position(other.clone(), field.key.clone(), field.position));
            }
        }
        let printed = self.custom_fields.iter().filter(|field| field.printed).count();
        if printed > MAX_PRINTED_FIELDS { Err(DirectoryProblem::TooManyPrinted(printed)) } else { Ok(checked) }
    }

    fn check_holders(&self) -> Result<(), DirectoryProblem> {
        let mut holdings: Vec<(&ProviderAccount, &Customer)> = self
            .customers
            .iter()
            .flat_map(|customer| customer.accounts.iter().map(move |account| (account, customer)))
            .collect();
        // Sorted by first day, an overlap is one of neighbours: whoever overlaps two has the nearer one in between.
        holdings.sort_by_key(|(account, _)| (&account.provider, &account.account_id, account.valid_from));
        for pair in holdings.windows(2) {
            let [(earlier, one), (later, other)] = pair else { continue };
            let is_same = (&earlier.provider, &earlier.account_id) == (&later.provider, &later.account_id);
            let is_over = matches!((earlier.valid_to, later.valid_from), (Some(end), Some(start)) if end <= start);
            if is_same && !is_over {
                return Err(DirectoryProblem::TwoHolders {
                    account: later.name(),
                    one: name_of(one),
                    other: name_of(other),
                    day: later.valid_from.map_or_else(|| "any day".to_owned(), |day| day.to_string()),
                });
            }
        }
        Ok(())
    }

    fn check_rates(&self) -> Result<(), DirectoryProblem> {
        if let Some(rate) = self.exchange_rates.iter().find(|rate| !rate.rate.is_positive()) {
            let what = format!("the rate from {} to {} of {}", rate.from, rate.to, rate.rated_on);
            return Err(DirectoryProblem::Rate { what, rate: rate.rate.clone(), range: "more than 0" });
        }
        Ok(())
    }
}

impl ProviderAccount {
    /// Returns provider and account id as messages name them.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.account_id)
    }
}

fn check_customer(customer: &Customer, fields: &BTreeMap<&str, CheckedField<'_>>) -> Result<(), DirectoryProblem> {
    let name = name_of(customer);
    length(|| format!("the name of customer {}", customer.id), &customer.name, 400)?;
    once(customer.contacts.iter().map(|contact| format!("contact `{}` of {name}", contact.email)))?;
    if let Some(order) = &customer.purchase_order {
        length(|| format!("the purchase order of {name}"), order, MAX_PRINTED_CHARS)?;
    }
    for (key, value) in &customer.fields {
        let unknown = || DirectoryProblem::UnknownField { customer: name.clone(), key: key.clone() };
        let field = fields.get(key.as_str()).ok_or_else(unknown)?;
        let problem = |problem| DirectoryProblem::Value { customer: name.clone(), problem };
        field.check_value(value).map_err(problem)?;
    }
    customer.accounts.iter().try_for_each(|account| check_account(account, &name))
}

fn check_account(account: &ProviderAccount, customer: &str) -> Result<(), DirectoryProblem> {
    length(|| format!("an account id of {customer}"), &account.account_id, MAX_ACCOUNT_CHARS)?;
    let (name, customer) = (account.name(), customer.to_owned());
    let days = account.valid_from.into_iter().chain(account.valid_to);
    if let Some(day) = days.into_iter().find(|day| !(1900..3000).contains(&day.year())) {
        return Err(DirectoryProblem::Year { account: name, customer, day });
    }
    match (account.valid_from, account.valid_to) {
        (Some(from), Some(to)) if to <= from => Err(DirectoryProblem::NoDay { account: name, customer, from, to }),
        _ => Ok(()),
    }
}

fn length(what: impl Fn() -> String, text: &str, max: usize) -> Result<(), DirectoryProblem> {
    let length = text.chars().count();
    let is_good = !text.trim().is_empty() && length <= max;
    if is_good { Ok(()) } else { Err(DirectoryProblem::Length { what: what(), length, max }) }
}

fn once(names: impl Iterator<Item = String>) -> Result<(), DirectoryProblem> {
    let mut known = BTreeSet::new();
    for what in names {
        if !known.insert(what.clone()) {
            return Err(DirectoryProblem::Twice { what });
        }
    }
    Ok(())
}

fn name_of(customer: &Customer) -> String {
    format!("`{}`", customer.name.chars().take(60).collect::<String>())
}
