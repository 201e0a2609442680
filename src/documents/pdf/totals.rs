//! The end of the document: subtotal, taxes, total and the notes.

use super::{
    super::{DocumentError, model::TotalRow},
    fonts::Length,
    layout::{BOTTOM, LEFT, Pages, leading},
    palette::{HAIRLINE, INK, MUTED},
    sheet::{Style, points},
    typeface::Weight,
};

const LABEL: Style = Style::new(Weight::Regular, points(9), MUTED);
const AMOUNT: Style = Style::new(Weight::Regular, points(9), INK);
const TOTAL: Style = Style::new(Weight::Bold, points(12), INK);
const NOTE: Style = Style::new(Weight::Regular, 850, MUTED);
const NOTES_TITLE: Style = Style::new(Weight::Bold, 850, INK);

const BOX_WIDTH: Length = points(340);
const BOX_PADDING: Length = points(10);
const ROW_PADDING: Length = points(6);
const TOTAL_HEIGHT: Length = points(30);
const MAX_NOTE_LINES: usize = 6;

/// Draws the box of totals, kept together where a page can hold it, and the notes.
pub(super) fn draw(pages: &mut Pages<'_>) -> Result<(), DocumentError> {
    draw_totals(pages)?;
    draw_notes(pages)
}

fn draw_totals(pages: &mut Pages<'_>) -> Result<(), DocumentError> {
    let model = pages.model;
    let width_of = |row: &TotalRow, style: Style| pages.fonts.width(style.weight, style.size, &row.amount.text);
    let upper = || std::iter::once(&model.subtotal).chain(&model.taxes);
    let widest = upper().map(|row| width_of(row, AMOUNT)).fold(width_of(&model.total, TOTAL), Length::max);
    let rows: Vec<Row> = upper().map(|row| Row::new(pages, row, widest)).collect();
    let height = rows.iter().map(Row::height).fold(TOTAL_HEIGHT + points(24), Length::saturating_add);
    if !pages.fits(height.min(pages.top() - BOTTOM)) {
        pages.break_page()?;
    }
    pages.cursor -= points(18);
    for row in rows {
        if !pages.fits(row.height()) {
            pages.break_page()?;
        }
        row.draw(pages, widest);
    }
    if !pages.fits(TOTAL_HEIGHT) {
        pages.break_page()?;
    }
    let (bottom, height) = (pages.cursor - TOTAL_HEIGHT + points(4), TOTAL_HEIGHT - points(4));
    let (box_left, right) = (pages.right() - BOX_WIDTH, pages.right());
    pages.sheet.fill(pages.palette.bar, [box_left, bottom, BOX_WIDTH, height]);
    let baseline = pages.cursor - points(17);
    let TotalRow { label, amount } = &model.total;
    let style = Style { colour: pages.palette.on_bar, ..TOTAL };
    pages.paragraph(style, (box_left + BOX_PADDING, baseline), (BOX_WIDTH / 2, 1), label);
    pages.sheet.write_figure(&mut pages.fonts, style, [right - BOX_PADDING, widest, baseline], &amount.text);
    pages.cursor -= TOTAL_HEIGHT;
    Ok(())
}

/// A measured row of the box.
struct Row<'m> {
    label: Vec<String>,
    amount: &'m str,
}

impl<'m> Row<'m> {
    /// `widest` is the width of the widest amount of the box.
    fn new(pages: &Pages<'m>, row: &'m TotalRow, widest: Length) -> Self {
        let room = BOX_WIDTH - 2 * BOX_PADDING - widest - points(12);
        Self { label: pages.fonts.wrap(LABEL.face(), &row.label, room, 2), amount: &row.amount.text }
    }

    fn height(&self) -> Length {
        ROW_PADDING + leading(LABEL) * Length::try_from(self.label.len().max(1)).unwrap_or(1)
    }

    fn draw(self, pages: &mut Pages<'_>, widest: Length) {
        let (box_left, right) = (pages.right() - BOX_WIDTH, pages.right());
        let first = pages.cursor - points(12);
        let mut baseline = first;
        for line in &self.label {
            pages.sheet.write(&mut pages.fonts, LABEL, (box_left + BOX_PADDING, baseline), line);
            baseline -= leading(LABEL);
        }
        pages.sheet.write_figure(&mut pages.fonts, AMOUNT, [right - BOX_PADDING, widest, first], self.amount);
        pages.cursor -= self.height();
        pages.sheet.fill(HAIRLINE, [box_left, pages.cursor, BOX_WIDTH, 40]);
    }
}

fn draw_notes(pages: &mut Pages<'_>) -> Result<(), DocumentError> {
    let model = pages.model;
    let replaced = pages.fonts.has_replaced.then_some(&model.labels.replaced_characters);
    let mut notes = model.notes.iter().chain(replaced).peekable();
    if notes.peek().is_none() {
        return Ok(());
    }
    pages.cursor -= points(22);
    if !pages.fits(points(30)) {
        pages.break_page()?;
    }
    pages.sheet.write(&mut pages.fonts, NOTES_TITLE, (LEFT, pages.cursor - points(9)), &model.labels.notes);
    pages.cursor -= points(14);
    for note in notes {
        for line in pages.fonts.wrap(NOTE.face(), note, pages.right() - LEFT, MAX_NOTE_LINES) {
            if !pages.fits(leading(NOTE)) {
                pages.break_page()?;
            }
            pages.sheet.write(&mut pages.fonts, NOTE, (LEFT, pages.cursor - points(9)), &line);
            pages.cursor -= leading(NOTE);
        }
        pages.cursor -= points(3);
    }
    Ok(())
}
