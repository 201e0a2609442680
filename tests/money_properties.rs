//! Money against a model of whole numbers: nothing of the code under test computes what it should come to.

use bigdecimal::{BigDecimal, Zero};
use billrunner::domain::{
    charge::ChargeCategory,
    invoice::{CostGroup, LinesBy, TaxRate, price_invoice},
    money::{Currency, parse_decimal},
    pricing::PriceTerms,
};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::support::properties::{config, regressions};

/// A decimal as whole number and number of decimals.
type Parts = (i64, u32);

/// Writes a decimal out by hand.
fn written((mantissa, scale): Parts) -> String {
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let sign = if mantissa < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

fn decimal(parts: Parts) -> BigDecimal {
    parse_decimal(&written(parts)).expect("a decimal")
}

/// Rounds half-up, away from zero, to a number of decimals, and returns that many's units: 12.345 to 2 is 1235.
fn rounded(mantissa: i128, scale: u32, minor_units: u32) -> i128 {
    if scale <= minor_units {
        return mantissa * 10_i128.pow(minor_units - scale);
    }
    let divisor = 10_i128.pow(scale - minor_units);
    let (quotient, rest) = (mantissa.abs() / divisor, mantissa.abs() % divisor);
    let away = if rest * 2 >= divisor { quotient + 1 } else { quotient };
    if mantissa < 0 { -away } else { away }
}

fn units(amount: &BigDecimal, minor_units: u32) -> i128 {
    let shifted = amount * BigDecimal::from(10_u64.pow(minor_units));
    shifted.to_plain_string().split('.').next().and_then(|whole| whole.parse().ok()).expect("a whole number")
}

fn minor_units(currency: Currency) -> u32 {
    u32::try_from(currency.minor_units()).expect("few decimals")
}

/// Amounts of every size, and those that lie on the edge: halves, and just below.
fn amounts() -> impl Strategy<Value = Parts> {
    let any = (-1_000_000_000_000_i64..1_000_000_000_000, 0_u32..20);
    let halves = (-100_000_i64..100_000, 1_u32..6).prop_map(|(whole, scale)| (whole * 10 + 5 * whole.signum(), scale));
    let nearly =
        (-100_000_i64..100_000, 2_u32..6).prop_map(|(whole, scale)| (whole * 100 + 49 * whole.signum(), scale));
    prop_oneof![any, halves, nearly]
}

#[test]
fn every_currency_rounds_as_whole_numbers_do() {
    let cases = amounts();
    let outcome = TestRunner::new(config(256, regressions!("rounding"))).run(&cases, |(mantissa, scale)| {
        for currency in Currency::all() {
            let minor = minor_units(currency);
            let got = currency.round(&decimal((mantissa, scale)));
            let expected = rounded(i128::from(mantissa), scale, minor);
            prop_assert_eq!(units(&got, minor), expected, "{} {}", written((mantissa, scale)), currency);
            prop_assert_eq!(got.fractional_digit_count(), i64::from(minor), "{} has its decimals", currency);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_is_read_is_what_was_written_to_the_last_digit() {
    let cases = (any::<i64>(), 0_u32..28, -30_i32..30, 0_usize..3);
    let outcome =
        TestRunner::new(config(512, regressions!("decimals"))).run(&cases, |(mantissa, scale, exponent, form)| {
            let plain = written((mantissa, scale));
            let text = match form {
                0 => plain.clone(),
                1 => format!("{plain}E{exponent}"),
                _ => format!(" {plain}e{exponent:+} "),
            };
            let read = parse_decimal(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let power = if form == 0 { 0 } else { exponent };
            // mantissa × 10^(power − scale), compared without a fraction.
            let shift = i64::from(scale) - i64::from(power);
            let whole = read.clone() * BigDecimal::new(1.into(), -shift.max(0));
            let expected = BigDecimal::new(mantissa.into(), shift.min(0));
            prop_assert_eq!(whole, expected, "{}", text);
            let again = parse_decimal(&read.to_plain_string()).map_err(|error| TestCaseError::fail(error.to_string()));
            if read.to_plain_string().len() <= 100 {
                prop_assert_eq!(again?, read);
            }
            Ok(())
        });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn an_invoice_adds_up_as_whole_numbers_do() {
    let cases = (
        proptest::collection::vec((-1_000_000_000_i64..1_000_000_000, 0_u32..9), 1..30),
        0_i64..2_000,
        0_i64..300,
        proptest::sample::select(vec!["EUR", "JPY", "KWD"]),
    );
    let outcome = TestRunner::new(config(128, regressions!("invoices"))).run(&cases, |(costs, markup, tax, code)| {
        let currency: Currency = code.parse().expect("a currency");
        let minor = minor_units(currency);
        let groups = costs.iter().enumerate().map(|(n, cost)| group(n, decimal(*cost), currency)).collect();
        let terms = PriceTerms::of_markup(currency, decimal((markup, 3)));
        let taxes = [TaxRate::new("VAT", decimal((tax, 3)))];
        let priced = price_invoice(groups, &terms, &taxes, LinesBy::Service).expect("one currency needs no rate");

        let nets: Vec<i128> = costs
            .iter()
            .filter(|(mantissa, _)| *mantissa != 0)
            .map(|(mantissa, scale)| rounded(i128::from(*mantissa) * i128::from(1_000 + markup), scale + 3, minor))
            .collect();
        let subtotal: i128 = nets.iter().sum();
        let tax = rounded(subtotal * i128::from(tax), minor + 3, minor);
        prop_assert_eq!(priced.lines.iter().map(|line| units(&line.net, minor)).collect::<Vec<_>>(), nets);
        prop_assert_eq!(units(&priced.subtotal, minor), subtotal);
        prop_assert_eq!(units(&priced.tax, minor), tax);
        prop_assert_eq!(units(&priced.total, minor), subtotal + tax);
        prop_assert_eq!(&priced.rounding_delta, &(&priced.subtotal - &priced.exact_subtotal));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

fn group(n: usize, billed_cost: BigDecimal, billing_currency: Currency) -> CostGroup {
    let non_zero_count = i64::from(!billed_cost.is_zero());
    CostGroup {
        sub_account_id: "account".to_owned(),
        sub_account_name: "Account".to_owned(),
        service_name: format!("service {n:04}"),
        service_category: None,
        sku_id: None,
        charge_category: ChargeCategory::Usage,
        correction_of: None,
        billing_currency,
        billed_cost,
        charge_count: 1,
        non_zero_count,
    }
}
