//! What EN 16931 allows of taxes, and what it refuses.

use super::*;
use crate::domain::lines::LineDetails;

fn decimal(text: &str) -> BigDecimal {
    text.parse().expect("a decimal")
}

fn euro() -> Currency {
    "EUR".parse().expect("a currency")
}

fn line(section: &str, service: &str, net: &str) -> Line {
    Line {
        section_id: section.to_owned(),
        section_name: section.to_owned(),
        description: service.to_owned(),
        charge_category: None,
        correction_of: None,
        cost_currency: euro(),
        cost_exact: decimal(net),
        exchange_rate: decimal("1"),
        price_exact: decimal(net),
        net: decimal(net),
        charge_count: 1,
        details: LineDetails::default(),
    }
}

fn tax(name: &str, rate: &str, category: Option<TaxCategory>) -> TaxRate {
    TaxRate { category, ..TaxRate::new(name, decimal(rate)) }
}

#[test]
fn tax_is_the_rate_of_the_base_per_category_and_rate_rounded_half_up_once() {
    let mut lines = [line("a", "x", "0.10"), line("b", "x", "0.15"), line("b", "y", "-0.05")];
    let rates = [tax("VAT", "0.1", None), TaxRate { sections: vec!["b".into()], ..tax("VAT", "0.5", None) }];
    let taxes = tax_lines(&mut lines, &rates, euro(), None);
    let amounts: Vec<_> = taxes.iter().map(|tax| (tax.base.clone(), tax.amount.clone())).collect();
    assert_eq!(amounts, [(decimal("0.10"), decimal("0.01")), (decimal("0.10"), decimal("0.05"))]);
    let bases: BigDecimal = taxes.iter().map(|tax| &tax.base).sum();
    assert_eq!(bases, lines.iter().map(|line| &line.net).sum::<BigDecimal>(), "each line is in one base");
}

#[test]
fn an_invoice_without_lines_still_names_its_tax() {
    let taxes = tax_lines(&mut [], &[tax("VAT", "0.1", None)], euro(), None);
    assert_eq!((taxes.len(), &taxes[0].amount), (1, &decimal("0.00")));
}

#[test]
fn a_rate_of_services_goes_before_one_of_sections_before_one_of_all() {
    let of = |services: &[&str], sections: &[&str], rate: &str| TaxRate {
        services: services.iter().map(|name| (*name).to_owned()).collect(),
        sections: sections.iter().map(|name| (*name).to_owned()).collect(),
        ..tax("VAT", rate, None)
    };
    let rates = [of(&[], &[], "0.1"), of(&[], &["b"], "0.2"), of(&["x"], &[], "0.3"), of(&["x"], &["b"], "0.4")];
    let mut lines = [line("a", "y", "1"), line("b", "y", "1"), line("a", "x", "1"), line("b", "x", "1")];
    assert_eq!(check_tax_rates(&rates, true), Ok(()));
    let taxes = tax_lines(&mut lines, &rates, euro(), None);
    let chosen: Vec<_> = lines.iter().map(|line| &taxes[line.details.taxes[0]].rate).collect();
    assert_eq!(chosen, ["0.1", "0.2", "0.3", "0.4"].map(decimal).iter().collect::<Vec<_>>());
}

#[test]
fn a_reason_is_chosen_by_language() {
    let reasons = [("en", "Article 132"), ("es", "artículo 20")].map(|(tag, text)| (tag.to_owned(), text.to_owned()));
    let exempt = TaxRate { exemption_reasons: reasons.into(), ..tax("IVA", "0", Some(TaxCategory::Exempt)) };
    for (tag, expected) in [("es-MX", "artículo 20"), ("de", "Article 132")] {
        let language: LanguageTag = tag.parse().expect("a tag");
        let taxes = tax_lines(&mut [line("a", "x", "1")], std::slice::from_ref(&exempt), euro(), Some(&language));
        assert_eq!(taxes[0].exemption_reason.as_deref(), Some(expected), "{tag}");
    }
}

#[test]
fn what_en_16931_does_not_allow_is_refused_when_it_is_saved() {
    let refused = |rates: &[TaxRate], has_tax_id| check_tax_rates(rates, has_tax_id).expect_err("refused").to_string();
    for category in TaxCategory::ALL {
        let rate = if category == TaxCategory::Standard { "0" } else { "0.1" };
        let error = refused(&[tax("VAT", rate, Some(category))], true);
        assert!(error.contains(&format!("has category {category} and rate {rate}")), "{error}");
    }
    assert!(refused(&[tax("VAT", "-0.1", None)], true).contains("tax `VAT` is -0.1; write 0 or more"));
    assert!(refused(&[tax("VAT", "0", Some(TaxCategory::Exempt))], true).contains("says not why"));
    let needless = TaxRate { exemption_code: Some("VATEX-EU-AE".into()), ..tax("VAT", "0.1", None) };
    assert!(refused(&[needless], true).contains("has an exemption reason"));
    for category in [TaxCategory::ReverseCharge, TaxCategory::IntraCommunity] {
        assert!(refused(&[tax("VAT", "0", Some(category))], false).contains("needs the customer's tax id"));
        assert_eq!(check_tax_rates(&[tax("VAT", "0", Some(category))], true), Ok(()));
    }
    let outside = [tax("VAT", "0", Some(TaxCategory::OutsideScope)), tax("Other", "0.1", None)];
    assert!(refused(&outside, true).contains("must be the only one"));
    assert!(refused(&[tax("VAT", "0.1", None), tax("VAT", "0.2", None)], true).contains("is there twice"));
    let of = |services: [&str; 2]| TaxRate { services: services.map(str::to_owned).into(), ..tax("VAT", "0.1", None) };
    assert!(refused(&[of(["a", "b"]), of(["b", "c"])], true).contains("is there twice"));
    assert_eq!(check_tax_rates(&[of(["a", "b"]), of(["c", "d"])], true), Ok(()));
}
