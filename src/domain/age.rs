//! How long ago something was, in words, the same on every screen.

use std::time::Duration;

/// Writes an age in whole seconds, such as `2m 5s`.
pub fn describe_age(seconds: f64) -> String {
    let age = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_in_whole_seconds() {
        assert_eq!(describe_age(125.9), "2m 5s");
        assert_eq!(describe_age(-1.0), "0s");
    }
}
