//! Pages of an invoice: what stands where, and when a new page begins.
//!
//! A page is written, deflated and forgotten before the next one starts, so memory stays small with 50,000 lines. Only
//! its footer waits, because "page n of m" needs the last page. A document in a language that reads from right to left is
//! laid out like any other and mirrored as it is drawn.

use std::sync::Arc;

use super::{
    super::{
        DocumentError,
        model::{DocumentModel, MarkKind},
    },
    deflate::deflate,
    fonts::{Fonts, Length},
    opening,
    outline::Bookmark,
    palette::{DRAFT_MARK, HAIRLINE, MUTED, Palette, VOID_MARK},
    picture::{self, Picture},
    sheet::{Colour, Sheet, Style, diagonal_mark, points},
    table, totals,
    typeface::Weight,
};
use crate::{domain::branding::Paper, language::Direction};

pub(super) const LEFT: Length = points(50);
/// No content below; the footer stands under it.
pub(super) const BOTTOM: Length = points(64);
const FOOTER_BASELINE: Length = points(38);

const RUNNING: Style = Style::new(Weight::Regular, points(8), MUTED);

/// A finished page: deflated content, and the footer's plain operators.
pub(super) struct Page {
    pub(super) body: Vec<u8>,
    pub(super) footer: Vec<u8>,
}

/// All that was laid out.
pub(super) struct Laid {
    pub(super) pages: Vec<Page>,
    pub(super) fonts: Fonts,
    pub(super) bookmarks: Vec<Bookmark>,
    pub(super) logo: Option<Arc<Picture>>,
}

/// The page being written and those before it.
pub(super) struct Pages<'m> {
    pub(super) model: &'m DocumentModel,
    pub(super) fonts: Fonts,
    pub(super) palette: Palette,
    pub(super) sheet: Sheet,
    /// Top of the free space.
    pub(super) cursor: Length,
    bookmarks: Vec<Bookmark>,
    size: (Length, Length),
    is_mirrored: bool,
    mark: Vec<u8>,
    finished: Vec<Vec<u8>>,
}

/// Lays the whole document out.
pub(super) fn lay_out(model: &DocumentModel) -> Result<Laid, DocumentError> {
    let mut fonts = Fonts::new()?;
    let size = match model.branding.paper {
        // 210 by 297 mm.
        Paper::A4 => (59_528, 84_189),
        Paper::Letter => (points(612), points(792)),
    };
    let mark = model.mark.as_ref().map_or_else(Vec::new, |mark| {
        let colour = match mark.kind {
            MarkKind::Draft => DRAFT_MARK,
            MarkKind::Void => VOID_MARK,
        };
        diagonal_mark(&mut fonts, colour, &mark.text, (size.0 / 2, size.1 / 2))
    });
    let is_mirrored = model.direction == Direction::RightToLeft;
    let mut pages = Pages {
        model,
        fonts,
        palette: Palette::new(model.branding.colour),
        sheet: Sheet::new(is_mirrored.then_some(size.0)),
        cursor: 0,
        bookmarks: Vec::new(),
        size,
        is_mirrored,
        mark,
        finished: Vec::new(),
    };
    pages.cursor = pages.top();
    let logo = picture::logo(&model.branding)?;
    opening::draw(&mut pages, logo.as_deref());
    table::draw(&mut pages)?;
    totals::draw(&mut pages)?;
    pages.finish(logo)
}

impl Pages<'_> {
    pub(super) const fn width(&self) -> Length {
        self.size.0
    }

    /// Returns where the page ends.
    pub(super) const fn edge(&self) -> Length {
        self.size.1
    }

    pub(super) const fn right(&self) -> Length {
        self.size.0 - LEFT
    }

    pub(super) const fn top(&self) -> Length {
        self.size.1 - points(54)
    }

    /// Tells whether the height still fits on this page.
    pub(super) fn fits(&self, height: Length) -> bool {
        self.cursor - height >= BOTTOM
    }

    /// Lets the reader jump here by a section's name.
    pub(super) fn bookmark(&mut self, name: &str) {
        self.bookmarks.push(Bookmark { name: name.to_owned(), page: self.finished.len(), top: self.cursor });
    }

    /// Moves on to a new page.
    pub(super) fn break_page(&mut self) -> Result<(), DocumentError> {
        self.end_page()?;
        self.cursor = self.top();
        let baseline = self.top() + points(14);
        let issuer_width = points(230);
        let issuer = self.fonts.wrap(RUNNING.face(), &self.model.issuer.name, issuer_width, 1);
        let title = self.fonts.wrap(RUNNING.face(), &self.model.title, issuer_width, 1);
        for text in issuer {
            self.sheet.write(&mut self.fonts, RUNNING, (LEFT, baseline), &text);
        }
        let right = self.right();
        for text in title {
            self.sheet.write_right(&mut self.fonts, RUNNING, (right, baseline), &text);
        }
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), DocumentError> {
        let next = self.new_sheet();
        let sheet = std::mem::replace(&mut self.sheet, next);
        self.finished.push(deflate(&sheet.into_content(&self.mark)).map_err(DocumentError::Write)?);
        Ok(())
    }

    fn new_sheet(&self) -> Sheet {
        Sheet::new(self.is_mirrored.then_some(self.width()))
    }

    /// Draws a thin line over the whole width.
    pub(super) fn rule(&mut self, colour: Colour, y: Length, thickness: Length) {
        let width = self.right() - LEFT;
        self.sheet.fill(colour, [LEFT, y, width, thickness]);
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

    fn finish(mut self, logo: Option<Arc<Picture>>) -> Result<Laid, DocumentError> {
        self.end_page()?;
        let bodies = std::mem::take(&mut self.finished);
        let count = bodies.len();
        let pages = (1..).zip(bodies).map(|(number, body)| Page { body, footer: self.footer(number, count) }).collect();
        Ok(Laid { pages, fonts: self.fonts, bookmarks: self.bookmarks, logo })
    }

    fn footer(&mut self, number: usize, count: usize) -> Vec<u8> {
        let mut sheet = self.new_sheet();
        let issuer = &self.model.issuer;
        let legal = issuer.tax_id.as_ref().map_or_else(|| issuer.name.clone(), |id| format!("{} · {id}", issuer.name));
        sheet.fill(HAIRLINE, [LEFT, FOOTER_BASELINE + points(13), self.right() - LEFT, 50]);
        for line in self.fonts.wrap(RUNNING.face(), &legal, points(380), 1) {
            sheet.write(&mut self.fonts, RUNNING, (LEFT, FOOTER_BASELINE), &line);
        }
        let (place, right) = (self.model.labels.page_of(number, count), self.right());
        sheet.write_right(&mut self.fonts, RUNNING, (right, FOOTER_BASELINE), &place);
        sheet.into_content(&[])
    }
}

/// Returns the distance between the baselines of two lines.
pub(super) fn leading(style: Style) -> Length {
    style.size * 135 / 100
}
