//! Exact decimal amounts and ISO 4217 currencies.
//!
//! Amounts are [`BigDecimal`]: real charge files carry up to 28 decimals, which `rust_decimal` would round silently.
//! Rounding happens once per printed line, half-up and away from zero, to the currency's minor unit.

use std::{borrow::Cow, fmt, str::FromStr};

use bigdecimal::{BigDecimal, RoundingMode};
use iso_currency::IntoEnumIterator;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest decimal text that is read; the longest seen in real files has 40 characters.
const MAX_DECIMAL_LENGTH: usize = 100;
/// Largest exponent that is read, either way: beyond it an amount is a mistake or an attack on memory.
const MAX_EXPONENT: i32 = 60;

/// Digits that surely fit an `i64`.
const SHORT_DIGITS: usize = 18;

/// An ISO 4217 currency that has a minor unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Returns every currency that can be invoiced in.
    pub fn all() -> impl Iterator<Item = Self> {
        iso_currency::Currency::iter().filter(|currency| currency.exponent().is_some()).map(Self)
    }

    /// Returns the three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Returns how many decimals an amount of money has: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn minor_units(self) -> i64 {
        self.0.exponent().map_or(0, i64::from)
    }

    /// Rounds half-up, away from zero, to the minor unit.
    pub fn round(self, amount: &BigDecimal) -> BigDecimal {
        amount.with_scale_round(self.minor_units(), RoundingMode::HalfUp)
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// Says that a text is no currency billrunner can invoice in.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an ISO 4217 currency with a minor unit; write its three-letter code, such as EUR")]
pub struct UnknownCurrency(String);

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        iso_currency::Currency::from_code(text)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or_else(|| UnknownCurrency(text.chars().take(20).collect()))
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut codes: Vec<&str> = Self::all().map(Self::code).collect();
        codes.sort_unstable();
        json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$", "enum": codes })
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Says why a text is not read as an amount. Guessing is worse than refusing: `1,50` must not become 150.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a decimal number; write digits with a point, such as -1234.50 or 1.5E-7")]
pub struct NotADecimal(String);

/// Reads decimal text exactly: `-12.345`, `1E-10`, `1.5E+2`. Blanks around it are ignored.
///
/// Numeric format: FOCUS 1.2, "Numeric Format", widened by the `+` that AWS and Excel write in exponents.
///
/// # Errors
/// Currency symbols, thousand separators, decimal commas, NaN and Inf, and anything over 100 characters.
pub fn parse_decimal(text: &str) -> Result<BigDecimal, NotADecimal> {
    let trimmed = text.trim();
    if let Some(short) = parse_short(trimmed) {
        return Ok(short);
    }
    let refused = || NotADecimal(text.chars().take(40).collect());
    if trimmed.len() > MAX_DECIMAL_LENGTH || !is_decimal(trimmed) {
        return Err(refused());
    }
    BigDecimal::from_str(trimmed).map_err(|_| refused())
}

/// Reads what nearly all amounts are, a sign, digits and a point, where the digits fit 64 bits; `None` is no verdict.
///
/// A million rows have two million of them, and to read one in general is ten times the work.
fn parse_short(text: &str) -> Option<BigDecimal> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if whole.is_empty() || whole.len() + fraction.len() > SHORT_DIGITS {
        return None;
    }
    let mut mantissa = 0_i64;
    for digit in whole.bytes().chain(fraction.bytes()) {
        mantissa = mantissa * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    let signed = if unsigned.len() < text.len() { -mantissa } else { mantissa };
    Some(BigDecimal::new(signed.into(), i64::try_from(fraction.len()).ok()?))
}

/// Matches `[+-] digits [. digits] [(e|E) [+-] digits]` with at least one digit before or after the point.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned) && unsigned.parse().is_ok_and(|value: i32| value <= MAX_EXPONENT)
    });
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_fits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rounded(amount: &str, currency: &str) -> String {
        let currency: Currency = currency.parse().expect("a currency");
        currency.round(&parse_decimal(amount).expect("a decimal")).to_plain_string()
    }

    #[test]
    fn half_a_cent_rounds_away_from_zero() {
        assert_eq!(rounded("0.005", "EUR"), "0.01");
        assert_eq!(rounded("-0.005", "EUR"), "-0.01");
        assert_eq!(rounded("2.345", "EUR"), "2.35");
        assert_eq!(rounded("0.00499999999999999999999999999999", "EUR"), "0.00");
    }

    #[test]
    fn each_currency_rounds_to_its_own_minor_unit() {
        assert_eq!(rounded("1234.5", "JPY"), "1235");
        assert_eq!(rounded("1.0005", "KWD"), "1.001");
    }

    #[test]
    fn exponents_are_read_exactly() {
        for (text, value) in
            [("1E-10", "0.0000000001"), ("1.5E+2", "150"), ("35.2e2", "3520"), (" 7 ", "7"), (".5", "0.5")]
        {
            assert_eq!(
                parse_decimal(text).map(|decimal| decimal.normalized()),
                parse_decimal(value).map(|decimal| decimal.normalized())
            );
        }
    }

    #[test]
    fn anything_that_needs_guessing_is_refused() {
        for text in ["", " ", ".", "-", "1,50", "$1", "1 000", "NaN", "Inf", "1E", "1E999", "0x10", "١", "1e5e5", "--1"]
        {
            assert!(parse_decimal(text).is_err(), "{text} was read");
        }
        assert!(parse_decimal(&"1".repeat(101)).is_err());
    }

    proptest! {
        #[test]
        fn a_short_decimal_is_read_as_any_other(text in "[-+]?[0-9]{0,12}[.]?[0-9]{0,12}([eE]-?[0-9])?") {
            if let Some(short) = parse_short(&text) {
                let long = BigDecimal::from_str(&text).expect("a decimal");
                prop_assert_eq!(short.into_bigint_and_exponent(), long.into_bigint_and_exponent());
            }
        }
    }

    #[test]
    fn a_currency_without_a_minor_unit_is_refused() {
        for code in ["EURO", "eur", "XAU", "XXX", "", "E"] {
            assert!(code.parse::<Currency>().is_err(), "{code} was read");
        }
    }
}
