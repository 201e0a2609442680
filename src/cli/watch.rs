//! `--watch`: a command that shows how things stand shows it again and again, until Ctrl-C or until nobody reads on.
//!
//! On a terminal each look takes the place of the one before; elsewhere a line with the time stands between them, and JSON
//! documents follow one another, as `jq` reads them.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use clap::Args;

use super::{Output, setup};
use crate::clock::Clock;

/// Home, then clear from there to the end and what was scrolled away.
const CLEAR_TERMINAL: &str = "\x1b[H\x1b[J\x1b[3J";

/// Whether and how often to look again.
#[derive(Args, Clone, Copy)]
pub struct Watch {
    /// Show it again every so many seconds, until Ctrl-C.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    watch: Option<u64>,
}

impl Watch {
    /// Shows something once, or again and again.
    pub async fn show(self, output: Output, mut look: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let Some(seconds) = self.watch else { return look().await };
        let stop = setup::stop_on_signals()?;
        while begin_look(output)? {
            look().await?;
            let pause = tokio::time::sleep(Duration::from_secs(seconds));
            if stop.run_until_cancelled(pause).await.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Makes room for a look. Returns false when nobody reads any more.
fn begin_look(output: Output) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    let now = Clock::System.now().format("%F %T UTC");
    let begun = match (output.is_json(), stdout.is_terminal()) {
        (true, _) => writeln!(stdout),
        (false, true) => writeln!(stdout, "{CLEAR_TERMINAL}{now}; Ctrl-C ends this"),
        (false, false) => writeln!(stdout, "--- {now}"),
    };
    match begun.and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}
