//! Who changes something and why: part of every command that does.

use clap::Args;

use super::Failure;
use crate::store::operator_actions::Operator;

/// For changes that take something from somebody: the reason is asked for.
#[derive(Args)]
pub struct WithReason {
    /// Why; kept for whoever wonders later.
    #[arg(long)]
    reason: String,
    /// Who asks; by default the user of the operating system.
    #[arg(long, env = "USER", default_value = "cli", hide_env_values = true)]
    by: String,
}

/// For changes that speak for themselves.
#[derive(Args)]
pub struct PerhapsWithReason {
    /// Why; kept for whoever wonders later.
    #[arg(long, default_value = "no reason given", hide_default_value = true)]
    reason: String,
    /// Who asks; by default the user of the operating system.
    #[arg(long, env = "USER", default_value = "cli", hide_env_values = true)]
    by: String,
}

impl WithReason {
    pub fn operator(&self) -> Operator<'_> {
        Operator { name: &self.by, reason: &self.reason }
    }

    /// Returns who and why, where both are said.
    pub fn said(&self) -> Result<Operator<'_>, Failure> {
        if self.reason.trim().is_empty() || self.by.trim().is_empty() {
            return Err(Failure::Usage("say why in `--reason` and who in `--by`; neither may be empty".to_owned()));
        }
        Ok(self.operator())
    }
}

impl PerhapsWithReason {
    pub fn operator(&self) -> Operator<'_> {
        Operator { name: &self.by, reason: &self.reason }
    }
}
