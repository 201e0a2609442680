//! How long ago something was, in words, the same on every screen.

use std::time::Duration;

/// Writes an age in whole seconds, such as `2m 5s`.
pub fn describe_age(seconds: f64) -> String {
    humantime::format_duration(whole_seconds(seconds)).to_string()
}

/// Writes an age by its two largest units, such as `3days 4h`, for places with little room.
pub fn describe_age_briefly(seconds: f64) -> String {
    let text = describe_age(seconds);
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn whole_seconds(seconds: f64) -> Duration {
    let age = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Duration::from_secs(age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_whole_seconds_and_briefly_in_two_units() {
        assert_eq!(describe_age(125.9), "2m 5s");
        assert_eq!(describe_age(-1.0), "0s");
        assert_eq!(describe_age_briefly(3.0 * 86_400.0 + 4.0 * 3_600.0 + 5.0), "3days 4h");
        assert_eq!(describe_age_briefly(7.0), "7s");
    }
}
