//! What a driver finds out about its kernel when it opens, and how long that takes.
//!
//! The probe runs once in a process, so this is a program with one test that opens drivers.

use std::time::{Duration, Instant};

use annulet::{Builder, Code, DriverKind, DriverReport, Feature};

/// Less than a probe waits for one answer. A probe that finds something missing is told so at once.
const AT_ONCE: Duration = Duration::from_millis(1500);

#[test]
fn a_driver_opens_at_once_and_accounts_for_every_feature() {
    let started = Instant::now();
    let runtime = Builder::new().build().expect("some driver works");
    let took = started.elapsed();
    let report = runtime.driver();
    print(report, took);
    assert!(took < AT_ONCE, "the first driver took {took:?} to open");
    match report.kind {
        DriverKind::Uring => accounts_for_all(report),
        _ => assert!(
            report.setup.is_empty() && report.codes.is_empty(),
            "a driver without a ring claims parts of one: {report:?}"
        ),
    }
}

/// Each feature is either there or missing for a reason, and the opcodes that all kernels with a
/// usable ring have are found.
fn accounts_for_all(report: &DriverReport) {
    for feature in Feature::ALL {
        let there = report.features.contains(feature);
        let missing = report
            .missing
            .iter()
            .find(|(missing, _)| missing == feature);
        assert!(
            there != missing.is_some(),
            "{feature} is in both lists or none"
        );
        assert!(
            missing.is_none_or(|(_, reason)| !reason.is_empty()),
            "{feature} is missing without a reason"
        );
    }
    for code in [Code::Nop, Code::Ready, Code::Accept, Code::Recv, Code::Send] {
        assert!(report.codes.contains(&code), "{code} is not found");
    }
    let multishot = report.features.contains(&Feature::Multishot)
        && report.features.contains(&Feature::BufRing);
    assert_eq!(report.codes.contains(&Code::RecvMulti), multishot);
}

#[expect(
    clippy::print_stdout,
    reason = "what a run on a kernel found is worth having"
)]
fn print(report: &DriverReport, took: Duration) {
    println!("DRIVER {report}, open after {} ms", took.as_millis());
    for (feature, reason) in &report.missing {
        println!("MISSING {feature}: {reason}");
    }
    let codes: Vec<&str> = report.codes.iter().map(|code| code.name()).collect();
    println!("OPCODES {}", codes.join(" "));
}
