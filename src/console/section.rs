//! The sections of the console: what the navigation lists, in its order.

use crate::domain::console_access::Role;

/// A section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// How everything stands.
    Overview,
    /// What waits where, and what holds it back.
    Queues,
    /// Any job, found by what is known of it.
    Jobs,
    /// Jobs that will not run again by themselves.
    DeadLetters,
    /// What operators had done to many jobs at once.
    BulkActions,
    /// Jobs that start by the clock.
    Schedules,
    /// Who works.
    Workers,
    /// A provider's month.
    BillRuns,
    /// What customers were told.
    Notifications,
    /// Who did what, when and why.
    Audit,
    /// Who may use the console.
    Users,
}

impl Section {
    /// All sections, as they are listed.
    pub const ALL: [Self; 11] = [
        Self::Overview,
        Self::Queues,
        Self::Jobs,
        Self::DeadLetters,
        Self::BulkActions,
        Self::Schedules,
        Self::Workers,
        Self::BillRuns,
        Self::Notifications,
        Self::Audit,
        Self::Users,
    ];

    /// Returns what the navigation calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Queues => "Queues",
            Self::Jobs => "Jobs",
            Self::DeadLetters => "Dead letters",
            Self::BulkActions => "Bulk actions",
            Self::Schedules => "Schedules",
            Self::Workers => "Workers",
            Self::BillRuns => "Bill runs",
            Self::Notifications => "Notifications",
            Self::Audit => "Audit",
            Self::Users => "Users",
        }
    }

    /// Returns where it is, without the path prefix.
    pub fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Queues => "/queues",
            Self::Jobs => "/jobs",
            Self::DeadLetters => "/dead",
            Self::BulkActions => "/bulk",
            Self::Schedules => "/schedules",
            Self::Workers => "/workers",
            Self::BillRuns => "/bill-runs",
            Self::Notifications => "/notifications",
            Self::Audit => "/audit",
            Self::Users => "/users",
        }
    }

    /// Returns whom it is for.
    pub fn role(self) -> Role {
        match self {
            Self::Users => Role::Admin,
            Self::Overview
            | Self::Queues
            | Self::Jobs
            | Self::DeadLetters
            | Self::BulkActions
            | Self::Schedules
            | Self::Workers
            | Self::BillRuns
            | Self::Notifications
            | Self::Audit => Role::Viewer,
        }
    }

    /// Returns the section that a page's path lies in.
    pub fn of(path: &str) -> Option<Self> {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        Self::ALL.into_iter().find(|section| section.path().trim_start_matches('/') == first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pages_section_is_that_of_its_first_segment() {
        for (path, section) in [
            ("/", Some(Section::Overview)),
            ("", Some(Section::Overview)),
            ("/jobs", Some(Section::Jobs)),
            ("/jobs/1/retry", Some(Section::Jobs)),
            ("/users/ana/role", Some(Section::Users)),
            ("/jobsx", None),
            ("/logout", None),
        ] {
            assert_eq!(Section::of(path), section, "{path}");
        }
    }
}
