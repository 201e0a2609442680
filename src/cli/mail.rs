//! `billrunner mail`: what has to do with mails rather than with what they tell.

use clap::Subcommand;

use super::{Output, bounces, mail_preview};
use crate::config::Config;

/// Commands on mails.
#[derive(Subcommand)]
pub enum Command {
    /// Hand in the delivery reports of mailboxes (mbox) and single messages (.eml).
    Bounces(bounces::Arguments),
    /// Write every message in every language to a folder, with an index.html.
    Preview(mail_preview::Arguments),
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Bounces(arguments) => bounces::run(arguments, config, output).await,
        Command::Preview(arguments) => mail_preview::run(arguments, config, output).await,
    }
}
