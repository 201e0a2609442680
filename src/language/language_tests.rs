//! How each language writes numbers, amounts, dates and counts, and which language answers a tag.

use super::*;

fn language(tag: &str) -> Language {
    Language::for_tag(&tag.parse().expect("a tag")).expect("a language")
}

fn number(text: &str) -> BigDecimal {
    text.parse().expect("a number")
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

fn money(tag: &str, amount: &str, currency: &str) -> String {
    language(tag).money(&number(amount), currency.parse().expect("a currency"))
}

#[test]
fn a_language_is_shared_between_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Language>();
}

#[test]
fn a_tag_finds_the_nearest_catalogue() {
    for (tag, found, locale) in [
        ("es", "es", "es"),
        ("es-MX", "es", "es-MX"),
        ("es-Latn-MX", "es", "es-Latn-MX"),
        ("de-AT", "de", "de-AT"),
        ("de-CH", "de", "de-CH"),
        ("en-GB", "en", "en-GB"),
        ("ja-JP", "ja", "ja-JP"),
        ("ar-EG", "ar", "ar-EG"),
        ("pt-BR", "pt-BR", "pt-BR"),
        ("pt", "pt-BR", "pt"),
        ("pt-PT", "pt-BR", "pt-PT"),
        ("tlh", "en", "en"),
        ("zh-Hant-TW", "en", "en"),
        ("und", "en", "en"),
        ("und-BR", "en", "en"),
    ] {
        let language = language(tag);
        assert_eq!((language.tag(), language.locale()), (found, locale), "{tag}");
    }
}

#[test]
fn arabic_runs_from_right_to_left_and_no_other_does() {
    for tag in Language::supported() {
        let is_arabic = tag == "ar";
        assert_eq!(language(tag).direction() == Direction::RightToLeft, is_arabic, "{tag}");
    }
    assert_eq!(language("ar-MA").direction().as_str(), "rtl");
}

#[test]
fn numbers_follow_the_region() {
    for (tag, expected) in [
        ("en", ["1,234,567.89", "1,234.50", "-0.01"]),
        ("es", ["1.234.567,89", "1234,50", "-0,01"]),
        ("es-MX", ["1,234,567.89", "1,234.50", "-0.01"]),
        ("de", ["1.234.567,89", "1.234,50", "-0,01"]),
        ("de-CH", ["1'234'567.89", "1'234.50", "-0.01"]),
        ("fr", ["1\u{202f}234\u{202f}567,89", "1\u{202f}234,50", "-0,01"]),
        ("it", ["1.234.567,89", "1234,50", "-0,01"]),
        ("nl", ["1.234.567,89", "1.234,50", "-0,01"]),
        ("pl", ["1\u{a0}234\u{a0}567,89", "1234,50", "-0,01"]),
        ("pt-BR", ["1.234.567,89", "1.234,50", "-0,01"]),
        ("pt-PT", ["1\u{a0}234\u{a0}567,89", "1234,50", "-0,01"]),
        ("ja", ["1,234,567.89", "1,234.50", "-0.01"]),
        ("ar", ["1,234,567.89", "1,234.50", "\u{200e}-0.01"]),
    ] {
        let written = ["1234567.885", "1234.5", "-0.005"].map(|text| language(tag).decimal(&number(text), 2));
        assert_eq!(written, expected, "{tag}");
    }
}

#[test]
fn every_region_has_latin_digits() {
    for tag in ["ar", "ar-EG", "ar-SA", "ar-MA"] {
        let language = language(tag);
        let texts = [
            language.decimal(&number("12345.67"), 2),
            language.percent(&number("0.15")),
            language.date(day("2026-08-31")),
            language.money(&number("-9.5"), "EGP".parse().expect("a currency")),
        ];
        for text in texts {
            let is_other_digit = |c: char| c.is_numeric() && !c.is_ascii_digit();
            assert!(text.contains(|c: char| c.is_ascii_digit()) && !text.contains(is_other_digit), "{tag}: {text}");
        }
    }
}

#[test]
fn an_amount_that_rounds_to_nothing_has_no_sign() {
    assert_eq!(language("en").decimal(&number("-0.001"), 2), "0.00");
    assert_eq!(money("nl", "-0.001", "EUR"), "EUR\u{a0}0,00");
}

#[test]
fn money_stands_where_the_region_puts_it() {
    for (tag, amount, credit) in [
        ("en", "EUR\u{a0}12,345.60", "-EUR\u{a0}0.50"),
        ("en-GB", "EUR\u{a0}12,345.60", "-EUR\u{a0}0.50"),
        ("es", "12.345,60\u{a0}EUR", "-0,50\u{a0}EUR"),
        ("es-MX", "EUR\u{a0}12,345.60", "-EUR\u{a0}0.50"),
        ("es-Latn-MX", "EUR\u{a0}12,345.60", "-EUR\u{a0}0.50"),
        ("de", "12.345,60\u{a0}EUR", "-0,50\u{a0}EUR"),
        ("de-AT", "EUR\u{a0}12.345,60", "-EUR\u{a0}0,50"),
        ("de-CH", "EUR\u{a0}12'345.60", "EUR-0.50"),
        ("fr", "12\u{202f}345,60\u{a0}EUR", "-0,50\u{a0}EUR"),
        ("it", "12.345,60\u{a0}EUR", "-0,50\u{a0}EUR"),
        ("nl", "EUR\u{a0}12.345,60", "EUR\u{a0}-0,50"),
        ("pl", "12\u{a0}345,60\u{a0}EUR", "-0,50\u{a0}EUR"),
        ("pt-BR", "EUR\u{a0}12.345,60", "-EUR\u{a0}0,50"),
        ("pt-PT", "12\u{a0}345,60\u{a0}EUR", "-0,50\u{a0}EUR"),
        ("ja", "EUR\u{a0}12,345.60", "-EUR\u{a0}0.50"),
        ("ar", "\u{200f}12,345.60\u{a0}\u{200f}EUR", "\u{200f}\u{200e}-0.50\u{a0}\u{200f}EUR"),
    ] {
        assert_eq!(
            (money(tag, "12345.6", "EUR").as_str(), money(tag, "-0.5", "EUR").as_str()),
            (amount, credit),
            "{tag}"
        );
    }
}

#[test]
fn money_has_the_decimals_of_its_currency() {
    assert_eq!(money("en", "12345.6", "JPY"), "JPY\u{a0}12,346");
    assert_eq!(money("de", "1", "KWD"), "1,000\u{a0}KWD");
    assert_eq!(money("es", "1E+30", "EUR"), "1.000.000.000.000.000.000.000.000.000.000,00\u{a0}EUR");
    let amount = |tag: &str, currency: &str| language(tag).amount(&number("1234.5"), currency.parse().expect("one"));
    assert_eq!([amount("pl", "JPY"), amount("de", "KWD"), amount("en", "EUR")], ["1235", "1.234,500", "1,234.50"]);
}

#[test]
fn amounts_have_the_marks_that_some_regions_keep_for_them() {
    assert_eq!(language("de-AT").amount(&number("12345.6"), "EUR".parse().expect("one")), "12.345,60");
    assert_eq!(language("de-AT").decimal(&number("12345.6"), 2), "12\u{a0}345,60");
    assert!(language("fr-CH").amount(&number("5.5"), "CHF".parse().expect("one")).ends_with("5.50"));
    assert!(language("fr-CH").decimal(&number("5.5"), 2).ends_with("5,50"));
}

#[test]
fn percentages_keep_the_decimals_they_have() {
    for (tag, share, expected) in [
        ("en", "0.21", "21%"),
        ("es", "0.21", "21\u{a0}%"),
        ("es-MX", "0.16", "16%"),
        ("fr", "0.055", "5,5\u{a0}%"),
        ("de", "1.00", "100\u{a0}%"),
        ("de-CH", "0.081", "8.1%"),
        ("it", "0.22", "22%"),
        ("nl", "0.21", "21%"),
        ("pl", "0.23", "23%"),
        ("pt-BR", "0.0925", "9,25%"),
        ("ja", "0.1", "10%"),
        ("ar", "0.15", "15\u{200e}%\u{200e}"),
        ("en", "0", "0%"),
    ] {
        assert_eq!(language(tag).percent(&number(share)), expected, "{tag}");
    }
}

#[test]
fn dates_follow_the_region() {
    for (tag, expected) in [
        ("en", "August 31, 2026"),
        ("en-GB", "31 August 2026"),
        ("es", "31 de agosto de 2026"),
        ("de", "31. August 2026"),
        ("de-AT", "31. August 2026"),
        ("fr", "31 août 2026"),
        ("it", "31 agosto 2026"),
        ("nl", "31 augustus 2026"),
        ("pl", "31 sierpnia 2026"),
        ("pt-BR", "31 de agosto de 2026"),
        ("ja", "2026年8月31日"),
        ("ar", "31 أغسطس 2026"),
        ("ar-SY", "31 آب 2026"),
    ] {
        assert_eq!(language(tag).date(day("2026-08-31")), expected, "{tag}");
    }
}

#[test]
fn a_calendar_month_is_named_and_another_period_shows_its_last_day() {
    for (tag, month, other) in [
        ("en", "August 2026", "August 5, 2026 – September 4, 2026"),
        ("es", "agosto de 2026", "5 de agosto de 2026 – 4 de septiembre de 2026"),
        ("pt-BR", "agosto de 2026", "5 de agosto de 2026 – 4 de setembro de 2026"),
        ("pl", "sierpień 2026", "5 sierpnia 2026 – 4 września 2026"),
        ("ja", "2026年8月", "2026年8月5日～2026年9月4日"),
        ("ar", "أغسطس 2026", "\u{2068}5 أغسطس 2026\u{2069} – \u{2068}4 سبتمبر 2026\u{2069}"),
    ] {
        let written = |period: &str| language(tag).billing_period(period.parse().expect("a period")).expect("a text");
        assert_eq!(written("2026-08"), month);
        assert_eq!(written("2026-08-05/2026-09-05"), other);
    }
    let december = language("en").billing_period("2026-12".parse().expect("a period")).expect("a text");
    assert_eq!(december, "December 2026");
}

#[test]
fn a_count_chooses_the_plural_and_is_formatted() {
    for (tag, count, expected) in [
        ("es", 1, "Se omite 1 línea sin coste."),
        ("es", 12345, "Se omiten 12.345 líneas sin coste."),
        ("en", 0, "0 lines without cost are left out."),
        ("fr", 0, "0 ligne sans coût n’est pas affichée."),
        ("pt-BR", 0, "0 linha sem custo foi omitida."),
        ("it", 1_000_000, "1.000.000 righe senza costi non sono riportate."),
        ("pl", 1, "Pominięto 1 pozycję bez kosztów."),
        ("pl", 3, "Pominięto 3 pozycje bez kosztów."),
        ("pl", 12, "Pominięto 12 pozycji bez kosztów."),
        ("pl", 22, "Pominięto 22 pozycje bez kosztów."),
        ("pl", 25, "Pominięto 25 pozycji bez kosztów."),
        ("ja", 1, "金額のない 1 行は省略しています。"),
        ("ar", 0, "لم يستبعد أي بند."),
        ("ar", 1, "استبعد بند واحد بلا تكلفة."),
        ("ar", 2, "استبعد بندان بلا تكلفة."),
        ("ar", 3, "استبعدت \u{2068}3\u{2069} بنود بلا تكلفة."),
        ("ar", 11, "استبعد \u{2068}11\u{2069} بندًا بلا تكلفة."),
        ("ar", 100, "استبعد \u{2068}100\u{2069} بند بلا تكلفة."),
        ("ar", 103, "استبعدت \u{2068}103\u{2069} بنود بلا تكلفة."),
    ] {
        let written = language(tag).text_with("document-zero-lines", &[("count", count.into())]).expect("a text");
        assert_eq!(written, expected, "{tag} {count}");
    }
}

#[test]
fn what_is_filled_into_arabic_stands_apart_in_direction() {
    let fill = |tag: &str| {
        let arguments =
            [("kind", "invoice".into()), ("number", "2026-00042".into()), ("reseller_name", "Nimbus.".into())];
        language(tag).text_with("mail-voided-subject", &arguments).expect("a text")
    };
    assert_eq!(fill("ar"), "تم الإلغاء: فاتورة \u{2068}2026-00042\u{2069} من \u{2068}Nimbus.\u{2069}");
    assert_eq!(fill("en"), "Cancelled: invoice 2026-00042 from Nimbus.");
}

#[test]
fn reverse_charge_is_called_what_the_law_calls_it() {
    for (tag, words) in [
        ("en", "Reverse charge"),
        ("es", "Inversión del sujeto pasivo"),
        ("de", "Steuerschuldnerschaft des Leistungsempfängers"),
        ("fr", "Autoliquidation"),
        ("it", "Inversione contabile"),
        ("nl", "Btw verlegd"),
        ("pl", "Odwrotne obciążenie"),
        ("pt-BR", "Autoliquidação"),
        ("ja", "リバースチャージ方式"),
        ("ar", "الاحتساب العكسي"),
    ] {
        let text = language(tag).text("document-tax-reverse-charge").expect("a text");
        assert!(text.starts_with(words), "{tag}: {text}");
    }
}

#[test]
fn a_text_is_printed_as_given_even_if_it_looks_like_a_number() {
    let text = language("en").text_with("document-replaces", &[("number", "007".into())]);
    assert_eq!(text.expect("a text"), "Replaces 007");
}

#[test]
fn a_missing_text_or_argument_is_an_error() {
    let english = language("en");
    assert!(matches!(english.text("document-nothing"), Err(LanguageError::MissingText { .. })));
    assert!(matches!(english.text("document-replaces"), Err(LanguageError::Argument { .. })));
}

#[test]
fn every_region_of_every_language_writes_days_and_months() {
    let regions = cldr_patterns::PATTERNS.iter().flat_map(|patterns| patterns.tags.split(' '));
    let is_ours = |tag: &&str| Language::supported().any(|ours| ours.split('-').next() == tag.split('-').next());
    for tag in regions.filter(is_ours).chain(Language::supported()) {
        let language = language(tag);
        for text in [language.month(day("2026-08-01")), language.date(day("2026-08-31"))] {
            assert!(text.contains("2026") && text.chars().count() >= 7, "{tag}: {text}");
        }
    }
}
