//! Numbers drawn at random, the same on every machine.
//!
//! Only whole numbers, so that no rounding of a processor or a mathematical library shows. The generator is one that
//! rand names portable: a release that changed what a seed yields would break rand's promise of reproducibility. What
//! is made of its 64 bits is written here, since rand may change its distributions in any minor release.

use rand::{Rng, SeedableRng, rngs::Xoshiro256PlusPlus};

/// A stream of draws.
pub(super) struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Starts the stream of a seed; another `purpose` is another stream.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        let mut mixed = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self(Xoshiro256PlusPlus::seed_from_u64(mixed.next_u64() ^ purpose))
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws evenly from `0..bound`; 0 where that is empty. The bias, under bound / 2⁶⁴, is nothing here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or(u64::MAX))).unwrap_or_default()
    }

    /// Draws one evenly; `None` from nothing.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }

    /// Draws an index with a long tail: few come very often, most come seldom (density x^(-2/3)).
    pub(super) fn long_tail(&mut self, length: usize) -> usize {
        let even = self.bits() >> 32;
        let cubed = (((even * even) >> 32) * even) >> 32;
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from((u128::from(cubed) * u128::from(length)) >> 32).unwrap_or_default()
    }

    /// Draws a positive whole number whose logarithm is close to normal, with a median of about 1.4 · 2^`bits`.
    ///
    /// How many of 40 random bits are set is binomial, with a standard deviation of 3.2: of the amounts, two thirds lie
    /// within a factor of nine of the median, and one in a thousand is a thousand times as large.
    pub(super) fn log_normal(&mut self, bits: u32) -> i64 {
        let deviation = (self.bits() >> 24).count_ones();
        let exponent = (bits + deviation).saturating_sub(20).min(61);
        let power = 1_u64 << exponent;
        i64::try_from(power + self.below(power)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_yields_the_same_numbers_for_ever() {
        let mut random = Random::new(1, 2);
        let drawn = [random.bits(), random.below(1000), random.bits()];
        assert_eq!(drawn, [9_339_522_238_128_297_617, 640, 4_633_629_807_592_823_212]);
    }

    #[test]
    fn amounts_are_spread_over_many_orders_of_magnitude_around_their_median() {
        let mut random = Random::new(7, 0);
        let mut drawn: Vec<i64> = (0..10_000).map(|_| random.log_normal(30)).collect();
        drawn.sort_unstable();
        let at = |share: usize| drawn[drawn.len() * share / 1000];
        assert!((1 << 30..1 << 31).contains(&at(500)), "{}", at(500));
        assert!(at(999) / at(500) > 300 && at(500) / at(1) > 300, "{} {} {}", at(1), at(500), at(999));
    }

    #[test]
    fn a_long_tail_has_a_head() {
        let mut random = Random::new(7, 0);
        let mut counts = [0; 100];
        (0..10_000).for_each(|_| counts[random.long_tail(100)] += 1);
        assert!(counts[0] > 1500 && counts[99] > 10 && counts[99] < 100, "{counts:?}");
    }
}
