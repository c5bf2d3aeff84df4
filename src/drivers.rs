//! Tests on every driver.

use crate::{Builder, Choice, Config, DriverKind, Runtime};

/// Calls `body` with a runtime on each driver that this machine offers, and says which it leaves
/// out and why.
///
/// `ANNULET_DRIVER` narrows the choice, and `ANNULET_URING_DISABLE` hides features of io_uring.
///
/// # Panics
///
/// If a driver that works cannot be opened, or none works; and with the panic of `body`, after the
/// driver's name on standard error.
///
/// # Examples
///
/// ```
/// annulet::for_each_driver(|runtime| {
///     let answer = runtime.block_on(async { annulet::spawn(async { 42 }).await });
///     assert_eq!(answer.expect("no panic"), 42);
/// });
/// ```
pub fn for_each_driver(body: impl FnMut(&Runtime)) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("for_each_driver");
    for_each_of(name, Choice::Auto, body);
}

/// As [`for_each_driver`], for a test of that name, which may want one driver alone.
pub(crate) fn for_each_of(name: &str, wanted: Choice, mut body: impl FnMut(&Runtime)) {
    let config = Config::default()
        .with_environment()
        .unwrap_or_else(|message| panic!("{message}"));
    let portable = config.choice == Choice::Portable;
    let allows = |choice: Choice, driver: Choice| {
        choice == Choice::Auto || choice == driver || (choice == Choice::Poll && portable)
    };
    let poll = if portable {
        Choice::Portable
    } else {
        Choice::Poll
    };
    let mut offered = false;
    for driver in [Choice::Uring, poll] {
        if !allows(wanted, driver) {
            continue;
        }
        if !allows(config.choice, driver) {
            say(&format!(
                "{name}: not on {driver}: ANNULET_DRIVER is {}",
                config.choice
            ));
            offered = true;
            continue;
        }
        let builder = Builder::new()
            .ignore_environment()
            .driver(driver)
            .uring_disable(config.disabled);
        match builder.build() {
            Ok(runtime) => {
                let _told = Told(runtime.driver().kind);
                body(&runtime);
                offered = true;
            }
            Err(error) if driver == Choice::Uring => {
                say(&format!("SKIP {name}: no io_uring: {error}"));
                offered |= wanted == Choice::Uring;
            }
            Err(error) => panic!("no {driver} driver: {error}"),
        }
    }
    assert!(offered, "no driver works on this machine");
}

/// Says on which driver a test was when it failed.
struct Told(DriverKind);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("failed on {}", self.0));
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the test harness captures it with its test"
)]
fn say(line: &str) {
    println!("{line}");
}
