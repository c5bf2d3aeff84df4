//! Medians and spreads over rounds.
//!
//! A machine that runs other things makes some rounds worse and none better than the truth, so the
//! median says what to expect, and the best round says what the contender can do.

use serde::{Deserialize, Serialize};

/// The middle of some figures, and how far they spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle value; the mean of the middle two if their number is even.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Summary {
    /// Summarises figures in any order; `None` if there are none.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);

        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = sorted[sorted.len() / 2];
        let lower = sorted[(sorted.len() - 1) / 2];
        Some(Self {
            median: f64::midpoint(lower, upper),
            min,
            max,
        })
    }

    /// Whether two spreads have a value in common, so that their order means nothing.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_value_whatever_the_order() {
        let summary = Summary::of([9.0, 1.0, 4.0]).unwrap();
        assert_eq!(
            summary,
            Summary {
                median: 4.0,
                min: 1.0,
                max: 9.0
            }
        );
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        let summary = Summary::of([8.0, 1.0, 2.0, 100.0]).unwrap();
        assert_eq!(
            summary,
            Summary {
                median: 5.0,
                min: 1.0,
                max: 100.0
            }
        );
    }

    #[test]
    fn one_figure_is_its_own_median_and_spread() {
        let summary = Summary::of([3.5]).unwrap();
        assert_eq!(
            summary,
            Summary {
                median: 3.5,
                min: 3.5,
                max: 3.5
            }
        );
    }

    #[test]
    fn no_figures_have_no_summary() {
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn spreads_that_touch_overlap_and_spreads_apart_do_not() {
        let low = Summary {
            median: 1.5,
            min: 1.0,
            max: 2.0,
        };
        let touching = Summary {
            median: 2.5,
            min: 2.0,
            max: 3.0,
        };
        let high = Summary {
            median: 2.6,
            min: 2.1,
            max: 3.0,
        };
        assert!(low.overlaps(&touching) && touching.overlaps(&low));
        assert!(!low.overlaps(&high) && !high.overlaps(&low));
    }
}
