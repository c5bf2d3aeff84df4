//! `#[annulet::main]` and `#[annulet::test]`: what they run, where, and what they say.
//!
//! What a test prints is seen by running this very program again, with one test chosen by name.

#[cfg(target_os = "linux")]
mod support;

use std::error::Error;
use std::process::{Command, ExitCode, Output};

use annulet::Context;

/// Tells what the tests below look for, and fails where they ask for it.
#[annulet::test]
async fn says_its_driver() -> Result<(), Box<dyn Error>> {
    let kind = Context::current().driver().kind();
    println!("ran on {kind}");
    match std::env::var("FAIL_ON") {
        Ok(driver) if driver == kind.to_string() => Err("as asked".into()),
        _ => Ok(()),
    }
}

#[annulet::test(driver = "poll")]
async fn says_its_driver_which_is_poll() {
    let kind = Context::current().driver().kind();
    println!("ran on {kind}");
}

#[annulet::test]
#[should_panic(expected = "as asked")]
async fn a_test_that_should_panic_does() {
    panic!("as asked");
}

/// A command that runs one test of this program, without the choices of the surroundings.
fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a running program"));
    command.args(["--exact", test, "--show-output", "--test-threads=1"]);
    command
        .env_remove("ANNULET_DRIVER")
        .env_remove("ANNULET_URING_DISABLE");
    command
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

#[track_caller]
fn run(mut command: Command) -> (bool, String) {
    let output = command.output().expect("this program runs again");
    (output.status.success(), text(&output))
}

#[test]
fn a_test_runs_on_every_driver_there_is() {
    let (passed, said) = run(again("says_its_driver"));
    assert!(passed && said.contains("ran on poll"), "{said}");
    let uring = said.contains("ran on uring");
    let skipped = said.contains("SKIP attributes::says_its_driver: no io_uring: ");
    assert!(uring != skipped, "{said}");
}

#[test]
fn a_driver_that_was_not_chosen_is_told_and_is_no_skip() {
    for (choice, ran) in [("poll", 1), ("auto", 2)] {
        let mut command = again("says_its_driver");
        command.env("ANNULET_DRIVER", choice);
        let (passed, said) = run(command);
        let told = said.contains("not on uring: ANNULET_DRIVER is poll");
        assert!(passed && said.contains("ran on poll"), "{said}");
        assert_eq!(told, ran == 1, "{said}");
        if ran == 1 {
            assert!(
                !said.contains("ran on uring") && !said.contains("SKIP"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_test_for_one_driver_runs_on_that_alone() {
    let (passed, said) = run(again("says_its_driver_which_is_poll"));
    assert!(passed && said.contains("ran on poll"), "{said}");
    assert!(!said.contains("uring"), "{said}");
}

#[test]
fn a_failure_names_its_driver() {
    let mut command = again("says_its_driver");
    command.env("FAIL_ON", "poll");
    let (passed, said) = run(command);
    assert!(!passed, "{said}");
    assert!(
        said.contains("the test failed on poll: \"as asked\""),
        "{said}"
    );
    assert!(said.contains("failed on poll\n"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn where_io_uring_is_forbidden_a_test_skips_it_and_says_why() {
    let output = support::run_without_io_uring(again("says_its_driver")).expect("it runs");
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("ran on poll") && !said.contains("ran on uring"),
        "{said}"
    );
    let skip = said
        .lines()
        .find(|line| line.starts_with("SKIP"))
        .expect("a skip");
    assert!(
        skip.starts_with("SKIP attributes::says_its_driver: no io_uring: "),
        "{skip}"
    );
    assert!(skip.contains("seccomp"), "{skip}");
}

mod here {
    //! A program of one shard.

    #[annulet::main(driver = "poll")]
    pub(super) async fn main() -> Result<std::process::ExitCode, std::rc::Rc<str>> {
        assert_eq!(annulet::shards(), 1);
        annulet::spawn(async {}).await.map_err(|_| "aborted")?;
        Ok(std::process::ExitCode::from(7))
    }
}

mod on_shards {
    //! A program of two shards, whose error could not leave its shard.

    use std::rc::Rc;

    #[annulet::main(shards = 2)]
    pub(super) async fn main() -> Result<(), Rc<str>> {
        match annulet::shards() {
            2 => Err("two shards".into()),
            _ => Ok(()),
        }
    }
}

mod panics {
    //! A program that panics on its shard.

    #[annulet::main(shards = "all")]
    pub(super) async fn main() {
        assert!(std::env::args().count() == 0, "planned");
    }
}

fn code(code: ExitCode) -> String {
    format!("{code:?}")
}

#[test]
fn main_ends_with_the_code_of_what_it_returns() {
    assert_eq!(code(here::main()), code(ExitCode::from(7)));
    assert_eq!(code(on_shards::main()), code(ExitCode::FAILURE));
}

#[test]
#[should_panic(expected = "planned")]
fn main_panics_with_the_panic_of_its_task() {
    panics::main();
}

#[test]
fn a_main_whose_runtime_cannot_start_says_why() {
    let mut command = again("main_ends_with_the_code_of_what_it_returns");
    command.env("ANNULET_DRIVER", "warp");
    let (passed, said) = run(command);
    assert!(!passed, "{said}");
    let why = "the annulet runtime cannot start: ANNULET_DRIVER is \"warp\": use auto, uring, poll or portable";
    assert!(said.contains(why), "{said}");
}
