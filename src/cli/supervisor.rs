//! Tells systemd, where it started this process with `Type=notify`, that work has begun, that it goes on, and that it ends.
//!
//! `sd_notify(3)`: lines to the socket in `NOTIFY_SOCKET`. Without one nothing is said. The watchdog is fed from the runtime
//! that all work runs on: one that is stuck goes hungry, and systemd starts the process anew.

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Says that this process is ready, and from then on that it lives; says once that it stops.
pub fn tell(stop: &CancellationToken) {
    say(&NotifyState::Ready);
    let stop = stop.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        say(&NotifyState::Stopping);
    });
    let Some(watchdog) = sd_notify::watchdog_enabled() else { return };
    // Also while it drains: that may take longer than the watchdog waits.
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(watchdog / 3);
        loop {
            beat.tick().await;
            say(&NotifyState::Watchdog);
        }
    });
}

fn say(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!(%error, "the service manager cannot be told how this process is");
    }
}
