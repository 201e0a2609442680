//! Values as COPY takes them in its binary form: neither side writes or reads digits, dates or escapes.
//!
//! Format: Postgres manual, COPY, "Binary Format"; of each type what its `…_send` function in the Postgres sources
//! writes. A column must be of exactly the type written here: Postgres converts nothing.

use std::io;

use bigdecimal::{BigDecimal, num_bigint::BigInt};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{Encode, error::BoxDynError, postgres::PgArgumentBuffer};
use uuid::Uuid;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: &[u8] = &(-1_i16).to_be_bytes();
const NULL: &[u8] = &(-1_i32).to_be_bytes();
/// Version of the binary form of `jsonb`, whose rest is text.
const JSONB_VERSION: u8 = 1;
/// 2000-01-01T00:00:00Z, from which Postgres counts, in microseconds and days from 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;
/// `numeric` has digits of base 10⁴.
const BASE: u64 = 10_000;
const NEGATIVE: u16 = 0x4000;
/// Decimals up to which a number is encoded here; no number of a charge file that is short has more.
const MAX_DECIMALS: u32 = 60;

/// Rows being encoded. A row is [`Self::start_row`] and then a value for each column.
#[derive(Default)]
pub(super) struct BinaryRows {
    bytes: Vec<u8>,
    slow_numeric: PgArgumentBuffer,
}

impl BinaryRows {
    pub(super) fn start_file(&mut self) {
        self.bytes.extend_from_slice(SIGNATURE);
    }

    pub(super) fn end_file(&mut self) {
        self.bytes.extend_from_slice(END);
    }

    pub(super) fn start_row(&mut self, columns: i16) {
        self.bytes.extend_from_slice(&columns.to_be_bytes());
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns what was encoded so far, and goes on with nothing.
    pub(super) fn take(&mut self, capacity: usize) -> Vec<u8> {
        std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity))
    }

    /// Appends values that were encoded before.
    pub(super) fn encoded(&mut self, values: &[u8]) {
        self.bytes.extend_from_slice(values);
    }

    pub(super) fn null(&mut self) {
        self.bytes.extend_from_slice(NULL);
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.sized(value.into_bytes());
    }

    pub(super) fn date(&mut self, value: NaiveDate) {
        self.sized((value.to_epoch_days() - EPOCH_DAYS).to_be_bytes());
    }

    pub(super) fn timestamp(&mut self, value: DateTime<Utc>) {
        self.sized((value.timestamp_micros() - EPOCH_MICROS).to_be_bytes());
    }

    pub(super) fn bigint(&mut self, value: i64) {
        self.sized(value.to_be_bytes());
    }

    pub(super) fn text(&mut self, value: &str) -> io::Result<()> {
        self.length(value.len())?;
        self.bytes.extend_from_slice(value.as_bytes());
        Ok(())
    }

    pub(super) fn optional_text(&mut self, value: Option<&str>) -> io::Result<()> {
        if let Some(value) = value {
            return self.text(value);
        }
        self.null();
        Ok(())
    }

    /// Writes names and values as one object.
    pub(super) fn jsonb_object(&mut self, members: &[(String, String)]) -> io::Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(NULL);
        self.bytes.push(JSONB_VERSION);
        let mut separator = b'{';
        for (name, value) in members {
            self.bytes.push(separator);
            serde_json::to_writer(&mut self.bytes, name)?;
            self.bytes.push(b':');
            serde_json::to_writer(&mut self.bytes, value)?;
            separator = b',';
        }
        self.bytes.push(b'}');
        self.mend_length(start)
    }

    /// Writes a number with all its decimals: a short one here, any other as sqlx does.
    pub(super) fn numeric(&mut self, value: &BigDecimal) -> Result<(), BoxDynError> {
        let (mantissa, scale) = value.as_bigint_and_scale();
        if !self.short_numeric(&mantissa, scale) {
            self.slow_numeric.clear();
            let _ = value.encode_by_ref(&mut self.slow_numeric)?;
            let length = self.slow_numeric.len();
            self.length(length)?;
            self.bytes.extend_from_slice(&self.slow_numeric);
        }
        Ok(())
    }

    /// Writes a number whose digits fit 64 bits, and tells whether this one does.
    fn short_numeric(&mut self, mantissa: &BigInt, scale: i64) -> bool {
        let Ok(signed) = i64::try_from(mantissa) else { return false };
        let Some(decimals) = u32::try_from(scale).ok().filter(|decimals| *decimals <= MAX_DECIMALS) else {
            return false;
        };
        // Filled up to whole digits of base 10⁴ behind the point.
        let groups_behind_point = decimals.div_ceil(4);
        let filled = signed.unsigned_abs().checked_mul(10_u64.pow(groups_behind_point * 4 - decimals));
        let Some(filled) = filled else { return false };
        let (mut digits, mut count, mut rest) = ([0_u16; 5], 0_u16, filled);
        for digit in digits.iter_mut().rev() {
            if rest == 0 {
                break;
            }
            *digit = u16::try_from(rest % BASE).unwrap_or_default();
            rest /= BASE;
            count += 1;
        }
        let (Ok(behind), Ok(dscale)) = (u16::try_from(groups_behind_point), u16::try_from(decimals)) else {
            return false;
        };
        let used = digits.get(digits.len() - usize::from(count)..).unwrap_or_default();
        let trailing_zeros = used.iter().rev().take_while(|digit| **digit == 0).count();
        let used = used.get(..used.len() - trailing_zeros).unwrap_or_default();
        let Ok(used_count) = u16::try_from(used.len()) else { return false };
        // Two's complement: the weight of a small number is negative.
        let weight = if filled == 0 { 0 } else { count.wrapping_sub(behind).wrapping_sub(1) };
        self.bytes.extend_from_slice(&(8 + 2 * u32::from(used_count)).to_be_bytes());
        for part in [used_count, weight, if signed < 0 { NEGATIVE } else { 0 }, dscale] {
            self.bytes.extend_from_slice(&part.to_be_bytes());
        }
        for digit in used {
            self.bytes.extend_from_slice(&digit.to_be_bytes());
        }
        true
    }

    fn sized<const N: usize>(&mut self, value: [u8; N]) {
        self.bytes.extend_from_slice(&u32::try_from(N).unwrap_or_default().to_be_bytes());
        self.bytes.extend_from_slice(&value);
    }

    fn length(&mut self, length: usize) -> io::Result<()> {
        let length = i32::try_from(length).map_err(io::Error::other)?;
        self.bytes.extend_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// Writes the length of what stands behind `start`, over the four bytes there.
    fn mend_length(&mut self, start: usize) -> io::Result<()> {
        let length = i32::try_from(self.bytes.len() - start - NULL.len()).map_err(io::Error::other)?;
        if let Some(place) = self.bytes.get_mut(start..start + NULL.len()) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn short(value: &BigDecimal) -> Option<Vec<u8>> {
        let mut rows = BinaryRows::default();
        let (mantissa, scale) = value.as_bigint_and_scale();
        rows.short_numeric(&mantissa, scale).then(|| rows.bytes[4..].to_vec())
    }

    fn by_sqlx(value: &BigDecimal) -> Vec<u8> {
        let mut buffer = PgArgumentBuffer::default();
        let _ = value.encode_by_ref(&mut buffer).expect("encoded");
        buffer.to_vec()
    }

    #[test]
    fn what_is_not_short_is_left_to_sqlx() {
        for (mantissa, scale, is_short) in [
            (i128::from(i64::MAX) / 1000, 13, true),
            (i128::from(i64::MAX), 13, false),
            (i128::from(i64::MAX) + 1, 12, false),
            (15, -1, false),
            (1, 60, true),
            (1, 61, false),
        ] {
            let value = BigDecimal::new(mantissa.into(), scale);
            assert_eq!(short(&value).is_some(), is_short, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_short_number_is_encoded_as_sqlx_encodes_it(mantissa: i64, cut in 0_u32..64, decimals in 0_i64..=60) {
            let value = BigDecimal::new((mantissa >> cut).into(), decimals);
            if let Some(encoded) = short(&value) {
                // Zero has no weight of its own.
                let expected = if mantissa >> cut == 0 { [&[0; 6], &by_sqlx(&value)[6..8]].concat() } else { by_sqlx(&value) };
                prop_assert_eq!(encoded, expected);
            }
        }
    }
}
