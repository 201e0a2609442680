//! Properties of priced invoices that hold whatever the charges, rules and custom charges are.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::{
    custom_charges::CustomCharge,
    invoice::{PricedInvoice, TaxRate, price_invoice},
    price_rules::PriceRule,
};

fn groups() -> impl Strategy<Value = Vec<CostGroup>> {
    let category = prop_oneof![
        Just(ChargeCategory::Usage),
        Just(ChargeCategory::Purchase),
        Just(ChargeCategory::Credit),
        Just(ChargeCategory::Adjustment),
        Just(ChargeCategory::Tax)
    ];
    let group = (0..3_u8, 0..3_u8, category, any::<bool>(), -1_000_000_000..1_000_000_000_i64, 0..12_i64);
    let group = group.prop_map(|(account, service, charge_category, is_correction, digits, scale)| CostGroup {
        sub_account_id: format!("account {account}"),
        sub_account_name: format!("account {account}"),
        service_name: format!("service {service}"),
        service_category: (service > 0).then(|| format!("category {}", service % 2)),
        sku_id: None,
        charge_category,
        correction_of: is_correction.then(|| "2026-07-01".parse().expect("a day")),
        billing_currency: euro(),
        billed_cost: BigDecimal::new(digits.into(), scale),
        charge_count: 1,
        non_zero_count: i64::from(digits != 0),
    });
    proptest::collection::vec(group, 0..30)
}

fn euro() -> Currency {
    "EUR".parse().expect("a currency")
}

fn terms(markup: i64, margin: i64, mirror_markup: bool) -> PriceTerms {
    let rule = |method: &str, rate: i64, service: Option<&str>| -> PriceRule {
        let rate = BigDecimal::new(rate.into(), 3).to_plain_string();
        serde_json::from_value(json!({ "method": method, "rate": rate, "service_name": service })).expect("a rule")
    };
    let charge = |value: serde_json::Value| -> CustomCharge { serde_json::from_value(value).expect("a charge") };
    PriceTerms {
        priced_on: "2026-08-01".parse().expect("a day"),
        rules: PriceRules::new(vec![rule("markup", markup, None), rule("margin", margin, Some("service 1"))]),
        mirror_markup,
        custom_charges: vec![
            charge(
                json!({ "name": "a", "is_discount": true, "formula": { "kind": "percent", "basis": "price", "rate": "0.0333" } }),
            ),
            charge(json!({ "name": "b", "currency": "EUR", "minimum": "0.005", "maximum": "77",
                           "formula": { "kind": "tiered", "basis": "cost", "mode": "graduated",
                                        "tiers": [{ "up_to": "1000", "rate": "0.017" }, { "rate": "0.011" }] } })),
        ],
        ..PriceTerms::of_markup(euro(), BigDecimal::zero())
    }
}

fn price(groups: Vec<CostGroup>, terms: &PriceTerms) -> PricedInvoice {
    let taxes = [TaxRate::new("IVA", "0.21".parse().expect("a rate"))];
    price_invoice(groups, terms, &taxes, LinesBy::Service).expect("an invoice")
}

proptest! {
    #[test]
    fn an_invoice_adds_up_whatever_is_on_it(
        groups in groups(), markup in -900..3_000_i64, margin in -900..990_i64, mirror_markup in any::<bool>(),
    ) {
        let terms = terms(markup, margin, mirror_markup);
        let priced = price(groups.clone(), &terms);
        let sum = |amounts: &mut dyn Iterator<Item = BigDecimal>| -> BigDecimal { amounts.sum() };
        prop_assert_eq!(&priced.subtotal, &sum(&mut priced.lines.iter().map(|line| line.net.clone())));
        prop_assert_eq!(&priced.exact_subtotal, &sum(&mut priced.lines.iter().map(|line| line.price_exact.clone())));
        prop_assert_eq!(&priced.rounding_delta, &(&priced.subtotal - &priced.exact_subtotal));
        prop_assert_eq!(&priced.total, &(&priced.subtotal + &priced.tax));
        prop_assert_eq!(&priced.tax, &euro().round(&(&priced.subtotal * priced.taxes[0].rate.clone())));
        let half_a_cent = BigDecimal::new(5.into(), 3) * BigDecimal::from(u32::try_from(priced.lines.len()).expect("few"));
        prop_assert!(priced.rounding_delta.abs() <= half_a_cent);
        let cost = |group: &CostGroup| group.billed_cost.clone();
        let resold = groups.iter().filter(|group| group.charge_category != ChargeCategory::Tax);
        prop_assert_eq!(
            sum(&mut priced.lines.iter().map(|line| line.cost_exact.clone())),
            sum(&mut resold.map(cost)),
            "no cost is lost and custom charges have none"
        );
        for line in priced.lines.iter().filter(|line| !line.is_custom_charge()) {
            let parts = || line.details.prices.iter();
            prop_assert_eq!(&line.cost_exact, &parts().map(|part| &part.cost_exact).sum::<BigDecimal>());
            let exact: BigDecimal = parts().map(|part| &part.price_exact).sum();
            prop_assert!((&line.price_exact - exact).abs() < BigDecimal::new(1.into(), 49));
            prop_assert!(parts().all(|part| part.rule.is_none_or(|rule| priced.rules.get(rule).is_some())));
        }
    }

    #[test]
    fn the_order_of_charges_changes_nothing(
        (groups, shuffled) in groups().prop_flat_map(|groups| (Just(groups.clone()), Just(groups).prop_shuffle())),
    ) {
        let terms = terms(125, 360, false);
        prop_assert_eq!(price(groups, &terms), price(shuffled, &terms));
    }
}

#[test]
fn parts_by_margin_that_make_half_a_cent_together_round_up() {
    let group = |service_category: &str, cost: &str| CostGroup {
        sub_account_id: "a".into(),
        sub_account_name: "a".into(),
        service_name: "s".into(),
        service_category: Some(service_category.into()),
        sku_id: None,
        charge_category: ChargeCategory::Usage,
        correction_of: None,
        billing_currency: euro(),
        billed_cost: cost.parse().expect("a cost"),
        charge_count: 1,
        non_zero_count: 1,
    };
    let margin = |service_category: &str, rate: &str| -> PriceRule {
        serde_json::from_value(json!({ "service_category": service_category, "method": "margin", "rate": rate }))
            .expect("a rule")
    };
    // Three times 0.0001 ÷ 0.3, which has no end, and 0.0012 ÷ 0.3 make 0.005; cut off, they would make less.
    let costs = [("w", "0.0001"), ("x", "0.0001"), ("y", "0.0001"), ("z", "0.0012")];
    let rules = PriceRules::new(costs.iter().map(|(category, _)| margin(category, "0.7")).collect());
    let terms = PriceTerms { rules, ..PriceTerms::of_markup(euro(), BigDecimal::zero()) };
    let priced = price(costs.iter().map(|(category, cost)| group(category, cost)).collect(), &terms);
    assert_eq!(priced.subtotal.to_plain_string(), "0.01");
}
