//! When a schedule ticks: a cron expression read in a time zone, daylight saving time included.
//!
//! An expression whose hour is `*` follows elapsed time: it ticks through both passes of an hour that the clock repeats,
//! and not in an hour that the clock leaves out. One that names hours (`30 2 * * *`, `0 */6 * * *`) ticks exactly once for
//! each time it names: a repeated one at its first pass, one that the clock leaves out at the moment the clock moves on.
//! Several named times that one gap leaves out become one tick.

use std::{fmt, str::FromStr};

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// Longest expression that is read.
const MAX_CRON_LENGTH: usize = 200;
/// A tick that nobody took so long after its time is missed.
pub const MISSED_AFTER: TimeDelta = TimeDelta::minutes(1);
/// Ticks that one look can make up for; of a longer outage, the newest.
pub const MOST_TICKS: usize = 100;

/// What becomes of ticks that nobody took in time, because no worker ran or no database answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedPolicy {
    /// They are left out.
    Skip,
    /// The newest is made up for, where no tick that is on time follows it.
    Latest,
    /// Each is made up for, as far as the newest [`MOST_TICKS`].
    All,
}

impl MissedPolicy {
    /// All policies.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Latest, Self::All];

    /// Returns the policy's name, the same in SQL, JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Latest => "latest",
            Self::All => "all",
        }
    }
}

impl fmt::Display for MissedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for MissedPolicy {
    type Err = NotARecurrence;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| NotARecurrence::MissedPolicy(shortened(text)))
    }
}

/// Says what is wrong with a schedule's times.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotARecurrence {
    /// The cron expression does not read.
    #[error(
        "cron expression `{0}` does not read ({1}); write minute, hour, day of month, month and day of week, such as \
         `30 2 8 * *`, with seconds before them if wanted"
    )]
    Cron(String, String),
    /// The expression names no time that ever comes.
    #[error("cron expression `{0}` never ticks; name a day that exists")]
    Never(String),
    /// The zone is not in the time zone database.
    #[error("unknown time zone `{0}`; write an IANA name such as Europe/Madrid or UTC")]
    TimeZone(String),
    /// No policy has this name.
    #[error("unknown missed policy `{0}`; known: skip, latest, all")]
    MissedPolicy(String),
}

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Recurrence {
    cron: Cron,
    time_zone: Tz,
}

impl Recurrence {
    /// Reads an expression of five fields, or six with seconds first, and an IANA zone.
    ///
    /// # Errors
    /// [`NotARecurrence`], in words for whoever wrote it.
    pub fn parse(cron: &str, time_zone: &str) -> Result<Self, NotARecurrence> {
        let refused = |why: String| NotARecurrence::Cron(shortened(cron), why);
        let zone = time_zone.parse().map_err(|_| NotARecurrence::TimeZone(shortened(time_zone)))?;
        if cron.len() > MAX_CRON_LENGTH {
            return Err(refused(format!("{} bytes, over {MAX_CRON_LENGTH}", cron.len())));
        }
        if !(5..=6).contains(&cron.split_whitespace().count()) || cron.chars().any(char::is_control) {
            return Err(refused("not 5 or 6 fields".to_owned()));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| refused(error.to_string()))?;
        let recurrence = Self { cron: parsed, time_zone: zone };
        if recurrence.next_after(DateTime::UNIX_EPOCH).is_none() {
            return Err(NotARecurrence::Never(cron.to_owned()));
        }
        Ok(recurrence)
    }

    /// Returns the zone.
    pub fn time_zone(&self) -> Tz {
        self.time_zone
    }

    /// Returns the first tick after an instant, in whole seconds; `None` where none is left.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&self.time_zone);
        if self.ticks_every_hour() {
            return Some(self.cron.find_next_occurrence(&local, false).ok()?.to_utc());
        }
        // The calendar is asked in wall clock time, so that what a time that is left out or repeated means is said here,
        // for every expression alike. Croner itself says so for a single time of day only.
        let mut wall_clock = local.naive_local();
        loop {
            wall_clock = self.cron.find_next_occurrence(&wall_clock, false).ok()?;
            let tick = self.instant_of(wall_clock);
            // Not after: the first pass of a repeated time, seen from the second.
            if tick > after {
                return Some(tick);
            }
        }
    }

    /// Returns the ticks to make up for at `now`, oldest first: those from `first` on, as the policy says.
    pub fn due(&self, first: DateTime<Utc>, now: DateTime<Utc>, missed: MissedPolicy) -> Vec<DateTime<Utc>> {
        let ticks = self.newest(first, now);
        let first_on_time = ticks.partition_point(|tick| *tick < now - MISSED_AFTER);
        let from = match missed {
            MissedPolicy::All => 0,
            MissedPolicy::Skip => first_on_time,
            MissedPolicy::Latest => first_on_time.min(ticks.len().saturating_sub(1)),
        };
        ticks.into_iter().skip(from).collect()
    }

    /// Returns the newest [`MOST_TICKS`] between two instants, both included. It looks back in growing steps: a year of
    /// seconds is not walked through.
    fn newest(&self, first: DateTime<Utc>, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let before_first = first - TimeDelta::microseconds(1);
        let mut span = TimeDelta::minutes(2);
        loop {
            let start = now.checked_sub_signed(span).map_or(before_first, |start| start.max(before_first));
            let next = |tick: &DateTime<Utc>| self.next_after(*tick);
            let mut ticks: Vec<_> =
                std::iter::successors(self.next_after(start), next).take_while(|tick| *tick <= now).collect();
            if ticks.len() >= MOST_TICKS || start == before_first {
                return ticks.split_off(ticks.len().saturating_sub(MOST_TICKS));
            }
            span = span * 4;
        }
    }

    fn ticks_every_hour(&self) -> bool {
        (0..24).all(|hour| matches!(self.cron.pattern.hour_match(hour), Ok(true)))
    }

    /// Returns when a wall clock shows a time: at its first pass, or where the clock leaves it out, when it moves on.
    fn instant_of(&self, wall_clock: NaiveDateTime) -> DateTime<Utc> {
        match self.time_zone.from_local_datetime(&wall_clock) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.to_utc(),
            LocalResult::None => self.end_of_gap(wall_clock),
        }
    }

    /// Returns the first instant at which the clock shows a later time than one in a gap.
    fn end_of_gap(&self, wall_clock: NaiveDateTime) -> DateTime<Utc> {
        // No zone is a day from UTC, and none moves its clock twice within two.
        let (mut before, mut after) =
            (wall_clock.and_utc() - TimeDelta::days(1), wall_clock.and_utc() + TimeDelta::days(1));
        while after - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            if middle.with_timezone(&self.time_zone).naive_local() < wall_clock {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(instant: &str) -> DateTime<Utc> {
        instant.parse().expect("an instant")
    }

    fn recurrence(cron: &str, zone: &str) -> Recurrence {
        Recurrence::parse(cron, zone).expect("a recurrence")
    }

    /// Returns the ticks between two instants, as the zone's clock shows them with its offset.
    fn ticks(cron: &str, zone: &str, after: &str, until: &str) -> Vec<String> {
        let recurrence = recurrence(cron, zone);
        let next = |tick: &DateTime<Utc>| recurrence.next_after(*tick);
        let ticks = std::iter::successors(recurrence.next_after(at(after)), next);
        let shown = |tick: DateTime<Utc>| tick.with_timezone(&recurrence.time_zone()).format("%d %H:%M %Z").to_string();
        ticks.take_while(|tick| *tick < at(until)).map(shown).collect()
    }

    // Europe/Madrid leaves out 02:00 to 03:00 on 2026-03-29, and repeats it on 2026-10-25.
    const SPRING: (&str, &str) = ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z");
    const AUTUMN: (&str, &str) = ("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");

    #[test]
    fn a_named_time_that_spring_leaves_out_ticks_once_when_the_clock_moves_on() {
        let spring = |cron| ticks(cron, "Europe/Madrid", SPRING.0, SPRING.1);
        assert_eq!(spring("30 2 * * *"), ["29 03:00 CEST", "30 02:30 CEST"]);
        // Croner alone would leave this one out: it is not a single time of day.
        assert_eq!(spring("30 2,14 * * *"), ["28 14:30 CET", "29 03:00 CEST", "29 14:30 CEST", "30 02:30 CEST"]);
        assert_eq!(
            spring("0,30 2,3 * * *"),
            ["29 03:00 CEST", "29 03:30 CEST", "30 02:00 CEST", "30 02:30 CEST", "30 03:00 CEST", "30 03:30 CEST",]
        );
        assert_eq!(spring("0 0 3 * * *"), ["29 03:00 CEST", "30 03:00 CEST"]);
    }

    #[test]
    fn a_named_time_that_autumn_repeats_ticks_once_at_its_first_pass() {
        let autumn = |cron| ticks(cron, "Europe/Madrid", AUTUMN.0, AUTUMN.1);
        assert_eq!(autumn("30 2 * * *"), ["25 02:30 CEST", "26 02:30 CET"]);
        assert_eq!(autumn("0 2-3 * * *"), ["25 02:00 CEST", "25 03:00 CET", "26 02:00 CET", "26 03:00 CET"]);
        let from_the_second_pass = recurrence("30 2 * * *", "Europe/Madrid").next_after(at("2026-10-25T01:10:00Z"));
        assert_eq!(from_the_second_pass, Some(at("2026-10-26T01:30:00Z")), "02:10 CET is after 02:30 CEST");
    }

    #[test]
    fn every_hour_follows_elapsed_time() {
        for (after, until) in [SPRING, AUTUMN] {
            let recurrence = recurrence("*/20 * * * *", "Europe/Madrid");
            let mut tick = at(after);
            while tick < at(until) {
                let next = recurrence.next_after(tick).expect("a tick");
                assert_eq!(next - tick, TimeDelta::minutes(20), "after {tick}");
                tick = next;
            }
        }
    }

    #[test]
    fn ticks_only_go_forward_in_zones_with_strange_clocks() {
        // Half an hour's gap, midnight left out, a whole day left out.
        assert_eq!(
            ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-05T00:00:00Z"),
            ["04 02:30 +11", "05 02:15 +11"]
        );
        assert_eq!(
            ticks("0 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
            ["29 01:00 EEST", "30 00:00 EEST"]
        );
        assert_eq!(
            ticks("0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-31T12:00:00Z"),
            ["29 09:00 -10", "31 00:00 +14", "31 09:00 +14"]
        );
        for zone in ["Europe/Madrid", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"] {
            for cron in ["*/7 1-3 * * *", "0 */5 * * *", "30 0 * * MON", "*/11 * * * *"] {
                let recurrence = recurrence(cron, zone);
                let mut tick = at("2011-12-01T00:00:00Z");
                for _ in 0..3000 {
                    let next = recurrence.next_after(tick).expect("a tick");
                    assert!(next > tick, "{cron} in {zone} stands still at {tick}");
                    tick = next;
                }
            }
        }
    }

    #[test]
    fn missed_ticks_are_made_up_for_as_the_policy_says() {
        let hourly = recurrence("0 * * * *", "UTC");
        let due = |first: &str, now: &str, missed| hourly.due(at(first), at(now), missed);
        let (first, late) = ("2026-05-01T00:00:00Z", "2026-05-01T03:30:00Z");
        assert!(due(first, late, MissedPolicy::Skip).is_empty());
        assert_eq!(due(first, late, MissedPolicy::Latest), [at("2026-05-01T03:00:00Z")]);
        assert_eq!(due(first, late, MissedPolicy::All).len(), 4);
        let on_time = "2026-05-01T03:00:59Z";
        assert_eq!(due(first, on_time, MissedPolicy::Skip), [at("2026-05-01T03:00:00Z")]);
        assert_eq!(due(first, on_time, MissedPolicy::Latest), [at("2026-05-01T03:00:00Z")]);
        let long_ago = due("2025-05-01T00:00:00Z", on_time, MissedPolicy::All);
        assert_eq!((long_ago.len(), long_ago.last()), (MOST_TICKS, Some(&at("2026-05-01T03:00:00Z"))));
        assert!(due("2026-05-01T04:00:00Z", late, MissedPolicy::All).is_empty(), "not its time yet");
    }

    #[test]
    fn a_year_of_missed_seconds_is_not_walked_through() {
        let started = std::time::Instant::now();
        for cron in ["* * * * * *", "* * 2 * * *", "0 0 29 2 *"] {
            let recurrence = recurrence(cron, "Europe/Madrid");
            let due = recurrence.due(at("2025-01-01T00:00:00Z"), at("2026-10-25T01:30:00Z"), MissedPolicy::All);
            assert!(due.is_sorted() && due.len() <= MOST_TICKS);
        }
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    #[test]
    fn hostile_expressions_and_zones_are_refused_in_words_and_in_no_time() {
        let started = std::time::Instant::now();
        let long = "1,".repeat(500_000) + "1 * * * *";
        let crons = [
            "",
            " ",
            "* * * *",
            "* * * * * * *",
            "@hourly",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "a b c d e",
            "* * * * \0",
            "-1 * * * *",
            "99999999999999999999 * * * *",
            "\u{1f980} * * * *",
            long.as_str(),
        ];
        for cron in crons {
            let refused = Recurrence::parse(cron, "UTC").expect_err("hostile");
            assert!(matches!(refused, NotARecurrence::Cron(..)), "{refused}");
            assert!(refused.to_string().len() < 400, "{refused}");
        }
        for cron in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            assert_eq!(Recurrence::parse(cron, "UTC").expect_err("never"), NotARecurrence::Never(cron.to_owned()));
        }
        for zone in ["", "Mars/Olympus", "UTC+25", "Europe/Madrid\0", "../../etc/passwd", "europe madrid"] {
            let refused = Recurrence::parse("* * * * *", zone).expect_err("no zone").to_string();
            assert!(refused.starts_with("unknown time zone `"), "{refused}");
        }
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}
