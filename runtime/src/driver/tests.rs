//! What every driver of this machine promises, tested on the driver itself.

use std::sync::Arc;

use std::time::{Duration, Instant};

use super::{Choice, Config, Driver};
use crate::pool::{Pool, PoolConfig};

/// Longer than any test should take.
const LONG: Duration = Duration::from_secs(20);

fn for_each_driver(name: &str, test: impl Fn(&Driver)) {
    for choice in [Choice::Uring, Choice::Poll, Choice::Portable] {
        let config = Config {
            choice,
            ..Config::default()
        };
        match Driver::new(&config, Pool::new(PoolConfig::default()), Arc::default()) {
            Ok(driver) => {
                test(&driver);
                assert_eq!(driver.shut_down(LONG), 0);
            }
            Err(error) if choice == Choice::Uring => println!("SKIP {name}: {error}"),
            Err(error) => panic!("polling always works: {error}"),
        }
    }
}

#[test]
fn an_unpark_before_the_first_park_ends_it() {
    for_each_driver("an_unpark_before_the_first_park_ends_it", |driver| {
        let started = Instant::now();
        driver.unparker().unpark();
        driver.park(Some(LONG)).expect("the driver works");
        assert!(started.elapsed() < LONG);
    });
}

#[test]
fn every_unpark_between_two_parks_ends_the_next() {
    for_each_driver("every_unpark_between_two_parks_ends_the_next", |driver| {
        let started = Instant::now();
        for _ in 0..10 {
            driver.unparker().unpark();
            driver.park(Some(LONG)).expect("the driver works");
        }
        assert!(started.elapsed() < LONG);
    });
}
