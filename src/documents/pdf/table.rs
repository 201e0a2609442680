//! The table of lines: sections, rows and their subtotals, with the column titles on every page.

use super::{
    super::{
        DocumentError,
        model::{DocumentModel, PrintedLine, Section},
    },
    layout::{BAND, HAIRLINE, INK, LEFT, MUTED, Pages, RIGHT, leading},
    sheet::{Style, points},
    typeface::{Fonts, Length, Weight},
};

const TITLE: Style = Style::new(Weight::Bold, points(8), MUTED);
const CELL: Style = Style::new(Weight::Regular, points(9), INK);
const QUIET: Style = Style::new(Weight::Regular, points(9), MUTED);
const SECTION: Style = Style::new(Weight::Bold, 950, INK);
const SUBTOTAL: Style = Style::new(Weight::Bold, points(9), INK);

const HEADER_HEIGHT: Length = points(20);
const ROW_PADDING: Length = points(6);
const SUBTOTAL_HEIGHT: Length = points(19);
const GAP: Length = points(14);
/// A description that needs more is cut with an ellipsis; the CSV has it whole.
const MAX_DESCRIPTION_LINES: usize = 3;
const MAX_NUMBER_WIDTH: Length = points(150);
const MAX_ID_WIDTH: Length = points(200);

/// Right edges and widths of the columns, fitted to their contents.
struct Columns {
    description_width: Length,
    category_left: Length,
    category_width: Length,
    charges_right: Length,
}

/// Draws every section, breaking pages as needed.
pub(super) fn draw(pages: &mut Pages<'_>) -> Result<(), DocumentError> {
    let model = pages.model;
    let columns = Columns::fit(&pages.fonts, model);
    pages.cursor -= points(8);
    columns.draw_titles(pages);
    let has_subtotals = model.sections.len() > 1;
    for section in &model.sections {
        draw_section(pages, &columns, section, has_subtotals)?;
    }
    Ok(())
}

impl Columns {
    fn fit(fonts: &Fonts, model: &DocumentModel) -> Self {
        let labels = &model.labels;
        let title = |text: &str| fonts.width(TITLE.weight, TITLE.size, text);
        let lines = || model.sections.iter().flat_map(|section| &section.lines);
        let widest = |cells: &mut dyn Iterator<Item = &str>, style: Style| {
            cells.map(|text| fonts.width(style.weight, style.size, text)).max().unwrap_or(0)
        };
        // Digits are all equally wide, so only the longest texts need measuring.
        let longest_net = lines().map(|line| line.net.text.len()).max().unwrap_or(0);
        let nets =
            widest(&mut lines().map(|line| line.net.text.as_str()).filter(|text| text.len() + 1 >= longest_net), CELL);
        let subtotals = widest(&mut model.sections.iter().map(|section| section.subtotal.text.as_str()), SUBTOTAL);
        let net_width = title(&labels.net).max(nets).max(subtotals).clamp(points(60), MAX_NUMBER_WIDTH);
        let most_charges = lines().max_by_key(|line| line.charge_count).map_or("", |line| line.charges.as_str());
        let charges_width = title(&labels.charges).max(widest(&mut std::iter::once(most_charges), CELL));
        let category_width = if model.has_categories() {
            let cells = widest(&mut model.categories.iter().map(String::as_str), CELL);
            cells.max(title(&labels.category)).min(points(110))
        } else {
            0
        };

        let charges_right = RIGHT - net_width - GAP;
        let category_left = charges_right - charges_width.min(points(90)) - GAP - category_width;
        let description_right = if category_width > 0 { category_left - GAP } else { category_left };
        Self { description_width: description_right - LEFT, category_left, category_width, charges_right }
    }

    fn draw_titles(&self, pages: &mut Pages<'_>) {
        let labels = &pages.model.labels;
        let baseline = pages.cursor - points(13);
        pages
            .sheet
            .fill(BAND, [LEFT - points(6), pages.cursor - HEADER_HEIGHT, RIGHT - LEFT + points(12), HEADER_HEIGHT]);
        pages.sheet.write(&mut pages.fonts, TITLE, (LEFT, baseline), &labels.description);
        if self.category_width > 0 {
            pages.sheet.write(&mut pages.fonts, TITLE, (self.category_left, baseline), &labels.category);
        }
        pages.sheet.write_right(&mut pages.fonts, TITLE, (self.charges_right, baseline), &labels.charges);
        pages.sheet.write_right(&mut pages.fonts, TITLE, (RIGHT, baseline), &labels.net);
        pages.cursor -= HEADER_HEIGHT;
    }

    fn break_page(&self, pages: &mut Pages<'_>) -> Result<(), DocumentError> {
        pages.break_page()?;
        self.draw_titles(pages);
        Ok(())
    }
}

fn draw_section(
    pages: &mut Pages<'_>,
    columns: &Columns,
    section: &Section,
    has_subtotal: bool,
) -> Result<(), DocumentError> {
    draw_heading(pages, columns, section)?;
    let last = section.lines.len().saturating_sub(1);
    for (index, line) in section.lines.iter().enumerate() {
        let below = if has_subtotal && index == last { SUBTOTAL_HEIGHT } else { 0 };
        draw_line(pages, columns, line, below)?;
    }
    if has_subtotal {
        draw_subtotal(pages, section);
    }
    Ok(())
}

/// Draws a section's name and id; a heading at the foot of a page keeps at least one row with it.
fn draw_heading(pages: &mut Pages<'_>, columns: &Columns, section: &Section) -> Result<(), DocumentError> {
    let id = section.printed_id().and_then(|id| pages.fonts.wrap(QUIET.face(), id, MAX_ID_WIDTH, 1).pop());
    let id = id.unwrap_or_default();
    let id_width = pages.fonts.width(QUIET.weight, QUIET.size, &id) + points(7);
    let name = pages.fonts.wrap(SECTION.face(), &section.printed_heading(), RIGHT - LEFT - id_width, 2);
    let height = points(14) + leading(SECTION) * Length::try_from(name.len().max(1)).unwrap_or(2);
    if !pages.fits(height + points(40)) {
        columns.break_page(pages)?;
    }
    let mut baseline = pages.cursor - points(18);
    let mut end_of_name = LEFT;
    for (index, line) in name.iter().enumerate() {
        if index > 0 {
            baseline -= leading(SECTION);
        }
        pages.sheet.write(&mut pages.fonts, SECTION, (LEFT, baseline), line);
        end_of_name = LEFT + pages.fonts.width(SECTION.weight, SECTION.size, line) + points(7);
    }
    pages.sheet.write(&mut pages.fonts, QUIET, (end_of_name, baseline), &id);
    pages.cursor -= height;
    Ok(())
}

/// Draws one row; `below` is the height that must stay on the same page.
fn draw_line(pages: &mut Pages<'_>, columns: &Columns, line: &PrintedLine, below: Length) -> Result<(), DocumentError> {
    let description =
        pages.fonts.wrap(CELL.face(), &line.description, columns.description_width, MAX_DESCRIPTION_LINES);
    let height = leading(CELL) * Length::try_from(description.len().max(1)).unwrap_or(1) + ROW_PADDING;
    if !pages.fits(height + below) {
        columns.break_page(pages)?;
    }
    let first = pages.cursor - points(12);
    let mut baseline = first;
    for text in &description {
        pages.sheet.write(&mut pages.fonts, CELL, (LEFT, baseline), text);
        baseline -= leading(CELL);
    }
    if let (Some(category), true) = (&line.category, columns.category_width > 0) {
        pages.paragraph(QUIET, (columns.category_left, first), (columns.category_width, 1), category);
    }
    pages.sheet.write_right(&mut pages.fonts, QUIET, (columns.charges_right, first), &line.charges);
    pages.sheet.write_right(&mut pages.fonts, CELL, (RIGHT, first), &line.net.text);
    pages.cursor -= height;
    pages.rule(HAIRLINE, pages.cursor, 40);
    Ok(())
}

fn draw_subtotal(pages: &mut Pages<'_>, section: &Section) {
    let baseline = pages.cursor - points(13);
    let amount_width = pages.fonts.width(SUBTOTAL.weight, SUBTOTAL.size, &section.subtotal.text);
    let label_right = RIGHT - amount_width - points(12);
    for label in pages.fonts.wrap(QUIET.face(), &section.subtotal_label, label_right - LEFT, 1) {
        pages.sheet.write_right(&mut pages.fonts, QUIET, (label_right, baseline), &label);
    }
    pages.sheet.write_right(&mut pages.fonts, SUBTOTAL, (RIGHT, baseline), &section.subtotal.text);
    pages.cursor -= SUBTOTAL_HEIGHT;
}
