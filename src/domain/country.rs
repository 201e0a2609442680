//! A country by its code of two letters, such as `ES`: where a party has its seat, as e-invoices name it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Codes that the list behind this type has and ISO has withdrawn: the Netherlands Antilles.
const WITHDRAWN: [&str; 1] = ["AN"];

/// A country of ISO 3166-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country(iso_country::Country);

impl Country {
    /// Tells whether a tax number is a VAT number of this country: it begins with the country's code (BR-CO-09). Greece
    /// also writes EL, Northern Ireland XI.
    pub fn is_vat_number(self, tax_id: &str) -> bool {
        let written = tax_id.get(..2).unwrap_or_default();
        written == self.0.to_string()
            || matches!((self.0, written), (iso_country::Country::GR, "EL") | (iso_country::Country::GB, "XI"))
    }
}

/// Says that a text is no country.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a country; write its two capital letters of ISO 3166-1, such as ES")]
pub struct NotACountry(String);

impl FromStr for Country {
    type Err = NotACountry;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotACountry(text.chars().take(40).collect());
        // The list beneath would also take a country's English name.
        let is_code = text.len() == 2 && !WITHDRAWN.contains(&text);
        text.parse().ok().filter(|_| is_code).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        code.parse().expect("a country")
    }

    #[test]
    fn a_country_is_written_as_it_is_read() {
        for code in ["ES", "DE", "US", "CW", "SS"] {
            assert_eq!(country(code).to_string(), code);
        }
        for wrong in ["", "es", "ESP", "Spain", "XX", "AN", "E", "EL"] {
            let error = wrong.parse::<Country>().expect_err(wrong).to_string();
            let way_out = "is not a country; write its two capital letters of ISO 3166-1, such as ES";
            assert_eq!(error, format!("`{wrong}` {way_out}"));
        }
    }

    #[test]
    fn a_vat_number_begins_with_its_country() {
        for (code, number, is_vat) in [
            ("ES", "ESB12345674", true),
            ("ES", "B12345674", false),
            ("ES", "DE123456788", false),
            ("GR", "EL123456789", true),
            ("GB", "XI123456789", true),
            ("ES", "E", false),
            ("ES", "Ñ1", false),
        ] {
            assert_eq!(country(code).is_vat_number(number), is_vat, "{number}");
        }
    }
}
