//! Every operation in every circumstance, on both drivers and on io_uring without each thing it can
//! do without.
//!
//! One table of [operations](support::matrix), one of circumstances; each cell is a run of its own
//! on a fresh runtime. A cell that hangs, in a blocking call on the shard for example, is named by
//! a watchdog, since nothing else could.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod fds;
    pub(crate) mod fds_back;
    pub(crate) mod matrix;
    pub(crate) mod refusing_datagram;
    pub(crate) mod refusing_stream;
    pub(crate) mod streams;
    pub(crate) mod variants;
    pub(crate) mod watchdog;
}

use std::panic::{AssertUnwindSafe, catch_unwind};

use support::fds::open_fds;
use support::fds_back::fds_are_back_to;
use support::matrix::{CIRCUMSTANCES, ROWS};
use support::variants::variants;
use support::watchdog::Watchdog;

#[test]
fn every_operation_keeps_its_promises_in_every_circumstance_on_every_driver() {
    let watchdog = Watchdog::new();
    let mut failed = Vec::new();
    let mut cells = 0;
    for variant in variants() {
        watchdog.now(&variant.name);
        // What a driver keeps for the process is opened with the first runtime.
        drop(variant.builder().build().expect("a runtime"));
        let fds_before = open_fds();
        for row in ROWS {
            for (circumstance, run) in CIRCUMSTANCES {
                let cell = format!("{}: {} {circumstance}", variant.name, row.name);
                watchdog.now(&cell);
                cells += 1;
                let runtime = variant.builder().build().expect("a runtime");
                let answer = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run(row))));
                let finding = match answer {
                    Ok(Ok(())) => continue,
                    Ok(Err(finding)) => finding,
                    Err(_) => "panicked".to_owned(),
                };
                watchdog.say(&finding);
                failed.push(format!("{cell}: {finding}"));
            }
        }
        fds_are_back_to(fds_before, &variant.name);
    }
    assert!(
        failed.is_empty(),
        "{} of {cells} cells failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
