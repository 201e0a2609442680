//! What the demo plays with: the customers and charge files of the sources.
//!
//! All of it is looked at before anything starts, so that a wrong path leaves neither a folder nor a database behind.

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::{
    cli::Failure,
    clock::Clock,
    domain::{billing_period::BillingPeriod, directory::Directory},
};

/// Provider, file below the folder of sample data, and billing period.
const FILES: [(&str, &str, &str); 4] = [
    ("aws", "focus-toolkit-synth/dev/focus_1_2_cost_and_usage_aws.csv", "2026-05"),
    ("microsoft", "focus-toolkit-synth/dev/focus_1_2_cost_and_usage_azure.csv", "2026-05"),
    ("google", "focus-toolkit-synth/dev/focus_1_2_cost_and_usage_gcp.csv", "2026-05"),
    ("focus", "traps/t05_negative_credit_refund.csv", "2026-10"),
];

/// A charge file and the month it is billed in.
pub struct SampleFile {
    /// Provider id.
    pub provider: &'static str,
    /// Where it lies.
    pub path: PathBuf,
    /// Its month.
    pub billing_period: BillingPeriod,
}

/// Everything the demo is fed with.
pub struct Sample {
    /// The reseller and its customers.
    pub directory: Directory,
    /// One per provider.
    pub files: Vec<SampleFile>,
}

impl Sample {
    /// Reads the customers and finds the charge files.
    ///
    /// # Errors
    /// Names the file that is missing or does not read.
    pub fn read(data: &Path, directory: &Path) -> anyhow::Result<Self> {
        let unusable = |what: &str, file: &Path, error: &dyn std::fmt::Display| {
            Failure::Usage(format!("the sample {what} {} cannot be read: {error}", file.display()))
        };
        let text = std::fs::read(directory).map_err(|error| unusable("customers", directory, &error))?;
        let content = super::super::directory::read(&text).map_err(|error| unusable("customers", directory, &error))?;
        let mut files = Vec::new();
        for (provider, name, billing_period) in FILES {
            let path = data.join(name);
            std::fs::File::open(&path).map_err(|error| unusable("file", &path, &error))?;
            files.push(SampleFile { provider, path, billing_period: billing_period.parse()? });
        }
        Ok(Self { directory: content, files })
    }

    /// Returns a clock by which every month of the sample has ended.
    pub fn clock(&self) -> Clock {
        let ends = self.files.iter().map(|file| file.billing_period.end()).max();
        ends.map_or(Clock::System, |end| clock_past(end, Clock::System.now()))
    }
}

/// Stands still on the day after the sample's last month where the machine's clock has not come to it: a month is
/// billed only once it has ended.
fn clock_past(end: NaiveDate, now: DateTime<Utc>) -> Clock {
    let end = end.and_time(NaiveTime::MIN).and_utc();
    if now < end { Clock::Fixed(end) } else { Clock::System }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_ahead_of_the_machine_can_be_billed_too() {
        let end = "2026-11-01".parse().expect("a day");
        let before = "2026-06-15T10:00:00Z".parse().expect("an instant");
        let after = "2026-11-24T10:00:00Z".parse().expect("an instant");
        assert!(matches!(clock_past(end, before), Clock::Fixed(now) if now.date_naive() == end));
        assert!(matches!(clock_past(end, after), Clock::System));
    }
}
