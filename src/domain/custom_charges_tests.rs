//! What custom charges come to, rule by rule.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> BigDecimal {
    text.parse().expect("a decimal")
}

fn charge(formula: &serde_json::Value) -> CustomCharge {
    let value = serde_json::json!({
        "name": "Support", "provider": "aws", "currency": "EUR", "formula": formula,
    });
    serde_json::from_value(value).expect("a charge")
}

fn sums(cost: &str, price: &str) -> ChargedSums {
    ChargedSums { cost: decimal(cost), price: decimal(price) }
}

fn amounts(charges: &[CustomCharge], sums: &ChargedSums) -> Vec<BigDecimal> {
    let at_par = |_| Ok::<_, Infallible>(BigDecimal::one());
    let applied = apply_custom_charges(charges, sums, at_par).unwrap_or_default();
    applied.into_iter().map(|(_, amount)| amount.normalized()).collect()
}

fn tiers(mode: &str, basis: &str) -> CustomCharge {
    charge(&serde_json::json!({
        "kind": "tiered", "basis": basis, "mode": mode,
        "tiers": [{ "up_to": "1000", "rate": "0.1" }, { "up_to": "5000", "rate": "0.05" }, { "rate": "0.02" }],
    }))
}

#[test]
fn graduated_tiers_rate_each_part_and_volume_tiers_the_whole() {
    for (basis, graduated, volume) in [
        ("0", "0", "0"),
        ("-50", "0", "0"),
        ("1000", "100", "100"),
        ("1000.01", "100.0005", "50.0005"),
        ("5000", "300", "250"),
        ("6000", "320", "120"),
    ] {
        let sums = sums("1", basis);
        assert_eq!(amounts(&[tiers("graduated", "price")], &sums), [decimal(graduated).normalized()], "{basis}");
        assert_eq!(amounts(&[tiers("volume", "price")], &sums), [decimal(volume).normalized()], "{basis}");
    }
}

#[test]
fn tiers_on_cost_look_at_the_cost() {
    assert_eq!(amounts(&[tiers("volume", "cost")], &sums("2000", "1")), [decimal("100").normalized()]);
}

#[test]
fn minimum_and_maximum_bound_the_amount_after_the_formula_and_before_the_sign() {
    let percent = charge(&serde_json::json!({ "kind": "percent", "basis": "price", "rate": "0.1" }));
    let bounded = CustomCharge { minimum: Some(decimal("5")), maximum: Some(decimal("20")), ..percent };
    let discount = CustomCharge { is_discount: true, ..bounded.clone() };
    for (price, expected) in [("10", "5"), ("100", "10"), ("1000", "20"), ("-1000", "5")] {
        let expected = decimal(expected).normalized();
        assert_eq!(amounts(std::slice::from_ref(&bounded), &sums("0", price)), std::slice::from_ref(&expected));
        assert_eq!(amounts(std::slice::from_ref(&discount), &sums("0", price)), [-expected]);
    }
}

#[test]
fn fixed_goes_before_percent_before_tiers_before_commitments() {
    let fixed = charge(&serde_json::json!({ "kind": "fixed", "amount": "100" }));
    let percent = charge(&serde_json::json!({ "kind": "percent", "basis": "subtotal", "rate": "0.1" }));
    let tier = charge(&serde_json::json!({
        "kind": "tiered", "basis": "subtotal", "mode": "volume", "tiers": [{ "rate": "0.5" }],
    }));
    let commitment = charge(&serde_json::json!({ "kind": "minimum_commitment", "amount": "1000" }));
    let reversed = [commitment, tier, percent, fixed];
    let expected = ["100", "20", "110", "670"].map(|amount| decimal(amount).normalized());
    assert_eq!(amounts(&reversed, &sums("0", "100")), expected);
    assert_eq!(amounts(&reversed, &sums("0", "1000")).last(), Some(&decimal("0").normalized()), "it is met");
}

#[test]
fn amounts_in_another_currency_are_converted_with_their_bounds_and_tiers() {
    let twice = |_| Ok::<_, Infallible>(decimal("2"));
    let bounded = CustomCharge { maximum: Some(decimal("150")), ..tiers("graduated", "price") };
    let fixed = charge(&serde_json::json!({ "kind": "fixed", "amount": "10" }));
    let applied = apply_custom_charges(&[bounded, fixed], &sums("0", "4000"), twice).expect("amounts");
    let amounts: Vec<_> = applied.into_iter().map(|(_, amount)| amount.normalized()).collect();
    // 2,000 at 10 % and 2,000 at 5 % make 300, which the maximum of 2 × 150 lets pass.
    assert_eq!(amounts, ["20", "300"].map(|amount| decimal(amount).normalized()));
}

#[test]
fn what_cannot_be_computed_or_would_show_the_cost_is_refused_when_it_is_saved() {
    let refused = |charge: CustomCharge| check_custom_charges(&[charge]).expect_err("refused");
    let fixed = || charge(&serde_json::json!({ "kind": "fixed", "amount": "1" }));
    let name = || "Support".to_owned();
    assert_eq!(check_custom_charges(&[fixed(), tiers("volume", "price")]).err(), {
        let whole = "custom charge `Support` at aws".to_owned();
        Some(InvalidCustomCharge::Twice(whole))
    });
    assert_eq!(refused(CustomCharge { provider: None, ..fixed() }), InvalidCustomCharge::NoProvider(name()));
    assert_eq!(refused(CustomCharge { currency: None, ..fixed() }), InvalidCustomCharge::NoCurrency(name()));
    assert_eq!(refused(CustomCharge { name: " ".into(), ..fixed() }), InvalidCustomCharge::NoName);
    let negative = charge(&serde_json::json!({ "kind": "fixed", "amount": "-1" }));
    assert_eq!(refused(negative), InvalidCustomCharge::Negative(name()));
    let bounds = CustomCharge { minimum: Some(decimal("2")), maximum: Some(decimal("1")), ..fixed() };
    assert_eq!(refused(bounds), InvalidCustomCharge::Bounds(name()));
    for rates in
        ["[]", r#"[{"up_to":"1","rate":"1"}]"#, r#"[{"up_to":"2","rate":"1"},{"up_to":"1","rate":"1"},{"rate":"1"}]"#]
    {
        let rates: serde_json::Value = serde_json::from_str(rates).expect("tiers");
        let tiers =
            charge(&serde_json::json!({ "kind": "tiered", "basis": "price", "mode": "volume", "tiers": rates }));
        assert_eq!(refused(tiers), InvalidCustomCharge::Tiers(name()));
    }
    let leak = charge(&serde_json::json!({ "kind": "percent", "basis": "cost", "rate": "1.0" }));
    assert_eq!(refused(leak), InvalidCustomCharge::PrintsCost(name()));
}

fn any_charge() -> impl Strategy<Value = CustomCharge> {
    let bounds = (proptest::option::of(0..50_i64), proptest::option::of(50..500_i64));
    (0..4_u8, 0..2_000_i64, any::<bool>(), bounds).prop_map(|(kind, number, is_discount, (minimum, maximum))| {
        let share = format!("0.{number:04}");
        let formula = match kind {
            0 => serde_json::json!({ "kind": "fixed", "amount": number.to_string() }),
            1 => serde_json::json!({ "kind": "percent", "basis": "subtotal", "rate": share }),
            2 => serde_json::json!({
                "kind": "tiered", "basis": "subtotal", "mode": "graduated",
                "tiers": [{ "up_to": "100", "rate": share }, { "rate": "0.01" }],
            }),
            _ => serde_json::json!({ "kind": "minimum_commitment", "amount": number.to_string() }),
        };
        let bound = |bound: Option<i64>| bound.map(BigDecimal::from);
        CustomCharge { is_discount, minimum: bound(minimum), maximum: bound(maximum), ..charge(&formula) }
    })
}

proptest! {
    #[test]
    fn the_order_in_which_charges_are_written_changes_no_amount_and_bounds_hold(
        (charges, shuffled) in proptest::collection::vec(any_charge(), 0..6)
            .prop_flat_map(|charges| (Just(charges.clone()), Just(charges).prop_shuffle())),
        price in -100_000..100_000_i64,
    ) {
        let sums = ChargedSums { cost: BigDecimal::from(7), price: BigDecimal::new(price.into(), 3) };
        let mut straight = amounts(&charges, &sums);
        let mut other = amounts(&shuffled, &sums);
        straight.sort();
        other.sort();
        prop_assert_eq!(straight, other);
        let at_par = |_| Ok::<_, Infallible>(BigDecimal::one());
        for (applied, amount) in apply_custom_charges(&charges, &sums, at_par).unwrap_or_default() {
            let size = if applied.charge.is_discount { -amount } else { amount };
            prop_assert!(applied.charge.minimum.is_none_or(|minimum| size >= minimum));
            prop_assert!(applied.charge.maximum.is_none_or(|maximum| size <= maximum));
        }
    }
}
