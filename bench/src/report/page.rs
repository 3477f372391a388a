//! The report page: the targets, then each workload with its table and chart.

use std::fmt::Write as _;

use crate::figure::{self, significant};
use crate::results::{Results, Section};
use crate::run::name;
use crate::stats::Summary;
use crate::targets::{self, Against, Bound, Target};
use crate::workload::{self, Workload};

/// The whole page.
pub(super) fn compose(results: &Results) -> String {
    let mut page = String::from(
        "# Roomful beside others\n\n\
         Written by `make bench` from `results.json`. Server and loader have a core each; candidates take \
         turns, and each run starts a new server. Figures are medians with minimum and maximum in \
         brackets; ratios compare runs of the same round. \
         The method: [docs/performance.md](../../docs/performance.md).\n\n",
    );
    page.push_str("## Targets\n\n");
    page.push_str(&standings(results));
    for workload in workload::ALL {
        if let Some(section) = results.section(workload.name) {
            page.push_str(&chapter(workload, section));
        }
    }
    page
}

/// The table of targets.
pub(super) fn standings(results: &Results) -> String {
    let mut table = String::from(
        "| workload | figure | compared with | target | measured | |\n|---|---|---|---|---|---|\n",
    );
    for target in targets::ALL {
        // Writing into a string cannot fail.
        let _ = writeln!(table, "{}", standing(target, results));
    }
    table
}

fn standing(target: &Target, results: &Results) -> String {
    let title = workload::ALL
        .iter()
        .find(|workload| workload.name == target.workload)
        .map_or(target.workload, |workload| workload.title);
    let label = figure::by_name(target.figure).map_or(target.figure, |figure| figure.label);
    let times = if matches!(target.against, Against::Itself) {
        ""
    } else {
        "×"
    };
    let wanted = match target.bound {
        Bound::AtMost(bound) => format!("≤ {bound}{times}"),
        Bound::AtLeast(bound) => format!("≥ {bound}{times}"),
    };
    let (measured, verdict) = match target.standing(results) {
        Some(summary) => {
            let verdict = if target.bound.holds(summary.median) {
                "✓"
            } else {
                "✗"
            };
            (spread(&summary, significant), verdict)
        }
        None => ("not measured".to_owned(), ""),
    };
    let opponent = target.opponent(results);
    format!("| {title} | {label} | {opponent} | {wanted} | {measured} | {verdict} |")
}

fn spread(summary: &Summary, show: impl Fn(f64) -> String) -> String {
    if summary.count == 1 {
        return show(summary.median);
    }
    format!(
        "{} ({}–{})",
        show(summary.median),
        show(summary.least),
        show(summary.most)
    )
}

fn chapter(workload: &Workload, section: &Section) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n", workload.title, workload.about);
    let quick = if section.quick {
        " A quick run: a first impression, not a measurement."
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "{}, commit {}, {}.{quick}\n",
        section.machine, section.commit, section.began
    );
    text.push_str(&table(workload, section));
    let _ = writeln!(text, "\n![{}]({}.svg)\n", workload.title, workload.name);
    for entrant in workload.entrants {
        if let Some(version) = section.versions.get(entrant.key) {
            let _ = writeln!(text, "- {}: {version}", name(entrant));
        }
    }
    text
}

fn table(workload: &Workload, section: &Section) -> String {
    let figures: Vec<_> = workload
        .shown
        .iter()
        .filter_map(|name| figure::by_name(name))
        .collect();
    let heads: Vec<_> = figures.iter().map(|figure| figure.label).collect();
    let mut table = format!(
        "| | {} |\n|---|{}\n",
        heads.join(" | "),
        "---:|".repeat(heads.len())
    );
    for entrant in workload.entrants {
        if !section.runs.iter().any(|run| run.entrant == entrant.key) {
            continue;
        }
        let cells: Vec<_> = figures
            .iter()
            .map(|figure| {
                let values: Vec<_> = section
                    .series(entrant.key, figure.name)
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect();
                Summary::of(&values).map(|summary| spread(&summary, |value| figure.show(value)))
            })
            .collect();
        let row = if cells.iter().all(Option::is_none) {
            let reason = section.reason(entrant.key).unwrap_or("no figures");
            format!(
                "{}{}",
                reason.replace('|', "\\|").replace('\n', " "),
                " |".repeat(heads.len())
            )
        } else {
            let cells: Vec<_> = cells.into_iter().map(Option::unwrap_or_default).collect();
            format!("{} |", cells.join(" | "))
        };
        let _ = writeln!(table, "| {} | {row}", name(entrant));
    }
    for (entrant, rounds, reason) in failures(workload, section) {
        let _ = writeln!(
            table,
            "\n{entrant} failed in {rounds} of its rounds, the last time so: {reason}"
        );
    }
    table
}

/// The candidates that failed in some rounds, but not in all.
fn failures(workload: &Workload, section: &Section) -> Vec<(String, usize, String)> {
    let of = |key: &str| section.runs.iter().filter(|run| run.entrant == key).count();
    let failed = workload.entrants.iter().filter_map(|entrant| {
        let figure = workload
            .shown
            .iter()
            .map(|figure| section.series(entrant.key, figure).len())
            .max()?;
        let failed = of(entrant.key) - figure;
        let reason = section.reason(entrant.key)?;
        (failed > 0 && figure > 0).then(|| (name(entrant), failed, reason.to_owned()))
    });
    failed.collect()
}
