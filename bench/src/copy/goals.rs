//! The bars of copies.

use super::{Case, OURS, PEAK_MIB, WALL_S};
use crate::bars::{Bar, Limit};

/// Every bar on what `copy` measures.
pub(super) fn bars() -> Vec<Bar> {
    let bar = |case: Case, figure, limit, reference| Bar {
        case: case.name(),
        contender: OURS,
        figure,
        limit: Limit::AtMost(limit),
        reference,
    };
    let wall = |case, limit, tool| bar(case, WALL_S, limit, Some(tool));
    // As fast as the fastest is as fast as each.
    let others = ["cp", "cpz", "xcp", "rcp", "cpx", "rsync"];
    let mut bars = others.map(|tool| wall(Case::Large, 1.0, tool)).to_vec();
    bars.extend([
        wall(Case::Small, 0.5, "cp"),
        wall(Case::Small, 1.0, "cpz"),
        wall(Case::SmallCold, 0.25, "cp"),
        wall(Case::SmallFsync, 0.1, "serial"),
        wall(Case::Sparse, 1.0, "cp"),
    ]);
    bars.extend(Case::ALL.map(|case| bar(case, PEAK_MIB, 64.0, None)));
    bars
}

#[cfg(test)]
mod tests {
    use super::bars;
    use crate::copy::Case;
    use crate::copy::tools::TOOLS;

    #[test]
    fn bars_name_cases_and_tools_that_can_do_them() {
        for bar in bars() {
            let named = |case: &Case| case.name() == bar.case;
            let case = Case::ALL.into_iter().find(named).expect(bar.case);
            for name in std::iter::once(bar.contender).chain(bar.reference) {
                let tool = TOOLS.iter().find(|tool| tool.name == name).expect(name);
                assert!(tool.can_do(case), "{name} on {}", bar.case);
            }
        }
    }
}
