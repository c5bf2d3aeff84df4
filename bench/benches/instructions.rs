//! Instructions that the hot paths take, counted under valgrind: a figure that no other load of the
//! machine moves, so that a rise by a few in a hundred is seen at once.
//!
//! Each function does one thing [`TIMES`] times on a runtime whose budget of time never ends, since
//! time passes slowly under valgrind; what is counted is the function alone. Valgrind knows no
//! io_uring, hence the other driver, which these paths do not enter. `ci/instructions` compares the
//! counts with those in `instructions.txt`.

#![expect(missing_docs, reason = "the macros make modules without")]

use annulet_bench::instructions::{self, Echoes, Paused, Sleepers, TIMES};
use gungraun::prelude::*;

#[library_benchmark(setup = instructions::runtime)]
fn nothing(runtime: annulet::Runtime) -> annulet::Runtime {
    runtime.block_on(async {});
    runtime
}

#[library_benchmark(setup = instructions::runtime)]
fn yield_alone(runtime: annulet::Runtime) -> annulet::Runtime {
    runtime.block_on(instructions::yields(1, TIMES));
    runtime
}

#[library_benchmark(setup = instructions::runtime)]
fn yield_among_100(runtime: annulet::Runtime) -> annulet::Runtime {
    runtime.block_on(instructions::yields(100, TIMES / 100));
    runtime
}

#[library_benchmark(setup = instructions::warm)]
fn spawn_and_join(runtime: annulet::Runtime) -> annulet::Runtime {
    runtime.block_on(instructions::spawns(TIMES));
    runtime
}

#[library_benchmark(setup = instructions::warm)]
fn timer_insert_and_cancel(runtime: annulet::Runtime) -> annulet::Runtime {
    runtime.block_on(instructions::sleeps_given_up(TIMES));
    runtime
}

#[library_benchmark(setup = instructions::warm)]
fn timer_insert_and_fire(runtime: annulet::Runtime) -> annulet::Runtime {
    runtime.block_on(instructions::sleeps_slept(TIMES));
    runtime
}

#[library_benchmark(setup = instructions::warm)]
fn message_within_a_shard(runtime: annulet::Runtime) -> annulet::Runtime {
    runtime.block_on(instructions::messages_within(TIMES));
    runtime
}

#[library_benchmark(setup = instructions::warm)]
fn message_between_shards(runtime: annulet::Runtime) -> annulet::Runtime {
    runtime.block_on(instructions::messages_between(TIMES));
    runtime
}

#[library_benchmark(setup = Paused::new)]
fn spawn_blocking_submit(paused: Paused) -> Paused {
    paused.submit(TIMES)
}

#[library_benchmark(setup = Sleepers::new)]
fn wake_from_elsewhere(sleepers: Sleepers) -> Sleepers {
    sleepers.wake();
    sleepers
}

#[library_benchmark(setup = instructions::warm)]
fn call_from_elsewhere(runtime: annulet::Runtime) -> annulet::Runtime {
    instructions::calls(&runtime, TIMES);
    runtime
}

#[library_benchmark]
#[bench::of(Echoes::new(1))]
fn echo_alone(mut echoes: Echoes) -> Echoes {
    echoes.rounds(TIMES);
    echoes
}

#[library_benchmark]
#[bench::of(Echoes::new(50))]
fn echo_among_50(mut echoes: Echoes) -> Echoes {
    echoes.rounds(TIMES / 50);
    echoes
}

library_benchmark_group!(
    name = paths,
    benchmarks = [
        nothing,
        yield_alone,
        yield_among_100,
        spawn_and_join,
        timer_insert_and_cancel,
        timer_insert_and_fire,
        message_within_a_shard,
        message_between_shards,
        spawn_blocking_submit,
        wake_from_elsewhere,
        call_from_elsewhere,
        echo_alone,
        echo_among_50,
    ]
);

main!(library_benchmark_groups = paths);
