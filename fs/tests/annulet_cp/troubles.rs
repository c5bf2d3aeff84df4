//! Bad days: what may not be read or written, full and read-only disks, other file systems in the
//! tree, sources that change.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use crate::options::until_bytes;
use crate::scratch::{Scratch, bytes, each, write};

/// Whether permissions bind this process: they do not bind the superuser.
fn permissions_bind(scratch: &Scratch) -> bool {
    let closed = scratch.at("closed");
    write(&closed, b"", 0o000, 1);
    File::open(&closed).is_err()
}

#[test]
fn what_may_not_be_read_is_named_and_the_rest_is_copied() {
    each(|scratch| {
        // The superuser drops its rights for the command alone.
        let bound = permissions_bind(scratch);
        fs::create_dir_all(scratch.at("from/closed")).expect("made");
        write(&scratch.at("from/secret"), b"x", 0o000, 1);
        write(&scratch.at("from/file"), b"x", 0o644, 1);
        let closed = Permissions::from_mode(0o000);
        fs::set_permissions(scratch.at("from/closed"), closed).expect("a mode");
        let mut command = if bound {
            scratch.command(&["-r", "from", "to"])
        } else {
            let everyone = Permissions::from_mode(0o777);
            fs::set_permissions(scratch.dir.path(), everyone).expect("a mode");
            // The program is copied to where a user without rights can reach it.
            fs::copy(env!("CARGO_BIN_EXE_annulet-cp"), scratch.at("program")).expect("copied");
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command
                .arg(scratch.at("program"))
                .args(["-r", "from", "to"]);
            command
                .current_dir(scratch.dir.path())
                .env("ANNULET_DRIVER", scratch.driver);
            command
        };
        let Ok(output) = command.output() else {
            println!(
                "SKIP what_may_not_be_read_is_named_and_the_rest_is_copied: no privilege to give up"
            );
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for name in ["'from/secret'", "'from/closed'"] {
            let line = said.lines().find(|line| line.contains(name));
            let line = line.unwrap_or_else(|| panic!("{name}: {said}"));
            assert!(
                line.contains(": Permission denied; give yourself"),
                "{line}"
            );
        }
        assert_eq!(said.lines().count(), 2, "{said}");
        assert_eq!(scratch.read("to/file"), "x");
        scratch.has_no_leftovers();
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(scratch.at("from/closed"), open).expect("a mode");
    });
}

/// Runs the command after a script, in a mount namespace of its own. Nothing without the right.
fn mounted(scratch: &Scratch, script: &str, words: &str) -> Option<Output> {
    let may = Command::new("unshare")
        .args(["--mount", "true"])
        .stderr(Stdio::null())
        .status();
    if !may.is_ok_and(|may| may.success()) {
        return None;
    }
    let program = scratch.command::<&str>(&[]);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec", script])
        .arg(program.get_program())
        .args(words.split_whitespace().map(OsStr::new))
        .current_dir(scratch.dir.path())
        .env("ANNULET_DRIVER", scratch.driver);
    Some(command.output().expect("it runs"))
}

#[test]
fn a_full_disk_leaves_no_partial_file() {
    each(|scratch| {
        fs::create_dir(scratch.at("disk")).expect("made");
        fs::create_dir(scratch.at("from")).expect("made");
        write(&scratch.at("from/small"), &bytes(900_000, 1), 0o600, 1);
        write(&scratch.at("from/large"), &bytes(8_000_000, 2), 0o600, 1);
        let script = "mount -t tmpfs -o size=3m tmpfs disk; code=0; \"$0\" \"$@\" || code=$?; \
                      ls -A disk; exit $code";
        for options in ["", "--no-atomic", "--direct", "--sparse=never"] {
            let words = format!("-r {options} from/. disk");
            let Some(output) = mounted(scratch, script, &words) else {
                println!("SKIP a_full_disk_leaves_no_partial_file: no privilege to mount");
                return;
            };
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{words}: {said}");
            assert!(
                said.contains("'disk/large'") && said.contains("free space"),
                "{said}"
            );
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                "small\n",
                "{words}: {said}"
            );
        }
    });
}

#[test]
fn a_read_only_target_is_named_and_nothing_waits() {
    each(|scratch| {
        fs::create_dir(scratch.at("disk")).expect("made");
        fs::create_dir(scratch.at("from")).expect("made");
        scratch.write("from/file", b"x");
        let script = "mount -t tmpfs -o ro tmpfs disk; exec \"$0\" \"$@\"";
        let Some(output) = mounted(scratch, script, "-r from disk") else {
            println!("SKIP a_read_only_target_is_named_and_nothing_waits: no privilege to mount");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("Read-only file system; copy elsewhere"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    });
}

#[test]
fn other_file_systems_are_left_out_if_asked_for() {
    each(|scratch| {
        fs::create_dir_all(scratch.at("from/disk")).expect("made");
        scratch.write("from/file", b"x");
        let script = "mount -t tmpfs tmpfs from/disk; echo x > from/disk/file; exec \"$0\" \"$@\"";
        for (options, copied) in [("-r", true), ("-rx", false), ("-ax", false)] {
            let to = format!("to{options}");
            let Some(output) = mounted(scratch, script, &format!("{options} from {to}")) else {
                println!(
                    "SKIP other_file_systems_are_left_out_if_asked_for: no privilege to mount"
                );
                return;
            };
            assert_eq!(output.status.code(), Some(0));
            assert_eq!(scratch.read(&format!("{to}/file")), "x");
            assert!(scratch.at(&to).join("disk").is_dir(), "{options}");
            assert_eq!(
                scratch.at(&to).join("disk/file").exists(),
                copied,
                "{options}"
            );
        }
    });
}

#[test]
fn a_file_that_shrinks_or_grows_while_it_is_copied_ends_the_copy_and_is_named() {
    each(|scratch| {
        for bytes_now in [3_000_000, 20_000_000] {
            fs::write(scratch.at("from"), bytes(8_000_000, 1)).expect("written");
            let mut child = scratch.start("--json --progress --limit-rate 4M from to");
            let events = until_bytes(&mut child, 1);
            let file = File::options().write(true).open(scratch.at("from"));
            file.expect("opened")
                .set_len(bytes_now)
                .expect("cut or grown");
            drop(events);
            let output = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(
                said.contains("'from'") && said.contains("changed while"),
                "{said}"
            );
            scratch.has_no_leftovers();
            let _nothing = fs::remove_file(scratch.at("to"));
        }
    });
}
