//! The formats a sample can be written in: each is a table of columns, and how each column is written.

mod aws_cur;
mod focus;

use super::{charge::SampleCharge, line::Line};

/// A column's name, and what writes its value.
pub(super) type Column = (&'static str, fn(&SampleCharge<'_>, &mut Line));

/// A format of charge files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    /// FOCUS 1.2, which every provider's charges can come in.
    Focus,
    /// AWS Cost and Usage Report, with the names of its first version.
    AwsCur,
}

impl SampleFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Focus, Self::AwsCur];

    /// Returns the name it is asked for by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Focus => "focus",
            Self::AwsCur => "aws-cur",
        }
    }

    /// Returns the one provider whose format it is.
    pub fn provider(self) -> Option<&'static str> {
        match self {
            Self::Focus => None,
            Self::AwsCur => Some("aws"),
        }
    }

    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Focus => focus::COLUMNS,
            Self::AwsCur => aws_cur::COLUMNS,
        }
    }
}

/// Writes the cost in the provider's notation.
fn cost(charge: &SampleCharge<'_>, line: &mut Line) {
    if charge.has_exponent {
        charge.cost.write_with_exponent(&mut line.bytes);
    } else {
        line.amount(charge.cost);
    }
}
