//! An exact sum of many amounts: whole numbers where they fit, arbitrary ones where they do not.

use bigdecimal::{BigDecimal, num_bigint::BigInt};

/// Decimals of the fast sum: nearly all amounts have fewer, and 170 trillion still fit in front of them.
const DECIMALS: u32 = 24;

/// The sum of the amounts that were added, with as many decimals as the one that has most.
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    units: i128,
    /// What did not fit.
    others: BigDecimal,
    decimals: i64,
}

impl ExactSum {
    /// Adds an amount.
    pub fn add(&mut self, amount: &BigDecimal) {
        let (mantissa, scale) = amount.as_bigint_and_scale();
        self.decimals = self.decimals.max(scale);
        match to_units(&mantissa, scale).and_then(|units| self.units.checked_add(units)) {
            Some(units) => self.units = units,
            None => self.others += amount,
        }
    }

    /// Returns the sum.
    pub fn total(&self) -> BigDecimal {
        let total = BigDecimal::new(BigInt::from(self.units), i64::from(DECIMALS)) + &self.others;
        // Nothing but zeros is cut off.
        total.with_scale(self.decimals)
    }
}

fn to_units(mantissa: &BigInt, scale: i64) -> Option<i128> {
    let power = DECIMALS.checked_sub(u32::try_from(scale).ok()?)?;
    i128::from(i64::try_from(mantissa).ok()?).checked_mul(10_i128.pow(power))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_whatever_is_added(
            amounts in prop::collection::vec((any::<i128>(), 0_u32..128, -20_i64..40), 0..20)
        ) {
            let mut sum = ExactSum::default();
            let mut expected = BigDecimal::default();
            for (mantissa, cut, scale) in amounts {
                let amount = BigDecimal::new(BigInt::from(mantissa >> cut), scale);
                sum.add(&amount);
                expected += amount;
            }
            prop_assert_eq!(sum.total(), expected);
        }
    }

    #[test]
    fn a_sum_has_the_decimals_of_what_was_added() {
        let mut sum = ExactSum::default();
        for amount in ["1.50", "-0.5", "7"] {
            sum.add(&amount.parse().expect("a decimal"));
        }
        assert_eq!(sum.total().to_string(), "8.00");
    }
}
