//! Pages of an invoice: what stands where, and when a new page begins.
//!
//! A page is written, deflated and forgotten before the next one starts, so memory stays small with 50,000 lines. Only
//! its footer waits, because "page n of m" needs the last page.

use std::io::{self, Write as _};

use flate2::{Compression, write::ZlibEncoder};

use super::{
    super::{
        DocumentError,
        model::{DocumentModel, MarkKind},
    },
    opening,
    sheet::{Colour, Sheet, Style, diagonal_mark, points},
    table, totals,
    typeface::{Fonts, Length, Weight},
};

/// A4 (ISO 216).
pub(super) const PAGE_WIDTH: Length = 59_528;
pub(super) const PAGE_HEIGHT: Length = 84_189;
pub(super) const LEFT: Length = points(50);
pub(super) const RIGHT: Length = PAGE_WIDTH - LEFT;
pub(super) const TOP: Length = PAGE_HEIGHT - points(54);
/// No content below; the footer stands under it.
pub(super) const BOTTOM: Length = points(64);
const FOOTER_BASELINE: Length = points(38);

pub(super) const INK: Colour = [110, 140, 190];
pub(super) const MUTED: Colour = [400, 440, 500];
pub(super) const ACCENT: Colour = [90, 270, 520];
pub(super) const HAIRLINE: Colour = [860, 880, 910];
pub(super) const BAND: Colour = [945, 957, 972];
const DRAFT_MARK: Colour = [915, 922, 934];
const VOID_MARK: Colour = [978, 895, 891];

const RUNNING: Style = Style::new(Weight::Regular, points(8), MUTED);
/// Level 6 is a quarter larger than level 9 and takes a third of the time.
pub(super) const DEFLATE: Compression = Compression::new(6);

/// A finished page: deflated content, and the footer's plain operators.
pub(super) struct Page {
    pub(super) body: Vec<u8>,
    pub(super) footer: Vec<u8>,
}

/// The page being written and those before it.
pub(super) struct Pages<'m> {
    pub(super) model: &'m DocumentModel,
    pub(super) fonts: Fonts,
    pub(super) sheet: Sheet,
    /// Top of the free space.
    pub(super) cursor: Length,
    mark: Vec<u8>,
    finished: Vec<Vec<u8>>,
}

/// Lays the whole document out.
pub(super) fn lay_out(model: &DocumentModel) -> Result<(Vec<Page>, Fonts), DocumentError> {
    let mut fonts = Fonts::new()?;
    let mark = model.mark.as_ref().map_or_else(Vec::new, |mark| {
        let colour = match mark.kind {
            MarkKind::Draft => DRAFT_MARK,
            MarkKind::Void => VOID_MARK,
        };
        diagonal_mark(&mut fonts, colour, &mark.text, (PAGE_WIDTH / 2, PAGE_HEIGHT / 2))
    });
    let mut pages = Pages { model, fonts, sheet: Sheet::default(), cursor: TOP, mark, finished: Vec::new() };
    opening::draw(&mut pages);
    table::draw(&mut pages)?;
    totals::draw(&mut pages)?;
    pages.finish()
}

impl Pages<'_> {
    /// Tells whether the height still fits on this page.
    pub(super) fn fits(&self, height: Length) -> bool {
        self.cursor - height >= BOTTOM
    }

    /// Moves on to a new page.
    pub(super) fn break_page(&mut self) -> Result<(), DocumentError> {
        let sheet = std::mem::take(&mut self.sheet);
        self.finished.push(deflate(&sheet.into_content(&self.mark)).map_err(DocumentError::Write)?);
        self.cursor = TOP;
        let baseline = TOP + points(14);
        let issuer_width = points(230);
        let issuer = self.fonts.wrap(RUNNING.face(), &self.model.issuer.name, issuer_width, 1);
        let title = self.fonts.wrap(RUNNING.face(), &self.model.title, issuer_width, 1);
        for text in issuer {
            self.sheet.write(&mut self.fonts, RUNNING, (LEFT, baseline), &text);
        }
        for text in title {
            self.sheet.write_right(&mut self.fonts, RUNNING, (RIGHT, baseline), &text);
        }
        Ok(())
    }

    /// Draws a thin line over the whole width.
    pub(super) fn rule(&mut self, colour: Colour, y: Length, thickness: Length) {
        self.sheet.fill(colour, [LEFT, y, RIGHT - LEFT, thickness]);
    }

    /// Writes a text into at most `max_lines` lines below each other and returns the baseline after the last.
    pub(super) fn paragraph(
        &mut self,
        style: Style,
        (x, y): (Length, Length),
        (width, max_lines): (Length, usize),
        text: &str,
    ) -> Length {
        let mut baseline = y;
        for line in self.fonts.wrap(style.face(), text, width, max_lines) {
            self.sheet.write(&mut self.fonts, style, (x, baseline), &line);
            baseline -= leading(style);
        }
        baseline
    }

    fn finish(mut self) -> Result<(Vec<Page>, Fonts), DocumentError> {
        let sheet = std::mem::take(&mut self.sheet);
        self.finished.push(deflate(&sheet.into_content(&self.mark)).map_err(DocumentError::Write)?);
        let bodies = std::mem::take(&mut self.finished);
        let count = bodies.len();
        let pages = (1..).zip(bodies).map(|(number, body)| Page { body, footer: self.footer(number, count) }).collect();
        Ok((pages, self.fonts))
    }

    fn footer(&mut self, number: usize, count: usize) -> Vec<u8> {
        let mut sheet = Sheet::default();
        let issuer = &self.model.issuer;
        let legal = issuer.tax_id.as_ref().map_or_else(|| issuer.name.clone(), |id| format!("{} · {id}", issuer.name));
        sheet.fill(HAIRLINE, [LEFT, FOOTER_BASELINE + points(13), RIGHT - LEFT, 50]);
        for line in self.fonts.wrap(RUNNING.face(), &legal, points(380), 1) {
            sheet.write(&mut self.fonts, RUNNING, (LEFT, FOOTER_BASELINE), &line);
        }
        let place = self.model.labels.page_of(number, count);
        sheet.write_right(&mut self.fonts, RUNNING, (RIGHT, FOOTER_BASELINE), &place);
        sheet.into_content(&[])
    }
}

/// Returns the distance between the baselines of two lines.
pub(super) fn leading(style: Style) -> Length {
    style.size * 135 / 100
}

/// Compresses as PDF's `FlateDecode` reads it (ISO 32000-1, 7.4.4).
pub(super) fn deflate(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(content.len() / 3), DEFLATE);
    encoder.write_all(content)?;
    encoder.finish()
}
