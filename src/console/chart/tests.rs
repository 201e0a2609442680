use chrono::DateTime;

use super::*;

fn points() -> Vec<Point> {
    let point = |n: i64, done, wait: Option<f64>| Point {
        begins_at: DateTime::from_timestamp(1_800_000_000 + n * 60, 0).expect("a time"),
        done,
        dead: n % 2,
        median_wait: wait.map(|wait| wait / 2.0),
        slowest_waits: wait,
    };
    vec![point(0, 10, Some(3.0)), point(1, 0, None), point(2, 15, Some(2_000.0))]
}

#[test]
fn a_chart_is_named_described_and_has_its_figures_in_a_table() {
    for (chart, figure) in [
        (ended(Window::Hour, &points()), "15 done, 0 died"),
        (waits(Window::Hour, &points()), "half within 1.0 s, 95 % within 2.0 s"),
    ] {
        let chart = chart.into_string();
        assert!(chart.contains(r#"role="img" aria-labelledby=""#) && chart.contains("<desc id="), "{chart}");
        let (_, table) = chart.split_once("<table>").expect("a table");
        assert!(table.contains(figure), "{table}");
        assert!(!chart.contains("style=") && !chart.contains("NaN"), "{chart}");
    }
}

#[test]
fn nothing_lies_outside_of_the_plot() {
    let (done, dead) = bars(&points(), round_up(16));
    let numbers = |path: &str| -> Vec<f64> {
        path.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|text| text.parse().ok()).collect()
    };
    assert!(numbers(&done).iter().chain(&numbers(&dead)).all(|number| *number <= WIDTH));
    assert!((plot_y(2.0) - TOP).abs() < 0.001 && (plot_y(-1.0) - (HEIGHT - BOTTOM)).abs() < 0.001);
}

#[test]
fn a_window_without_jobs_is_drawn_too() {
    let none: Vec<Point> = points()
        .into_iter()
        .map(|point| Point { done: 0, dead: 0, median_wait: None, slowest_waits: None, ..point })
        .collect();
    assert!(ended(Window::Day, &none).into_string().contains("0 done, 0 died"));
    assert!(waits(Window::Day, &none).into_string().contains("No job was done"));
}

#[test]
fn a_line_is_broken_where_nothing_is_known() {
    let path = line(&points(), |point| point.slowest_waits);
    assert_eq!(path.matches('M').count(), 2, "{path}");
}

#[test]
fn scales_end_at_numbers_that_read_well() {
    for (value, top) in [(1, 4), (5, 10), (11, 20), (21, 40), (1_000_000, 1_000_000)] {
        assert_eq!(round_up(value), top);
    }
    assert_eq!([9_999, 20_000, 40_000_000].map(shorten), ["9999", "20k", "40M"]);
}
