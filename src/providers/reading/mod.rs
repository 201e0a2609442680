//! Reads charge files of every format: what a file is, how it is cut into rows, and what a row says.
//!
//! A [`Format`] is a small value in its provider's file: the columns it needs and what makes charges of a row. All else is
//! here and the same for all of them: gzip and byte order marks, the strict record splitter, line numbers, limits, and the
//! words in which a problem is told. Which format a file has is told by its header row; see [`Format::recognise`].

mod format;
mod header;
mod opening;
mod reader;
mod records;
mod row;
mod timestamp;

pub use format::{Format, ReadRow};
pub use header::{Column, Header};
pub use reader::{ChargeReader, ReadError};
pub use row::{Charges, Row};

#[cfg(test)]
pub use format::Sample;
