use super::*;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 / 60 * 60 + minute * 60, 0).expect("a time")
}

fn rate(minute: i64, state: &str, wait_log2: i16, jobs: i64) -> JobRate {
    JobRate { begins_at: at(minute), state: state.to_owned(), wait_log2, jobs }
}

#[test]
fn every_step_of_a_window_has_its_point_also_where_nothing_ended() {
    let rates = vec![rate(-100, "done", 0, 9), rate(57, "done", 3, 6), rate(57, "dead", 0, 1), rate(59, "done", 4, 2)];
    let counted = JobRates { counted_until: at(60), last_step: at(59), rates };
    let points = points(Window::Hour, &counted);
    let ends: Vec<(i64, i64)> = points.iter().map(|point| (point.done, point.dead)).collect();
    assert_eq!((ends.len(), &ends[57..]), (60, &[(6, 1), (0, 0), (2, 0)][..]));
    assert_eq!((points[0].begins_at, points[0].median_wait), (at(0), None));
}

#[test]
fn a_quantile_lies_between_the_powers_of_two_around_it() {
    let mut waits = [0; WAITS];
    assert_eq!(quantile(&waits, 0.5), None);
    waits[3] = 10;
    let median = quantile(&waits, 0.5).expect("jobs waited");
    assert!(median > 4.0 && median < 8.0, "{median}");
    waits[10] = 1;
    let slow = quantile(&waits, 0.95).expect("jobs waited");
    assert!(slow > 512.0 && slow <= 1024.0, "{slow}");
}

#[test]
fn waits_are_written_with_their_unit() {
    for (ms, text) in
        [(0.3, "under 1 ms"), (12.4, "12 ms"), (1500.0, "1.5 s"), (120_000.0, "2 min"), (5_400_000.0, "1.5 h")]
    {
        assert_eq!(describe_wait(ms), text);
    }
}

#[test]
fn an_unknown_window_is_a_day() {
    for window in Window::ALL {
        assert_eq!(Window::of(Some(window.as_str())), window);
    }
    assert_eq!((Window::of(None), Window::of(Some("<x>"))), (Window::Day, Window::Day));
}
