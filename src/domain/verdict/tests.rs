use super::*;

fn well() -> Facts {
    let lane = |queue: &str| LaneFacts { queue: queue.to_owned(), waiting: 3, ..LaneFacts::default() };
    Facts { live_workers: 1, lanes: vec![lane("mail"), lane("billing.aws")], ..Facts::default() }
}

#[test]
fn all_is_well_while_jobs_wait_for_a_moment_only() {
    let mut facts = well();
    facts.lanes[0].oldest_waiting_seconds = LONG_WAIT_SECS - 1.0;
    assert_eq!(troubles(&facts), []);
}

#[test]
fn the_lane_that_waits_longest_comes_first_and_a_paused_one_is_no_late_one() {
    let mut facts = well();
    facts.lanes[0].oldest_waiting_seconds = 400.0;
    facts.lanes[1].oldest_waiting_seconds = 500.0;
    let late = |queue: &str, seconds| Trouble::LongWait { queue: queue.to_owned(), seconds };
    assert_eq!(troubles(&facts), [late("billing.aws", 500.0), late("mail", 400.0)]);
    facts.lanes[1].is_paused = true;
    let paused = Trouble::Paused { queue: "billing.aws".to_owned(), waiting: 3 };
    assert_eq!(troubles(&facts), [late("mail", 400.0), paused]);
}

#[test]
fn every_trouble_is_told_with_its_way_out() {
    let mut facts = Facts {
        live_workers: 0,
        failing_schedules: vec!["prune-jobs".to_owned()],
        unsettled_bill_runs: 1,
        failed_mails: 2,
        ..well()
    };
    facts.lanes[0].dead = 1;
    let said: Vec<String> =
        troubles(&facts).iter().map(|trouble| format!("{trouble}; {}", trouble.way_out())).collect();
    let beginnings = [
        "no worker",
        "1 job is dead",
        "1 bill run needs",
        "schedules fail: prune-jobs",
        "mails of the last day: 2 failed",
    ];
    assert_eq!(said.len(), beginnings.len(), "{said:?}");
    for (said, beginning) in said.iter().zip(beginnings) {
        assert!(said.starts_with(beginning) && said.contains("billrunner"), "{said}");
    }
}
