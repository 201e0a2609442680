//! The top of the first page: who writes to whom, and about what.

use super::{
    layout::{ACCENT, HAIRLINE, INK, LEFT, MUTED, PAGE_HEIGHT, PAGE_WIDTH, Pages, RIGHT, TOP, leading},
    sheet::{Style, points},
    typeface::{Length, Weight},
};
use crate::documents::model::Party;

const ISSUER: Style = Style::new(Weight::Bold, points(12), INK);
const HEADING: Style = Style::new(Weight::Bold, points(24), ACCENT);
const NUMBER: Style = Style::new(Weight::Bold, points(11), INK);
const LABEL: Style = Style::new(Weight::Regular, points(8), MUTED);
const ADDRESS: Style = Style::new(Weight::Regular, 850, MUTED);
const CUSTOMER: Style = Style::new(Weight::Bold, points(10), INK);
const CUSTOMER_ADDRESS: Style = Style::new(Weight::Regular, points(9), INK);
const FACT: Style = Style::new(Weight::Regular, points(9), INK);

const PARTY_WIDTH: Length = points(235);
/// The right column, of facts.
const FACTS_LEFT: Length = RIGHT - points(238);
const FACT_VALUE_WIDTH: Length = points(140);
/// The table keeps room on the first page; each line of an address may take two.
const MAX_ADDRESS_LINES: usize = 7;
/// Six facts of the invoice, the purchase order and six custom fields, which is all that there can be.
const MAX_FACTS: usize = 13;
/// What the longest value takes that a custom field may have.
const MAX_FACT_LINES: usize = 6;

/// Draws the issuer, the heading, the customer and the facts; leaves the cursor below them.
pub(super) fn draw(pages: &mut Pages<'_>) {
    pages.sheet.fill(ACCENT, [0, PAGE_HEIGHT - points(6), PAGE_WIDTH, points(6)]);
    let issuer_end = draw_issuer(pages);
    let heading_end = draw_heading(pages);

    let rule = issuer_end.min(heading_end) - points(4);
    pages.rule(HAIRLINE, rule, 60);
    let top = rule - points(20);
    let customer_end = draw_customer(pages, top);
    let facts_end = draw_facts(pages, top);
    pages.cursor = customer_end.min(facts_end) - points(10);
}

fn draw_issuer(pages: &mut Pages<'_>) -> Length {
    let model = pages.model;
    let baseline = pages.paragraph(ISSUER, (LEFT, TOP - points(12)), (PARTY_WIDTH, 2), &model.issuer.name);
    draw_address(pages, ADDRESS, baseline, &model.issuer)
}

fn draw_customer(pages: &mut Pages<'_>, top: Length) -> Length {
    let model = pages.model;
    pages.sheet.write(&mut pages.fonts, LABEL, (LEFT, top), &model.labels.customer);
    let baseline = pages.paragraph(CUSTOMER, (LEFT, top - points(16)), (PARTY_WIDTH, 2), &model.customer.name);
    draw_address(pages, CUSTOMER_ADDRESS, baseline, &model.customer)
}

fn draw_address(pages: &mut Pages<'_>, style: Style, top: Length, party: &Party) -> Length {
    let lines = party.address.iter().take(MAX_ADDRESS_LINES).chain(&party.tax_id);
    lines.fold(top, |baseline, line| pages.paragraph(style, (LEFT, baseline), (PARTY_WIDTH, 2), line))
}

fn draw_heading(pages: &mut Pages<'_>) -> Length {
    let model = pages.model;
    let mut baseline = TOP - points(17);
    for (style, text) in [(HEADING, &model.heading), (NUMBER, model.printed_number())] {
        for line in pages.fonts.wrap(style.face(), text, RIGHT - LEFT - PARTY_WIDTH - points(10), 2) {
            pages.sheet.write_right(&mut pages.fonts, style, (RIGHT, baseline), &line);
            baseline -= leading(style) * 8 / 10;
        }
    }
    baseline
}

fn draw_facts(pages: &mut Pages<'_>, top: Length) -> Length {
    let model = pages.model;
    let mut baseline = top;
    for fact in model.head().take(MAX_FACTS) {
        let label_width = RIGHT - FACTS_LEFT - FACT_VALUE_WIDTH;
        let label_end = pages.paragraph(LABEL, (FACTS_LEFT, baseline), (label_width, 2), &fact.label);
        let values = pages.fonts.wrap(FACT.face(), &fact.value, FACT_VALUE_WIDTH, MAX_FACT_LINES);
        for value in values {
            pages.sheet.write_right(&mut pages.fonts, FACT, (RIGHT, baseline), &value);
            baseline -= leading(FACT);
        }
        baseline = baseline.min(label_end) - points(3);
    }
    baseline
}
