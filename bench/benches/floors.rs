//! Micro-benchmarks of what the floors are made of, for regressions only.
//!
//! What one enter and one entry cost on this kernel bounds every figure of the cases: if these
//! move, the kernel or the machine has changed and not the code.

use std::hint::black_box;

use annulet_bench::floor::nop;
use annulet_bench::floor::ring::Ring;
use annulet_bench::recorder::latency_histogram;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Entries that do nothing, so many to an enter.
fn nops(criterion: &mut Criterion) {
    let mut uring = match nop::ring() {
        Ok(uring) => uring,
        Err(error) => {
            eprintln!("nop is left out: no ring to be had: {error}");
            return;
        }
    };
    let mut ring = Ring::new(&mut uring);
    let mut group = criterion.benchmark_group("nop");
    for batch in [1, 16, 64] {
        group.throughput(Throughput::Elements(u64::from(batch)));
        group.bench_with_input(
            BenchmarkId::from_parameter(batch),
            &batch,
            |bencher, &batch| {
                bencher.iter(|| nop::batch(&mut ring, batch).expect("nops do not fail"));
            },
        );
    }
    group.finish();
}

/// What timing an operation adds to it: the recorders pay this once each.
fn recording(criterion: &mut Criterion) {
    let mut histogram = latency_histogram();
    let mut value = 1;
    criterion.bench_function("histogram_record", |bencher| {
        bencher.iter(|| {
            value = value * 7 % 1_000_003;
            histogram.saturating_record(black_box(value));
        });
    });
}

criterion_group!(floors, nops, recording);
criterion_main!(floors);
