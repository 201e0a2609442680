//! Two charts of a window, as SVG that needs neither script nor inline style: jobs that ended, and how long they had waited.
//!
//! Colours are classes of the style sheet. Who does not see a chart reads its title, its description, or the table behind it.

use maud::{Markup, html};

use super::rates::{Point, Window, describe_wait};

/// The drawing's own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 190.0;
/// Room for what is written beside, below and above the plot.
const LEFT: f64 = 58.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 10.0;
/// Milliseconds that have a line of their own, and how they are written.
const WAIT_LINES: [(f64, &str); 6] =
    [(1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1000.0, "1 s"), (60_000.0, "1 min"), (3_600_000.0, "1 h")];
/// Instants written below.
const LABELS: usize = 6;

/// Draws jobs done and dead, step by step.
pub fn ended(window: Window, points: &[Point]) -> Markup {
    let most = points.iter().map(|point| point.done + point.dead).max().unwrap_or_default();
    let top = round_up(most.max(4));
    let (done, dead) = bars(points, top);
    let drawing = Drawing {
        id: "ended",
        title: "Jobs that ended",
        description: describe_ended(window, points),
        lines: [top, top / 2, 0].map(|value| (plot_y(share(value, top)), shorten(value))).into(),
        plot: html! {
            path.bar.good d=(done) {}
            path.bar.bad d=(dead) {}
        },
        legend: [("good", "done"), ("bad", "died")],
    };
    drawing.render(window, points, |point| format!("{} done, {} died", point.done, point.dead))
}

/// Draws within which time half, and 95 of 100, of the jobs started; the scale is logarithmic.
pub fn waits(window: Window, points: &[Point]) -> Markup {
    let longest = points.iter().filter_map(|point| point.slowest_waits).fold(100.0, f64::max);
    let top = WAIT_LINES.iter().map(|(ms, _)| *ms).find(|ms| *ms >= longest).unwrap_or(longest);
    let place = |ms: f64| plot_y(ms.max(1.0).log10() / top.log10());
    let lines = WAIT_LINES.iter().filter(|(ms, _)| *ms <= top);
    let drawing = Drawing {
        id: "waits",
        title: "Wait from due to start",
        description: describe_waits(window, points),
        lines: lines.map(|(ms, text)| (place(*ms), (*text).to_owned())).collect(),
        plot: html! {
            path.line.second d=(line(points, |point| point.slowest_waits.map(place))) {}
            path.line d=(line(points, |point| point.median_wait.map(place))) {}
        },
        legend: [("first", "half started within"), ("second", "95 of 100 started within")],
    };
    drawing.render(window, points, |point| match (point.median_wait, point.slowest_waits) {
        (Some(median), Some(slowest)) => {
            format!("half within {}, 95 % within {}", describe_wait(median), describe_wait(slowest))
        }
        _ => "no job".to_owned(),
    })
}

/// A chart before its frame is drawn.
struct Drawing {
    id: &'static str,
    title: &'static str,
    description: String,
    /// Where lines lie, and what is written beside them.
    lines: Vec<(f64, String)>,
    plot: Markup,
    /// Classes of what is drawn, and what that means.
    legend: [(&'static str, &'static str); 2],
}

impl Drawing {
    fn render(&self, window: Window, points: &[Point], say: impl Fn(&Point) -> String) -> Markup {
        let (title, description) = (format!("{}-title", self.id), format!("{}-description", self.id));
        html! {
            svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby=(format!("{title} {description}")) {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                @for (y, text) in &self.lines {
                    path.axis d=(format!("M{LEFT} {y:.1}H{WIDTH}")) {}
                    text.scale x=(LEFT - 8.0) y=(format!("{:.1}", y + 4.0)) { (text) }
                }
                (self.plot)
                (instants(window, points))
                @for (place, point) in points.iter().enumerate() {
                    rect.step x=(format!("{:.1}", plot_x(place, points))) y=(TOP) width=(format!("{:.1}", step(points)))
                        height=(HEIGHT - TOP - BOTTOM) {
                        title { (write_instant(window, point)) ": " (say(point)) }
                    }
                }
            }
            p.legend { @for (class, meaning) in self.legend { span class=(class) { (meaning) } " " } }
            (self.figures(window, points, say))
        }
    }

    /// The same in a table, for who does not see the chart.
    fn figures(&self, window: Window, points: &[Point], say: impl Fn(&Point) -> String) -> Markup {
        html! {
            details {
                summary { "Figures" }
                table {
                    thead { tr { th scope="col" { "from (UTC)" } th scope="col" { (self.title) } } }
                    tbody {
                        @for point in points.iter().rev().filter(|point| point.done + point.dead > 0) {
                            tr { th scope="row" { (write_instant(window, point)) } td { (say(point)) } }
                        }
                    }
                }
            }
        }
    }
}

fn instants(window: Window, points: &[Point]) -> Markup {
    let every = points.len().div_ceil(LABELS).max(1);
    html! {
        @for (place, point) in points.iter().enumerate().step_by(every) {
            text.instant x=(format!("{:.1}", plot_x(place, points))) y=(HEIGHT - 6.0) { (write_instant(window, point)) }
        }
    }
}

fn write_instant(window: Window, point: &Point) -> String {
    let format = match window {
        Window::Hour | Window::Day => "%H:%M",
        Window::Week => "%a %H:%M",
    };
    point.begins_at.format(format).to_string()
}

/// Returns the outlines of all bars: what was done, and on top of it what died.
fn bars(points: &[Point], top: i64) -> (String, String) {
    let width = (step(points) - 1.5).max(1.0);
    let bar = |place: usize, from: i64, to: i64| {
        let (low, high) = (plot_y(share(from, top)), plot_y(share(to, top)));
        format!("M{:.1} {low:.1}h{width:.1}V{high:.1}h-{width:.1}z", plot_x(place, points))
    };
    let points = points.iter().enumerate();
    let done = points.clone().filter(|(_, point)| point.done > 0).map(|(place, point)| bar(place, 0, point.done));
    let dead = points.filter(|(_, point)| point.dead > 0);
    let dead = dead.map(|(place, point)| bar(place, point.done, point.done + point.dead));
    (done.collect(), dead.collect())
}

/// Returns a line through all points that have a value; it is broken where one has none.
fn line(points: &[Point], height: impl Fn(&Point) -> Option<f64>) -> String {
    let mut path = String::new();
    let mut is_broken = true;
    for (place, point) in points.iter().enumerate() {
        let Some(y) = height(point) else {
            is_broken = true;
            continue;
        };
        let x = plot_x(place, points) + step(points) / 2.0;
        // A point alone is a dot: a line of no length with round ends.
        let step = if is_broken { format!("M{x:.1} {y:.1}h0") } else { format!("L{x:.1} {y:.1}") };
        path.push_str(&step);
        is_broken = false;
    }
    path
}

#[expect(clippy::cast_precision_loss, reason = "a window has some hundred steps")]
fn step(points: &[Point]) -> f64 {
    (WIDTH - LEFT) / points.len().max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a window has some hundred steps")]
fn plot_x(place: usize, points: &[Point]) -> f64 {
    LEFT + place as f64 * step(points)
}

/// Returns where a share of the full height lies.
fn plot_y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
fn share(value: i64, top: i64) -> f64 {
    value as f64 / top as f64
}

/// Returns the next number that reads well and halves evenly: 4, 10, 20, 40, 100 and so on.
fn round_up(value: i64) -> i64 {
    let mut unit = 1_i64;
    loop {
        for factor in [4, 10, 20] {
            if value <= unit.saturating_mul(factor) {
                return unit.saturating_mul(factor);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// Writes a count with few digits, such as `20k`.
fn shorten(value: i64) -> String {
    match value {
        small if small < 10_000 => small.to_string(),
        thousands if thousands < 10_000_000 => format!("{}k", thousands / 1000),
        millions => format!("{}M", millions / 1_000_000),
    }
}

fn describe_ended(window: Window, points: &[Point]) -> String {
    let (done, dead): (i64, i64) = (points.iter().map(|one| one.done).sum(), points.iter().map(|one| one.dead).sum());
    format!("In the last {}: {done} done, {dead} died.", window.title())
}

fn describe_waits(window: Window, points: &[Point]) -> String {
    let slowest = points
        .iter()
        .filter_map(|point| point.slowest_waits)
        .fold(None, |most: Option<f64>, wait| Some(most.map_or(wait, |most| most.max(wait))));
    match slowest {
        Some(wait) => format!(
            "In the slowest step of the last {}, 95 of 100 jobs started within {}.",
            window.title(),
            describe_wait(wait)
        ),
        None => format!("No job was done in the last {}.", window.title()),
    }
}

#[cfg(test)]
mod tests;
