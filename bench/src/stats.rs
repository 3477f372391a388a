//! Statistics of several runs: median, spread, and paired ratios. Pure.

/// Median and spread of some runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The median.
    pub(crate) median: f64,
    /// The minimum.
    pub(crate) least: f64,
    /// The maximum.
    pub(crate) most: f64,
    /// The number of values.
    pub(crate) count: usize,
}

impl Summary {
    /// `None` without values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self {
            median,
            least,
            most,
            count: sorted.len(),
        })
    }
}

/// The ratios of two series round by round, where both have a value: a disturbed round affects both.
pub(crate) fn ratios(ours: &[(usize, f64)], theirs: &[(usize, f64)]) -> Vec<f64> {
    let theirs_in = |round: usize| theirs.iter().find(|(other, _)| *other == round);
    ours.iter()
        .filter_map(|&(round, ours)| theirs_in(round).map(|&(_, theirs)| ours / theirs))
        .filter(|ratio| ratio.is_finite())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_works_for_odd_and_even_counts() {
        let summary = Summary::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!(
            (summary.median, summary.least, summary.most, summary.count),
            (2.0, 1.0, 3.0, 3)
        );
        assert!((Summary::of(&[4.0, 1.0, 2.0, 3.0]).unwrap().median - 2.5).abs() < 1e-9);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn ratios_pair_rounds_and_skip_unpaired_ones() {
        let ours = [(0, 1.0), (1, 2.0), (3, 9.0)];
        let theirs = [(1, 4.0), (0, 1.0), (2, 1.0), (3, 0.0)];
        assert_eq!(ratios(&ours, &theirs), vec![1.0, 0.5]);
    }
}
