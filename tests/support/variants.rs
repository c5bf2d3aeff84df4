//! The drivers that a test runs on, and the ways to make io_uring do without something.

use annulet::{Builder, Choice, Code, Feature, Mask};

/// A driver, with what it does without.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) name: String,
    builder: Builder,
}

impl Variant {
    fn new(name: impl Into<String>, choice: Choice, set: impl FnOnce(Builder) -> Builder) -> Self {
        Self {
            name: name.into(),
            builder: set(Builder::new().ignore_environment().driver(choice)),
        }
    }

    pub(crate) fn builder(&self) -> Builder {
        self.builder.clone()
    }
}

/// What `ANNULET_DRIVER` leaves of the two drivers.
fn wanted(choice: Choice) -> bool {
    let only = std::env::var("ANNULET_DRIVER").ok();
    let only = only.as_deref().and_then(Choice::from_name);
    only.is_none_or(|only| {
        let portable = only == Choice::Portable && choice == Choice::Poll;
        only == Choice::Auto || only == choice || portable
    })
}

/// Whether this machine lets us have io_uring; says so where it does not.
#[expect(clippy::print_stdout, reason = "a test says what it leaves out")]
fn uring_works() -> bool {
    let ring = Builder::new().ignore_environment().driver(Choice::Uring);
    match ring.build() {
        Ok(_) => true,
        Err(error) => {
            println!("SKIP uring: {error}");
            false
        }
    }
}

/// Both drivers, each also tiny (a small ring, few buffers), polling as on other systems, then
/// io_uring without each feature and
/// each opcode in turn, then without any feature.
pub(crate) fn variants() -> Vec<Variant> {
    let mut variants = Vec::new();
    if wanted(Choice::Poll) {
        variants.push(Variant::new("poll", Choice::Poll, |it| it));
        variants.push(Variant::new("poll, tiny", Choice::Poll, |it| {
            it.buffers(2, 64)
        }));
        variants.push(Variant::new("poll, portable", Choice::Portable, |it| it));
    }
    if !wanted(Choice::Uring) || !uring_works() {
        return variants;
    }
    variants.push(Variant::new("uring", Choice::Uring, |it| it));
    variants.push(Variant::new("uring, tiny", Choice::Uring, |it| {
        it.ring_entries(2, 4).buffers(2, 64)
    }));
    // Without `poll_add` there is nothing to fall back on, and no ring: see the test of that.
    let codes = Code::ALL.iter().filter(|code| **code != Code::Ready);
    let names = Feature::ALL
        .iter()
        .map(|feature| feature.name())
        .chain(codes.map(|code| code.name()));
    for name in names.chain(["all"]) {
        let mask = Mask::parse(name).expect("a feature or opcode");
        let variant = Variant::new(format!("uring without {name}"), Choice::Uring, |it| {
            it.uring_disable(mask)
        });
        variants.push(variant);
    }
    variants
}
