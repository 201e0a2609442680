//! A decimal amount as a provider writes it, and the exact sum of many.

use bigdecimal::{BigDecimal, num_bigint::BigInt};

/// Decimals that a sum keeps; no amount has more.
const SUM_DECIMALS: u32 = 22;
/// Longest run of digits written: 19 of a mantissa, or as many zeros as an amount has decimals.
const MAX_DIGITS: usize = 40;

/// `mantissa` × 10^-`decimals`.
#[derive(Clone, Copy, Default)]
pub(super) struct Amount {
    pub(super) mantissa: i64,
    pub(super) decimals: u32,
}

impl Amount {
    /// Changes the value to `numerator` / `denominator` of it, cut off behind the same decimals.
    pub(super) fn share(self, numerator: i64, denominator: i64) -> Self {
        let mantissa = i128::from(self.mantissa) * i128::from(numerator) / i128::from(denominator);
        Self { mantissa: i64::try_from(mantissa).unwrap_or(i64::MAX), ..self }
    }

    /// Writes all decimals, trailing zeros too: `-0.0500`.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let decimals = usize::try_from(self.decimals).unwrap_or_default();
        let mut buffer = [0; MAX_DIGITS];
        let digits = self.digits(decimals + 1, &mut buffer);
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
        out.extend_from_slice(whole);
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    }

    /// Writes one digit before the point and an exponent: `7.3056E-4`.
    pub(super) fn write_with_exponent(self, out: &mut Vec<u8>) {
        let mut buffer = [0; MAX_DIGITS];
        let digits = self.digits(1, &mut buffer);
        let Some((first, others)) = digits.split_at_checked(1 + usize::from(self.mantissa < 0)) else { return };
        out.extend_from_slice(first);
        if !others.is_empty() {
            out.push(b'.');
            out.extend_from_slice(others);
        }
        let exponent = i64::try_from(others.len()).unwrap_or_default() - i64::from(self.decimals);
        out.push(b'E');
        Self { mantissa: exponent, decimals: 0 }.write(out);
    }

    /// Returns whether the value is smaller than 10^-`zeros`, but not zero.
    pub(super) fn is_below(self, zeros: u32) -> bool {
        let limit = 10_u64.checked_pow(self.decimals.saturating_sub(zeros)).unwrap_or(u64::MAX);
        self.mantissa != 0 && self.mantissa.unsigned_abs() < limit
    }

    /// Writes sign and digits to the end of a buffer, with zeros in front up to a length.
    fn digits(self, at_least: usize, buffer: &mut [u8; MAX_DIGITS]) -> &[u8] {
        let mut rest = self.mantissa.unsigned_abs();
        let mut length = 0;
        for slot in buffer.iter_mut().rev() {
            if rest == 0 && length >= at_least {
                if self.mantissa < 0 {
                    *slot = b'-';
                    length += 1;
                }
                break;
            }
            *slot = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            length += 1;
        }
        buffer.get(MAX_DIGITS - length..).unwrap_or_default()
    }
}

/// An exact sum, and of how many amounts.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) rows: u64,
    units: i128,
}

impl Sum {
    pub(super) fn add(&mut self, amount: Amount) {
        let scale = 10_i128.pow(SUM_DECIMALS.saturating_sub(amount.decimals));
        self.units += i128::from(amount.mantissa) * scale;
        self.rows += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.units += other.units;
        self.rows += other.rows;
    }

    pub(super) fn to_text(self) -> String {
        BigDecimal::new(BigInt::from(self.units), i64::from(SUM_DECIMALS)).normalized().to_plain_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_providers_write_them() {
        for (mantissa, decimals, plain, exponent) in [
            (73_056, 8, "0.00073056", "7.3056E-4"),
            (-5, 2, "-0.05", "-5E-2"),
            (1500, 2, "15.00", "1.500E1"),
            (0, 3, "0.000", "0E-3"),
            (42, 0, "42", "4.2E1"),
        ] {
            let amount = Amount { mantissa, decimals };
            let mut out = Vec::new();
            amount.write(&mut out);
            out.push(b' ');
            amount.write_with_exponent(&mut out);
            assert_eq!(String::from_utf8(out), Ok(format!("{plain} {exponent}")));
        }
    }

    #[test]
    fn sums_lose_nothing() {
        let mut sum = Sum::default();
        for (mantissa, decimals) in [(1, 22), (i64::MAX, 16), (-25, 1)] {
            sum.add(Amount { mantissa, decimals });
        }
        assert_eq!((sum.rows, sum.to_text().as_str()), (3, "919.8372036854775807000001"));
    }
}
