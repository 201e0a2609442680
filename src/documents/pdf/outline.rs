//! The outline: a bookmark for each section, leading to its bar.

use lopdf::{Document, Object, ObjectId, dictionary, text_string};

use super::fonts::Length;
use crate::documents::DocumentError;

/// A place that the reader can jump to.
pub(super) struct Bookmark {
    pub(super) name: String,
    /// Counted from 0.
    pub(super) page: usize,
    /// Above what it leads to.
    pub(super) top: Length,
}

/// Adds the outline (ISO 32000-1, 12.3.3).
pub(super) fn add(document: &mut Document, bookmarks: &[Bookmark], pages: &[ObjectId]) -> Result<(), DocumentError> {
    let outline = document.new_object_id();
    let ids: Vec<ObjectId> = bookmarks.iter().map(|_| document.new_object_id()).collect();
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
    for (place, (bookmark, id)) in bookmarks.iter().zip(&ids).enumerate() {
        let Some(page) = pages.get(bookmark.page) else { continue };
        let top = i64::from(bookmark.top / 100);
        let mut item = dictionary! {
            "Parent" => outline,
            "Title" => text_string(&bookmark.name),
            "Dest" => vec![Object::Reference(*page), "XYZ".into(), Object::Null, top.into(), Object::Null],
        };
        if let Some(previous) = place.checked_sub(1).and_then(|place| ids.get(place)) {
            item.set("Prev", *previous);
        }
        if let Some(next) = ids.get(place + 1) {
            item.set("Next", *next);
        }
        document.set_object(*id, item);
    }
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let root = dictionary! { "Type" => "Outlines", "First" => *first, "Last" => *last, "Count" => count };
    document.set_object(outline, root);
    document.catalog_mut()?.set("Outlines", outline);
    Ok(())
}
