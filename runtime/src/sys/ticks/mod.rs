//! A clock that is cheap enough to be read after every poll of a task.
//!
//! [`now`] counts in a unit of the machine's own, which a [`Scale`] converts. It is for measuring
//! how long things take; deadlines are kept by the monotonic clock. On x86-64 it is the time stamp
//! counter, which has kept one rate on every processor since 2008; elsewhere it is the monotonic
//! clock itself.
//!
//! For some microseconds after a reading of the clock the counter can carry that reading on
//! ([`Scale::since`]): never to less than the clock says, and to a few nanoseconds more.

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[path = "x86_64.rs"]
mod counter;
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[path = "monotonic.rs"]
mod counter;

pub(crate) use counter::{Scale, now};

#[cfg(test)]
mod tests {
    use super::{Scale, now};
    use std::time::Instant;

    #[test]
    fn ticks_measure_what_the_clock_measures() {
        let scale = Scale::of_this_machine();
        // The clock is read between two readings of the counter, however long this thread is put
        // off.
        let (first, clock, second) = (now(), Instant::now(), now());
        while clock.elapsed().as_millis() < 5 {}
        let (third, by_clock, fourth) = (now(), clock.elapsed().as_nanos(), now());
        let (least, most) = (scale.ns(third - second), scale.ns(fourth - first));
        assert!(
            u128::from(least) * 98 < by_clock * 100,
            "{least} ns of {by_clock}"
        );
        assert!(
            u128::from(most) * 102 > by_clock * 100,
            "{most} ns of {by_clock}"
        );
        assert!(scale.ns(scale.ticks(1_000_000)).abs_diff(1_000_000) < 10);
    }

    #[test]
    fn a_reading_that_is_carried_on_is_never_behind_the_clock() {
        let scale = Scale::of_this_machine();
        let mut carried = 0;
        for _ in 0..200 {
            let anchor = Scale::anchor();
            let clock = Instant::now();
            for _ in 0..2_000 {
                let true_ns = clock.elapsed().as_nanos();
                let Some(ns) = scale.since(anchor) else {
                    break;
                };
                assert!(u128::from(ns) >= true_ns, "{ns} ns, not {true_ns}");
                carried += 1;
            }
        }
        println!("{carried} readings carried on");
    }
}
