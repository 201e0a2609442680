//! The top of the first page: who writes to whom, about what, and how it stands.

use super::{
    fonts::Length,
    layout::{LEFT, Pages, leading},
    palette::{ALARM, HAIRLINE, INK, MUTED},
    picture::{LOGO, Picture},
    sheet::{Style, points},
    typeface::Weight,
};
use crate::documents::model::{MarkKind, Party};

const ISSUER: Style = Style::new(Weight::Bold, points(12), INK);
const STATUS: Style = Style::new(Weight::Bold, points(11), INK);
const PERIOD: Style = Style::new(Weight::Regular, points(9), MUTED);
const CURRENCY: Style = Style::new(Weight::Bold, points(11), INK);
const HEADING: Style = Style::new(Weight::Bold, points(24), INK);
const NUMBER: Style = Style::new(Weight::Regular, points(11), MUTED);
const LABEL: Style = Style::new(Weight::Regular, points(8), MUTED);
const NAME: Style = Style::new(Weight::Bold, points(10), INK);
const ADDRESS: Style = Style::new(Weight::Regular, points(9), INK);
const FACT: Style = Style::new(Weight::Regular, points(9), INK);

/// The letterhead's three parts: logo or issuer, status, currency.
const HEAD_HEIGHT: Length = points(44);
const LETTERHEAD_WIDTH: Length = points(150);
const STATUS_WIDTH: Length = points(180);
const PARTY_WIDTH: Length = points(235);
/// The right column, of facts.
const FACTS_WIDTH: Length = points(238);
const FACT_VALUE_WIDTH: Length = points(140);
/// The table keeps room on the first page; each line of an address may take two.
const MAX_ADDRESS_LINES: usize = 7;
/// Six facts of the invoice, the purchase order and six custom fields, which is all that there can be.
const MAX_FACTS: usize = 13;
/// What the longest value takes that a custom field may have.
const MAX_FACT_LINES: usize = 6;

/// Draws the letterhead, the heading, the parties and the facts; leaves the cursor below them.
pub(super) fn draw(pages: &mut Pages<'_>, logo: Option<&Picture>) {
    let (bar, edge, width) = (pages.palette.bar, pages.edge(), pages.width());
    pages.sheet.fill(bar, [0, edge - points(6), width, points(6)]);
    draw_letterhead(pages, logo);
    let rule = draw_heading(pages) - points(2);
    pages.rule(HAIRLINE, rule, 60);

    let top = rule - points(20);
    let (issuer, customer) = (&pages.model.issuer, &pages.model.customer);
    let labels = &pages.model.labels;
    let issuer_end = draw_party(pages, top, &labels.issuer, issuer);
    let parties_end = draw_party(pages, issuer_end - points(9), &labels.customer, customer);
    let facts_end = draw_facts(pages, top);
    pages.cursor = parties_end.min(facts_end) - points(6);
}

/// Draws the logo, or the issuer's name in its place; status and billing period in the middle; the currency at the right.
fn draw_letterhead(pages: &mut Pages<'_>, logo: Option<&Picture>) {
    let model = pages.model;
    let (top, centre, right) = (pages.top(), pages.width() / 2, pages.right());
    match logo {
        Some(picture) => {
            let (width, height) = fitted(picture);
            pages.sheet.picture(LOGO, [LEFT, top - height, width, height]);
        }
        None => drop(pages.paragraph(ISSUER, (LEFT, top - points(12)), (LETTERHEAD_WIDTH, 2), &model.issuer.name)),
    }
    let colour = match model.mark.as_ref().map(|mark| mark.kind) {
        Some(MarkKind::Void) => ALARM,
        Some(MarkKind::Draft) => MUTED,
        None => pages.palette.heading,
    };
    let lines =
        [(Style { colour, ..STATUS }, points(12), &model.status), (PERIOD, points(26), &model.billing_period_text)];
    for (style, below, text) in lines {
        for line in pages.fonts.wrap(style.face(), text, STATUS_WIDTH, 1) {
            pages.sheet.write_centred(&mut pages.fonts, style, (centre, top - below), &line);
        }
    }
    pages.sheet.write_right(&mut pages.fonts, CURRENCY, (right, top - points(12)), model.currency.code());
}

/// Returns the largest size of the picture's shape that fits.
fn fitted(picture: &Picture) -> (Length, Length) {
    let (wide, high) = (i64::from(picture.width.max(1)), i64::from(picture.height.max(1)));
    let (most_wide, most_high) = (i64::from(LETTERHEAD_WIDTH), i64::from(HEAD_HEIGHT));
    let (width, height) = if wide * most_high > high * most_wide {
        (most_wide, most_wide * high / wide)
    } else {
        (most_high * wide / high, most_high)
    };
    (Length::try_from(width).unwrap_or(LETTERHEAD_WIDTH), Length::try_from(height).unwrap_or(HEAD_HEIGHT))
}

fn draw_heading(pages: &mut Pages<'_>) -> Length {
    let model = pages.model;
    let width = pages.right() - LEFT;
    let heading = Style { colour: pages.palette.heading, ..HEADING };
    let baseline = pages.top() - HEAD_HEIGHT - points(36);
    let end = pages.paragraph(heading, (LEFT, baseline), (width, 1), &model.heading);
    pages.paragraph(NUMBER, (LEFT, end + points(14)), (width, 2), model.printed_number())
}

fn draw_party(pages: &mut Pages<'_>, top: Length, label: &str, party: &Party) -> Length {
    pages.sheet.write(&mut pages.fonts, LABEL, (LEFT, top), label);
    let baseline = pages.paragraph(NAME, (LEFT, top - points(15)), (PARTY_WIDTH, 2), &party.name);
    let lines = party.address.iter().take(MAX_ADDRESS_LINES).chain(&party.tax_id);
    lines.fold(baseline, |baseline, line| pages.paragraph(ADDRESS, (LEFT, baseline), (PARTY_WIDTH, 2), line))
}

fn draw_facts(pages: &mut Pages<'_>, top: Length) -> Length {
    let model = pages.model;
    let right = pages.right();
    let mut baseline = top;
    // The letterhead says the billing period already.
    let facts = model.head().filter(|fact| fact.value != model.billing_period_text);
    for fact in facts.take(MAX_FACTS) {
        let label_width = FACTS_WIDTH - FACT_VALUE_WIDTH;
        let label_end = pages.paragraph(LABEL, (right - FACTS_WIDTH, baseline), (label_width, 2), &fact.label);
        let values = pages.fonts.wrap(FACT.face(), &fact.value, FACT_VALUE_WIDTH, MAX_FACT_LINES);
        for value in values {
            pages.sheet.write_right(&mut pages.fonts, FACT, (right, baseline), &value);
            baseline -= leading(FACT);
        }
        baseline = baseline.min(label_end) - points(3);
    }
    baseline
}
