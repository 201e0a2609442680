//! One charge of a sample: which kind of row it is, whose, of what, and what it costs.

use chrono::{Days, Months as CalendarMonths, NaiveDate, NaiveTime, TimeDelta};

use super::{
    amount::Amount,
    cast::{Account, Cast, Payer},
    random::Random,
    scenes::{Scene, Service},
};
use crate::domain::billing_period::BillingPeriod;

/// What kind of row a charge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Usage,
    /// Usage of the month before.
    Correction,
    Purchase,
    Tax,
    Credit,
    Refund,
}

impl Kind {
    /// The FOCUS charge category.
    pub(super) fn category(self) -> &'static str {
        match self {
            Self::Usage | Self::Correction => "Usage",
            Self::Purchase => "Purchase",
            Self::Tax => "Tax",
            Self::Credit => "Credit",
            Self::Refund => "Adjustment",
        }
    }

    pub(super) fn is_usage(self) -> bool {
        matches!(self, Self::Usage | Self::Correction)
    }
}

/// Descriptions that a reader of CSV must take as they are.
const DESCRIPTIONS: [&str; 6] = [
    "On Demand, per hour",
    "Transferencia regional – zona A → zona B",
    "$0.023 per GB, first 50 TB / month",
    "Instance \"burstable\" hours",
    "Usage charge",
    "Speicher, heiß\nAbrechnung je angefangene Stunde",
];
const ENVIRONMENTS: [&str; 4] = ["prod", "staging", "dev", "qualité"];
const OWNERS: [&str; 4] = ["team-payments", "équipe-données", "プラットフォーム", "team-web"];
/// Cost centres, and resources of one account.
const COST_CENTERS: u64 = 40;
const RESOURCES: u64 = 400;

/// The hours of a month, as FOCUS writes them.
pub(super) struct Months {
    pub(super) start: String,
    pub(super) end: String,
    hours: Vec<String>,
    /// Of the month before.
    earlier_hours: Vec<String>,
}

impl Months {
    pub(super) fn new(period: BillingPeriod) -> Self {
        let earlier = period.start().checked_sub_months(CalendarMonths::new(1)).unwrap_or(period.start());
        let (hours, earlier_hours) = (hours(period.start(), period.end()), hours(earlier, period.start()));
        let day = |day: NaiveDate| format!("{day}T00:00:00Z");
        Self { start: day(period.start()), end: day(period.end()), hours, earlier_hours }
    }
}

/// Every full hour from a day to another, both included.
fn hours(from: NaiveDate, to: NaiveDate) -> Vec<String> {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN);
    let end = midnight(to.min(from.checked_add_days(Days::new(366)).unwrap_or(from)));
    let each = std::iter::successors(Some(midnight(from)), |hour| hour.checked_add_signed(TimeDelta::hours(1)));
    each.take_while(|hour| *hour <= end).map(|hour| hour.format("%Y-%m-%dT%H:%M:%SZ").to_string()).collect()
}

/// A charge, ready to be written in any format.
pub(super) struct SampleCharge<'a> {
    pub(super) scene: &'static Scene,
    pub(super) months: &'a Months,
    pub(super) payer: &'a Payer,
    pub(super) account: &'a Account,
    pub(super) kind: Kind,
    pub(super) service: &'static Service,
    pub(super) service_number: usize,
    pub(super) region: (&'static str, &'static str),
    pub(super) start: &'a str,
    pub(super) end: &'a str,
    pub(super) description: &'static str,
    pub(super) cost: Amount,
    /// Whether the cost is written with an exponent.
    pub(super) has_exponent: bool,
    pub(super) quantity: Amount,
    pub(super) unit_price: Amount,
    pub(super) resource: u64,
    pub(super) id: u64,
    pub(super) environment: &'static str,
    pub(super) owner: &'static str,
    pub(super) cost_center: u64,
}

/// Draws charges one after the other.
pub(super) struct Draw<'a> {
    scene: &'static Scene,
    cast: &'a Cast,
    months: &'a Months,
    random: Random,
}

impl<'a> Draw<'a> {
    pub(super) fn new(scene: &'static Scene, cast: &'a Cast, months: &'a Months, random: Random) -> Self {
        Self { scene, cast, months, random }
    }

    /// Draws the charge of a row; `None` where the scene has nothing to draw from.
    pub(super) fn charge(&mut self, row: u64) -> Option<SampleCharge<'a>> {
        let account = self.account(row)?;
        let kind = self.kind(row);
        let (start, end) = self.hours(kind)?;
        let cost = self.cost(kind);
        let random = &mut self.random;
        let service_number = random.long_tail(self.scene.services.len());
        Some(SampleCharge {
            scene: self.scene,
            months: self.months,
            payer: self.cast.payers.get(account.payer)?,
            account,
            kind,
            service: self.scene.services.get(service_number)?,
            service_number,
            region: *random.pick(self.scene.regions)?,
            start,
            end,
            description: random.pick(&DESCRIPTIONS)?,
            cost,
            has_exponent: self.scene.exponent_below.is_some_and(|zeros| cost.is_below(zeros)),
            quantity: Amount { mantissa: random.log_normal(22), decimals: 6 },
            unit_price: Amount { mantissa: random.log_normal(30), decimals: 10 },
            resource: (random.below(RESOURCES) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ u64::try_from(account.number).ok()?,
            id: random.bits(),
            environment: random.pick(&ENVIRONMENTS)?,
            owner: random.pick(&OWNERS)?,
            cost_center: 1000 + random.below(COST_CENTERS),
        })
    }

    /// The first rows go through all accounts, so that none is left without a charge where there are rows enough.
    fn account(&mut self, row: u64) -> Option<&'a Account> {
        let accounts = &self.cast.accounts;
        let drawn = self.random.long_tail(accounts.len());
        let in_turn = usize::try_from(row).ok().filter(|row| *row < accounts.len());
        accounts.get(in_turn.unwrap_or(drawn))
    }

    /// The first rows are usage: each account owes something.
    fn kind(&mut self, row: u64) -> Kind {
        let drawn = self.random.below(1000);
        if usize::try_from(row).is_ok_and(|row| row < self.cast.accounts.len()) {
            return Kind::Usage;
        }
        match drawn {
            0..10 => Kind::Correction,
            10..25 => Kind::Purchase,
            25..45 => Kind::Tax,
            45..65 => Kind::Credit,
            65..70 => Kind::Refund,
            _ => Kind::Usage,
        }
    }

    fn hours(&mut self, kind: Kind) -> Option<(&'a str, &'a str)> {
        let months = self.months;
        let hours = match kind {
            Kind::Usage | Kind::Credit | Kind::Refund => &months.hours,
            Kind::Correction => &months.earlier_hours,
            Kind::Purchase | Kind::Tax => return Some((&months.start, &months.end)),
        };
        let at = self.random.index(hours.len() - 1);
        Some((hours.get(at)?, hours.get(at + 1)?))
    }

    fn cost(&mut self, kind: Kind) -> Amount {
        let random = &mut self.random;
        let Scene { cost_bits, cost_decimals, .. } = *self.scene;
        let (drawn, free, sign) = (random.log_normal(cost_bits), random.below(4), random.below(2));
        // A quarter of the usage is free, written with more or fewer zeros.
        if kind == Kind::Usage && free == 0 {
            return Amount { mantissa: 0, decimals: u32::try_from(drawn % 3).unwrap_or_default() * 5 };
        }
        let is_negative = match kind {
            Kind::Credit | Kind::Refund => true,
            Kind::Correction => sign == 0,
            Kind::Usage | Kind::Purchase | Kind::Tax => false,
        };
        let drawn = if is_negative { -drawn } else { drawn };
        // Purchases are large and in whole cents; elsewhere up to three of the last digits are cut off.
        if kind == Kind::Purchase {
            return Amount { mantissa: drawn >> cost_bits.saturating_sub(15), decimals: 2 };
        }
        match drawn.unsigned_abs() % 4 {
            1 if cost_decimals > 2 => Amount { mantissa: drawn / 10, decimals: cost_decimals - 1 },
            2 if cost_decimals > 4 => Amount { mantissa: drawn / 1000, decimals: cost_decimals - 3 },
            _ => Amount { mantissa: drawn, decimals: cost_decimals },
        }
    }
}
