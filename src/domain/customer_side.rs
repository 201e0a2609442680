//! What a customer may read of a charge's texts and of the columns outside FOCUS: nothing that tells what the reseller
//! pays. Called where a charge with its cost becomes one with its price, and by the HTTP door for messages.
//!
//! Three gates, each by itself: the column's name, the form of its value, and numbers equal to what is known to be of
//! the reseller's side. Where one is in doubt it hides; docs/CUSTOMER-SIDE.md tells what and why.

use std::{cell::OnceCell, collections::BTreeMap};

use bigdecimal::{BigDecimal, RoundingMode, Zero};

use super::money::{Currency, parse_decimal};

/// What stands where something was taken out.
const HIDDEN: &str = "…";

/// Parts of the names of columns that could show the reseller's side. Leaving out one too many harms nobody.
const RESELLER_SIDE_WORDS: [&str; 24] = [
    "cost",
    "price",
    "pricing",
    "discount",
    "margin",
    "markup",
    "rate",
    "credit",
    "partner",
    "rebate",
    "commission",
    "saving",
    "amount",
    "fee",
    "exchange",
    "currency",
    "spend",
    "amortized",
    "balance",
    "total",
    "paid",
    "usd",
    "eur",
    "tariff",
];
/// Last words of the names of columns whose numbers name or count something.
const WORDS_OF_HARMLESS_NUMBERS: [&str; 6] = ["id", "code", "number", "count", "quantity", "version"];
/// Longest number that is looked at: longer than any amount, and a bound on what a hostile text costs.
const MAX_NUMBER_CHARS: usize = 120;
/// Signs of currencies that stand right beside an amount; `¢` and `%` only after it.
const CURRENCY_SIGNS: &str = "$€£¥₹₩₽₺₪₫฿₴₦₱₡₲₵₸₼₾¢%";

/// Tells whether a column outside FOCUS may be shown to customers, by its name.
pub fn is_for_customers(column: &str) -> bool {
    !tells_of_the_reseller(column)
}

/// Which columns outside FOCUS may be shown, decided once for all rows: a month has few names and millions of values.
#[derive(Clone, Debug, Default)]
pub struct CustomerColumns(BTreeMap<String, bool>);

impl CustomerColumns {
    /// Decides on the names that rows may have columns by.
    pub fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| (name.clone(), is_for_customers(name))).collect())
    }

    /// Tells whether a column may be shown to customers.
    pub fn contains(&self, column: &str) -> bool {
        self.0.get(column).copied().unwrap_or_else(|| is_for_customers(column))
    }
}

/// The numbers of one charge that only the reseller may see: its cost, and those in columns that tell of it. They are read
/// where a text has a number to be compared with; most have none.
#[derive(Debug)]
pub struct ResellerSide<'c> {
    billed_cost: &'c BigDecimal,
    hidden_values: Vec<&'c str>,
    numbers: OnceCell<Vec<BigDecimal>>,
}

impl<'c> ResellerSide<'c> {
    /// Takes a charge's cost and the values of the columns that are not shown.
    pub fn new(billed_cost: &'c BigDecimal, hidden_values: impl IntoIterator<Item = &'c str>) -> Self {
        Self { billed_cost, hidden_values: hidden_values.into_iter().collect(), numbers: OnceCell::new() }
    }

    /// Returns the numbers without their signs.
    fn numbers(&self) -> &[BigDecimal] {
        self.numbers.get_or_init(|| {
            let hidden = self.hidden_values.iter().filter_map(|value| parse_decimal(value).ok());
            hidden.chain([self.billed_cost.clone()]).map(|number| number.abs()).collect()
        })
    }
}

fn tells_of_the_reseller(name: &str) -> bool {
    let name = name.to_lowercase();
    RESELLER_SIDE_WORDS.iter().any(|word| name.contains(word))
}

/// Returns what a customer may read in a column outside FOCUS that is [for customers](CustomerColumns::contains); `None`
/// where that is nothing.
///
/// A value that is all number is shown where the name says that it names or counts something (`x_SkuMeterId`); anything
/// else could be an amount under a name nobody thought of. Structured values are shown unless a word in them tells of
/// the reseller's side.
pub fn shown_value(column: &str, value: &str, reseller_side: &ResellerSide<'_>) -> Option<String> {
    let is_number = is_all_number(value);
    if is_number && !names_or_counts(column) {
        return None;
    }
    let is_structured = value.trim_start().starts_with(['{', '[']);
    if is_structured && tells_of_the_reseller(value) {
        return None;
    }
    if is_number {
        return Some(value.to_owned());
    }
    Some(shown_text(value, reseller_side))
}

fn is_all_number(value: &str) -> bool {
    let is_of_a_number = |c: char| c.is_ascii_digit() || " .,'+-eE()\u{a0}\u{202f}".contains(c) || is_sign(c);
    let is_code = |word: &str| word.parse::<Currency>().is_ok();
    value.chars().any(|c| c.is_ascii_digit())
        && value.split_whitespace().all(|word| is_code(word) || word.chars().all(is_of_a_number))
}

fn names_or_counts(column: &str) -> bool {
    let mut word = String::new();
    for c in column.chars().rev() {
        if !c.is_ascii_alphanumeric() {
            break;
        }
        word.insert(0, c);
        if c.is_ascii_uppercase() && !word.chars().all(|c| c.is_ascii_uppercase()) {
            break;
        }
    }
    WORDS_OF_HARMLESS_NUMBERS.contains(&word.to_lowercase().as_str())
}

/// Returns a text of the provider without amounts: those beside a currency or a percent sign, unit prices (`0.5 per GB`),
/// and numbers equal to one of the reseller's side, as they are or rounded.
///
/// AWS writes its list price before nearly every description (`$0.0116 per On Demand Linux t3.small Instance Hour`); what
/// is left there begins with what the price is for.
pub fn shown_text(text: &str, reseller_side: &ResellerSide<'_>) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, number, after)) = next_number(rest, ".") {
        let lead = amount_lead(before);
        let trail = amount_trail(after);
        if lead.is_none() && trail.is_none() && !is_of_the_reseller(number, reseller_side) {
            // Only its first part: the next may be a number by itself, as in `3 1234.56`.
            let first = number.find(is_space).unwrap_or(number.len());
            let end = before.len() + first;
            shown.push_str(rest.get(..end).unwrap_or_default());
            rest = rest.get(end..).unwrap_or_default();
            continue;
        }
        shown.push_str(before.get(..lead.unwrap_or(before.len())).unwrap_or(before));
        shown.push_str(HIDDEN);
        rest = after.get(trail.unwrap_or(0)..).unwrap_or(after);
    }
    shown.push_str(rest);
    let without_price = shown.trim_start().strip_prefix(HIDDEN).and_then(|rest| rest.trim_start().strip_prefix("per "));
    without_price.map(str::to_owned).unwrap_or(shown)
}

/// Returns a message without any number that stands by itself, but for those in back quotes, ids and dates: what a failure says to a
/// program that is not the reseller's own.
pub fn without_amounts(message: &str) -> String {
    let parts =
        message.split('`').enumerate().map(|(n, part)| if n % 2 == 1 { part.to_owned() } else { hide_all(part) });
    parts.collect::<Vec<_>>().join("`")
}

fn hide_all(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _, after)) = next_number(rest, ".-") {
        shown.push_str(before);
        shown.push_str(HIDDEN);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '’')
}

fn is_sign(c: char) -> bool {
    CURRENCY_SIGNS.contains(c)
}

/// Splits a text at its first number that is no part of a word: before, number, after. Some signs join words to digits:
/// the point in `t3.2xlarge`, in messages also the hyphen of `D-00000042` and `2026-08`.
fn next_number<'a>(text: &'a str, joining: &str) -> Option<(&'a str, &'a str, &'a str)> {
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut is_inside_word = false;
    for (start, c) in text.char_indices() {
        if c.is_ascii_digit() && !is_inside_word {
            let length = number_length(text.get(start..)?);
            let (before, from) = text.split_at(start);
            let (number, after) = from.split_at(length);
            let is_joined = joining.contains('-') && after.strip_prefix('-').is_some_and(begins_with_a_word);
            if (!begins_with_a_word(after) && !is_joined) || begins_like_a_unit(after) {
                return Some((before, number, after));
            }
        }
        is_inside_word = c.is_alphanumeric() || c == '_' || (is_inside_word && joining.contains(c));
    }
    None
}

fn begins_with_a_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Tells whether what follows a number makes it an amount although no blank stands between: `0.10USD`.
fn begins_like_a_unit(after: &str) -> bool {
    after.get(..3).is_some_and(|code| code.parse::<Currency>().is_ok())
        && !after.get(3..).is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()))
}

/// Returns how long the number is that a text begins with: digits, marks, groups of three, an exponent.
fn number_length(text: &str) -> usize {
    let chars: Vec<char> = text.chars().take(MAX_NUMBER_CHARS).collect();
    let at = |n: usize| chars.get(n).copied().unwrap_or(' ');
    let is_digit = |n: usize| at(n).is_ascii_digit();
    let mut end = 0;
    loop {
        if is_digit(end) || (matches!(at(end), '.' | ',') && is_digit(end + 1)) {
            end += 1;
        } else if is_space(at(end)) && (1..=3).all(|n| is_digit(end + n)) && !is_digit(end + 4) && end > 0 {
            end += 4;
        } else {
            break;
        }
    }
    if matches!(at(end), 'e' | 'E') {
        let digits = end + 1 + usize::from(matches!(at(end + 1), '+' | '-'));
        if is_digit(digits) {
            end = digits;
            while is_digit(end) {
                end += 1;
            }
        }
    }
    chars.iter().take(end).map(|c| c.len_utf8()).sum()
}

/// Returns where the sign or code of a currency begins that stands right before a number.
fn amount_lead(before: &str) -> Option<usize> {
    let trimmed = before.trim_end_matches(|c: char| is_space(c) || matches!(c, '-' | '+' | '('));
    if let Some(sign) = trimmed.chars().next_back().filter(|c| is_sign(*c) && !matches!(c, '%' | '¢')) {
        let without = trimmed.len() - sign.len_utf8();
        let word = trimmed.get(..without)?;
        // `US$`, `A$`.
        let letters = word.chars().rev().take_while(char::is_ascii_uppercase).count();
        return Some(without - if letters <= 3 { letters } else { 0 });
    }
    let start = trimmed.char_indices().rev().take_while(|(_, c)| c.is_ascii_alphabetic()).last()?.0;
    trimmed.get(start..)?.parse::<Currency>().ok().map(|_| start)
}

/// Returns how much after a number belongs to its amount: sign or code of a currency; nothing where a unit price follows.
fn amount_trail(after: &str) -> Option<usize> {
    let trimmed = after.trim_start_matches(is_space);
    let blanks = after.len() - trimmed.len();
    if let Some(sign) = trimmed.chars().next().filter(|c| is_sign(*c)) {
        return Some(blanks + sign.len_utf8());
    }
    let word: String = trimmed.chars().take_while(char::is_ascii_alphabetic).collect();
    if word.parse::<Currency>().is_ok() {
        return Some(blanks + word.len());
    }
    (word == "per" || trimmed.starts_with('/')).then_some(0)
}

/// Tells whether a number is one of the reseller's side, in whatever form it is written.
fn is_of_the_reseller(number: &str, reseller_side: &ResellerSide<'_>) -> bool {
    readings(number).iter().any(|read| {
        let scale = read.fractional_digit_count();
        reseller_side.numbers().iter().any(|known| {
            let rounded = scale >= 2
                && [RoundingMode::HalfUp, RoundingMode::Down]
                    .iter()
                    .any(|mode| known.with_scale_round(scale, *mode) == *read);
            !read.is_zero() && (known == read || rounded)
        })
    })
}

/// Returns what a number can mean: with a decimal point, and with a decimal comma.
fn readings(number: &str) -> Vec<BigDecimal> {
    let plain: String = number.chars().filter(|c| !is_space(*c)).collect();
    let first = number.split(is_space).next().unwrap_or_default().to_owned();
    let mut readings = Vec::new();
    for text in [plain, first] {
        readings.extend(parse_decimal(&text.replace(',', "")).ok());
        readings.extend(parse_decimal(&text.replace('.', "").replace(',', ".")).ok());
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let billed_cost = parse_decimal("1234.5678").expect("a decimal");
        shown_text(text, &ResellerSide::new(&billed_cost, ["0.0042", "-17", "list"]))
    }

    #[test]
    fn a_list_price_before_the_description_is_taken_off() {
        let aws = "$0.0116 per On Demand Linux t3.small Instance Hour";
        assert_eq!(shown(aws), "On Demand Linux t3.small Instance Hour");
        assert_eq!(shown("USD 0.023 per GB - first 50 TB / month"), "GB - first 50 TB / month");
    }

    #[test]
    fn amounts_are_hidden_wherever_they_stand() {
        for (text, expected) in [
            ("Committed at 0.10 USD/h", "Committed at …/h"),
            ("Committed at 0.10USD", "Committed at …"),
            ("costs US$ 3", "costs …"),
            ("A$3,000.00 upfront", "… upfront"),
            ("3 € a month", "… a month"),
            ("an EDP discount of 7.5 %", "an EDP discount of …"),
            ("0.5 per GB", "GB"),
            ("from 0.5/GB on", "from …/GB on"),
            ("refund (-$12.30)", "refund (-…)"),
            ("1 234,00 EUR", "…"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn known_costs_are_hidden_in_every_form() {
        for number in [
            "1234.5678",
            "1,234.5678",
            "1.234,5678",
            "1234,5678",
            "1 234,5678",
            "1\u{a0}234.5678",
            "1'234.5678",
            "1234.57",
            "1.234,57",
            "1234.56",
            "1.2345678E+3",
            "0.0042",
            "17",
            "17.00",
        ] {
            assert_eq!(shown(&format!("net {number}, all in")), "net …, all in");
        }
    }

    #[test]
    fn what_is_no_amount_stays() {
        for text in [
            "t3.2xlarge in eu-west-1, 10.0.0.1, 2026-08-01",
            "Instance Hour 4 vCPU, 16 GiB, v1.25",
            "Requests 1K0017x 18 171 0.01",
            "ALLOW 3",
            "",
            "ñandú 3",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn a_column_is_shown_by_its_name_and_the_form_of_its_value() {
        let zero = BigDecimal::zero();
        let none = ResellerSide::new(&zero, []);
        for (column, value) in [
            ("x_ListCost", "a"),
            ("x_EffectiveCost", "1"),
            ("x_ContractedUnitPrice", "1"),
            ("x_SkuOrderRate", "1"),
            ("x_BillingExchangeRateDate", "2026"),
            ("x_unheard", "12.5"),
            ("x_unheard", "12"),
            ("x_unheard", "$ 1,200.00"),
            ("x_unheard", "1200 EUR"),
            ("x_prepaid", "12"),
            ("x_details", r#"{"unitPrice": "a"}"#),
        ] {
            for known in [&[column.to_owned()][..], &[]] {
                let is_shown = CustomerColumns::new(known).contains(column);
                let shown = is_shown.then(|| shown_value(column, value, &none)).flatten();
                assert_eq!(shown, None, "{column} {value}");
            }
        }
        for (column, value) in [
            ("x_SkuMeterId", "4711"),
            ("x_seat_count", "12"),
            ("x_ID", "12"),
            ("x_team", "blue"),
            ("x_zone", "eu-west-1"),
            ("x_details", r#"{"meter": "a1"}"#),
            ("x_empty", ""),
        ] {
            assert!(is_for_customers(column), "{column}");
            assert_eq!(shown_value(column, value, &none).as_deref(), Some(value), "{column} {value}");
        }
        let noted = shown_value("x_note", "3 hours at $0.5", &none);
        assert_eq!(noted.as_deref(), Some("3 hours at …"));
    }

    #[test]
    fn a_message_keeps_what_is_quoted_and_no_other_number() {
        let message = "billing account `12.5` is off by -0.01 EUR: invoiced 1E+2 + 0, not 99.99; D-00000042 of 2026-08";
        let expected = "billing account `12.5` is off by -… EUR: invoiced … + …, not …; D-00000042 of 2026-08";
        assert_eq!(without_amounts(message), expected);
    }
}
