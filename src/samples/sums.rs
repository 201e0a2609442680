//! The exact sums of a sample, added up while it is written, in the shape of the `.expected.json` of charge files.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    SampleOptions,
    amount::Sum,
    cast::Cast,
    charge::{Kind, SampleCharge},
    scenes::Scene,
};

const CATEGORIES: [&str; 5] = ["Usage", "Purchase", "Tax", "Credit", "Adjustment"];

/// Sums of a file, in memory that grows with its accounts only.
pub(super) struct Sums {
    /// By account and category.
    by_account: Vec<[Sum; CATEGORIES.len()]>,
    by_service: BTreeMap<(&'static str, usize), Sum>,
    negative: u64,
    zero: u64,
    with_exponent: u64,
    corrections: u64,
}

impl Sums {
    pub(super) fn new(accounts: usize) -> Self {
        Self {
            by_account: vec![<[Sum; CATEGORIES.len()]>::default(); accounts],
            by_service: BTreeMap::new(),
            negative: 0,
            zero: 0,
            with_exponent: 0,
            corrections: 0,
        }
    }

    pub(super) fn add(&mut self, charge: &SampleCharge<'_>) {
        let category = CATEGORIES.iter().position(|category| *category == charge.kind.category());
        let of_account = self.by_account.get_mut(charge.account.number);
        if let Some(sum) = of_account.zip(category).and_then(|(sums, category)| sums.get_mut(category)) {
            sum.add(charge.cost);
        }
        self.by_service.entry((charge.payer.currency, charge.service_number)).or_default().add(charge.cost);
        self.negative += u64::from(charge.cost.mantissa < 0);
        self.zero += u64::from(charge.cost.mantissa == 0);
        self.with_exponent += u64::from(charge.has_exponent);
        self.corrections += u64::from(charge.kind == Kind::Correction);
    }

    pub(super) fn to_json(&self, options: &SampleOptions, scene: &Scene, cast: &Cast) -> Value {
        let mut by_currency = BTreeMap::new();
        let mut by_category = BTreeMap::new();
        let mut by_account = BTreeMap::new();
        let mut by_account_category = BTreeMap::new();
        let mut by_service = BTreeMap::new();
        for (account, sums) in cast.accounts.iter().zip(&self.by_account) {
            let currency = cast.payers.get(account.payer).map_or("", |payer| payer.currency);
            for (category, sum) in CATEGORIES.iter().zip(sums).filter(|(_, sum)| sum.rows > 0) {
                merge(&mut by_currency, currency.to_owned(), *sum);
                merge(&mut by_category, format!("{currency}|{category}"), *sum);
                merge(&mut by_account, format!("{currency}|{}", account.id), *sum);
                merge(&mut by_account_category, format!("{currency}|{}|{category}", account.id), *sum);
            }
        }
        for ((currency, number), sum) in &self.by_service {
            let name = scene.services.get(*number).map_or("", |service| service.name);
            merge(&mut by_service, format!("{currency}|{name}"), *sum);
        }
        let rows_of = |category: &str| {
            let of_category = by_category.iter().filter(|(key, _)| key.ends_with(&format!("|{category}")));
            of_category.map(|(_, sum): (_, &Sum)| sum.rows).sum::<u64>()
        };
        json!({
            "family": options.format.as_str(),
            "provider": options.provider,
            "columns": options.format.columns().len(),
            "traps": {
                "rows": options.rows,
                "negative": self.negative,
                "zero": self.zero,
                "sci_notation": self.with_exponent,
                "correction": self.corrections,
                "tax": rows_of("Tax"),
                "credit": rows_of("Credit"),
            },
            "billing_periods": [format!("{}T00:00:00Z", options.billing_period.start())],
            "by_currency": to_json(by_currency),
            "by_currency_subaccount": to_json(by_account),
            "by_currency_service": to_json(by_service),
            "by_currency_category": to_json(by_category),
            "by_currency_subaccount_category": to_json(by_account_category),
        })
    }
}

fn merge(sums: &mut BTreeMap<String, Sum>, key: String, sum: Sum) {
    sums.entry(key).or_default().merge(sum);
}

fn to_json(sums: BTreeMap<String, Sum>) -> Value {
    sums.into_iter().map(|(key, sum)| (key, json!({ "sum": sum.to_text(), "rows": sum.rows }))).collect()
}
