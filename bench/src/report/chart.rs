//! A workload's first figure as horizontal bars, the spread as a line on each.

use svg::Document;
use svg::node::element::{Line, Rectangle, Text};

use crate::figure;
use crate::results::Section;
use crate::run::name;
use crate::stats::Summary;
use crate::workload::Workload;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 220.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 56.0;
const ROW: f64 = 28.0;
const BAR: f64 = 16.0;

/// The chart; `None` without figures.
pub(super) fn draw(workload: &Workload, section: &Section) -> Option<String> {
    let figure = figure::by_name(workload.shown.first()?)?;
    let bars: Vec<_> = workload
        .entrants
        .iter()
        .filter_map(|entrant| {
            let series = section.series(entrant.key, figure.name);
            let values: Vec<_> = series.into_iter().map(|(_, value)| value).collect();
            Some((entrant, Summary::of(&values)?))
        })
        .collect();
    let most = bars.iter().map(|(_, bar)| bar.most).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let rows = f64::from(u32::try_from(bars.len()).ok()?);
    let height = TOP + ROW * rows + 12.0;
    let better = if figure.less_is_better {
        "less is better"
    } else {
        "more is better"
    };
    let mut chart = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("font-family", "system-ui, sans-serif")
        .set("font-size", 13)
        .add(
            Rectangle::new()
                .set("width", WIDTH)
                .set("height", height)
                .set("fill", "#ffffff"),
        )
        .add(
            text(workload.title, 12.0, 22.0, "start")
                .set("font-weight", "bold")
                .set("font-size", 15),
        )
        .add(text(&format!("{} ({better})", figure.label), 12.0, 42.0, "start").set("fill", "#555555"));
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let mut y = TOP;
    for (entrant, bar) in &bars {
        let ours = entrant.candidate.starts_with("roomful");
        let fill = if ours { "#c2410c" } else { "#94a3b8" };
        let middle = y + BAR / 2.0;
        let end = LEFT + bar.most * scale + 8.0;
        chart = chart
            .add(text(&name(entrant), LEFT - 8.0, middle + 5.0, "end"))
            .add(
                Rectangle::new()
                    .set("x", LEFT)
                    .set("y", y)
                    .set("width", bar.median * scale)
                    .set("height", BAR)
                    .set("fill", fill),
            )
            .add(
                Line::new()
                    .set("x1", LEFT + bar.least * scale)
                    .set("x2", LEFT + bar.most * scale)
                    .set("y1", middle)
                    .set("y2", middle)
                    .set("stroke", "#1e293b")
                    .set("stroke-width", 1.5),
            )
            .add(text(&figure.show(bar.median), end, middle + 5.0, "start"));
        y += ROW;
    }
    Some(format!("{chart}\n"))
}

fn text(content: &str, x: f64, y: f64, anchor: &str) -> Text {
    Text::new(content)
        .set("x", x)
        .set("y", y)
        .set("text-anchor", anchor)
}
