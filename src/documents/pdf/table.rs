//! The table of lines: a coloured bar with name and subtotal for each section, its rows, and on every page the column
//! titles and what section goes on there.

use super::{
    super::{
        DocumentError,
        model::{PrintedLine, Section, cut_after},
    },
    fonts::Length,
    layout::{LEFT, Pages, leading},
    palette::{BAND, HAIRLINE, INK, MUTED},
    sheet::{Style, points},
    typeface::Weight,
};

const TITLE: Style = Style::new(Weight::Bold, points(8), MUTED);
const CELL: Style = Style::new(Weight::Regular, points(9), INK);
const QUIET: Style = Style::new(Weight::Regular, points(9), MUTED);
const SECTION: Style = Style::new(Weight::Bold, points(9), INK);
const SECTION_ID: Style = Style::new(Weight::Regular, points(8), INK);
const CONTINUED: Style = Style::new(Weight::Regular, points(8), MUTED);

const HEADER_HEIGHT: Length = points(20);
const ROW_PADDING: Length = points(6);
/// What bars and titles stand out over the text below them, on both sides.
const OUTSET: Length = points(6);
const BAR_PADDING: Length = points(9);
/// A longer name is repeated in part only.
const MAX_BOOKMARK_CHARS: usize = 80;
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
    charges_width: Length,
    net_width: Length,
}

/// Draws every section, breaking pages as needed.
pub(super) fn draw(pages: &mut Pages<'_>) -> Result<(), DocumentError> {
    let model = pages.model;
    let columns = Columns::fit(pages);
    pages.cursor -= points(8);
    columns.draw_titles(pages);
    for section in &model.sections {
        draw_section(pages, &columns, section)?;
    }
    Ok(())
}

impl Columns {
    fn fit(pages: &Pages<'_>) -> Self {
        let (fonts, model, right) = (&pages.fonts, pages.model, pages.right());
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
        let subtotals = widest(&mut model.sections.iter().map(|section| section.subtotal.text.as_str()), SECTION);
        let net_width = title(&labels.net).max(nets).max(subtotals).clamp(points(60), MAX_NUMBER_WIDTH);
        let most_charges = lines().max_by_key(|line| line.charge_count).map_or("", |line| line.charges.as_str());
        let charges_width = title(&labels.charges).max(widest(&mut std::iter::once(most_charges), CELL));
        let category_width = if model.has_categories() {
            let cells = widest(&mut model.categories.iter().map(String::as_str), CELL);
            cells.max(title(&labels.category)).min(points(110))
        } else {
            0
        };

        let charges_width = charges_width.min(points(90));
        let charges_right = right - net_width - GAP;
        let category_left = charges_right - charges_width - GAP - category_width;
        let description_right = if category_width > 0 { category_left - GAP } else { category_left };
        let description_width = description_right - LEFT;
        Self { description_width, category_left, category_width, charges_right, charges_width, net_width }
    }

    fn draw_titles(&self, pages: &mut Pages<'_>) {
        let (labels, right) = (&pages.model.labels, pages.right());
        let baseline = pages.cursor - points(13);
        let (bottom, width) = (pages.cursor - HEADER_HEIGHT, right - LEFT + 2 * OUTSET);
        pages.sheet.fill(BAND, [LEFT - OUTSET, bottom, width, HEADER_HEIGHT]);
        pages.sheet.write(&mut pages.fonts, TITLE, (LEFT, baseline), &labels.description);
        if self.category_width > 0 {
            pages.sheet.write(&mut pages.fonts, TITLE, (self.category_left, baseline), &labels.category);
        }
        pages.sheet.write_right(&mut pages.fonts, TITLE, (self.charges_right, baseline), &labels.charges);
        pages.sheet.write_right(&mut pages.fonts, TITLE, (right, baseline), &labels.net);
        pages.cursor -= HEADER_HEIGHT;
    }

    fn break_page(&self, pages: &mut Pages<'_>) -> Result<(), DocumentError> {
        pages.break_page()?;
        self.draw_titles(pages);
        Ok(())
    }

    /// Begins a new page inside a section and says which.
    fn continue_section(&self, pages: &mut Pages<'_>, section: &Section) -> Result<(), DocumentError> {
        self.break_page(pages)?;
        let text =
            format!("{} · {}", cut_after(&section.printed_heading(), MAX_BOOKMARK_CHARS), pages.model.labels.continued);
        let width = pages.right() - LEFT;
        pages.paragraph(CONTINUED, (LEFT, pages.cursor - points(13)), (width, 1), &text);
        pages.cursor -= points(19);
        pages.rule(HAIRLINE, pages.cursor, 40);
        Ok(())
    }
}

fn draw_section(pages: &mut Pages<'_>, columns: &Columns, section: &Section) -> Result<(), DocumentError> {
    draw_bar(pages, columns, section)?;
    for line in &section.lines {
        draw_line(pages, columns, section, line)?;
    }
    pages.cursor -= points(9);
    Ok(())
}

/// Draws a section's bar: its name, id and subtotal. At the foot of a page it keeps at least one row with it.
fn draw_bar(pages: &mut Pages<'_>, columns: &Columns, section: &Section) -> Result<(), DocumentError> {
    let (name_style, id_style) = {
        let colour = pages.palette.on_bar;
        (Style { colour, ..SECTION }, Style { colour, ..SECTION_ID })
    };
    let subtotal = &section.subtotal.text;
    let room = pages.right() - LEFT - pages.fonts.width(SECTION.weight, SECTION.size, subtotal) - GAP;
    let id = section.printed_id().and_then(|id| pages.fonts.wrap(id_style.face(), id, MAX_ID_WIDTH, 1).pop());
    let id = id.unwrap_or_default();
    let id_width = pages.fonts.width(id_style.weight, id_style.size, &id) + points(8);
    let heading = section.printed_heading();
    let name = pages.fonts.wrap(name_style.face(), &heading, room - id_width, 2);
    let height = BAR_PADDING + leading(SECTION) * Length::try_from(name.len().max(1)).unwrap_or(2);
    if !pages.fits(height + points(40)) {
        columns.break_page(pages)?;
    }
    pages.cursor -= points(4);
    pages.bookmark(&cut_after(&heading, MAX_BOOKMARK_CHARS));
    let (right, bottom) = (pages.right(), pages.cursor - height);
    pages.sheet.fill(pages.palette.bar, [LEFT - OUTSET, bottom, right - LEFT + 2 * OUTSET, height]);
    let first = pages.cursor - points(14);
    let (mut baseline, mut end_of_name) = (first, LEFT);
    for (index, line) in name.iter().enumerate() {
        if index > 0 {
            baseline -= leading(SECTION);
        }
        pages.sheet.write(&mut pages.fonts, name_style, (LEFT, baseline), line);
        end_of_name = LEFT + pages.fonts.width(SECTION.weight, SECTION.size, line) + points(8);
    }
    pages.sheet.write(&mut pages.fonts, id_style, (end_of_name, baseline), &id);
    pages.sheet.write_figure(&mut pages.fonts, name_style, [right, columns.net_width, first], subtotal);
    pages.cursor = bottom;
    Ok(())
}

fn draw_line(
    pages: &mut Pages<'_>,
    columns: &Columns,
    section: &Section,
    line: &PrintedLine,
) -> Result<(), DocumentError> {
    let description =
        pages.fonts.wrap(CELL.face(), &line.description, columns.description_width, MAX_DESCRIPTION_LINES);
    let height = leading(CELL) * Length::try_from(description.len().max(1)).unwrap_or(1) + ROW_PADDING;
    if !pages.fits(height) {
        columns.continue_section(pages, section)?;
    }
    let (first, right) = (pages.cursor - points(12), pages.right());
    let mut baseline = first;
    for text in &description {
        pages.sheet.write(&mut pages.fonts, CELL, (LEFT, baseline), text);
        baseline -= leading(CELL);
    }
    if let (Some(category), true) = (&line.category, columns.category_width > 0) {
        pages.paragraph(QUIET, (columns.category_left, first), (columns.category_width, 1), category);
    }
    let charges = [columns.charges_right, columns.charges_width, first];
    pages.sheet.write_figure(&mut pages.fonts, QUIET, charges, &line.charges);
    pages.sheet.write_figure(&mut pages.fonts, CELL, [right, columns.net_width, first], &line.net.text);
    pages.cursor -= height;
    pages.rule(HAIRLINE, pages.cursor, 40);
    Ok(())
}
