//! What is refused: sources that are missing, files onto themselves, directories into themselves,
//! things in the way of others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::scratch::{each, write};
use crate::tree::picture;

#[test]
fn a_missing_source_is_named_and_nothing_is_made() {
    each(|scratch| {
        let said = scratch.fails("nothing to");
        assert!(
            said.starts_with("annulet-cp: cannot open 'nothing': No such file"),
            "{said}"
        );
        assert!(said.contains("look at the spelling"), "{said}");
        assert!(!scratch.at("to").exists());
        scratch.write("file", b"x");
        let said = scratch.fails("file no/such/place");
        assert!(said.contains("'no/such/place'"), "{said}");
    });
}

#[test]
fn a_directory_is_copied_only_if_it_is_asked_for() {
    each(|scratch| {
        fs::create_dir_all(scratch.at("dir/inner")).expect("made");
        scratch.write("file", b"x");
        fs::create_dir(scratch.at("to")).expect("made");
        let said = scratch.fails("dir file to");
        assert!(said.contains("'dir'") && said.contains("-r"), "{said}");
        assert!(!scratch.at("to/dir").exists());
        assert_eq!(scratch.read("to/file"), "x");
    });
}

#[test]
fn a_file_is_not_copied_onto_itself_by_whatever_name() {
    each(|scratch| {
        write(&scratch.at("file"), b"precious", 0o600, 1);
        fs::hard_link(scratch.at("file"), scratch.at("hard")).expect("linked");
        symlink("file", scratch.at("soft")).expect("linked");
        fs::create_dir(scratch.at("dir")).expect("made");
        for options in ["", "-f", "-a", "--no-atomic -f"] {
            for to in ["file", "./file", "dir/../file", "hard", "soft", "."] {
                let said = scratch.fails(&format!("{options} file {to}"));
                assert!(said.contains("same file"), "{options} {to}: {said}");
                assert_eq!(scratch.read("file"), "precious");
            }
        }
        assert!(scratch.at("soft").is_symlink());
    });
}

#[test]
fn a_directory_is_not_copied_into_itself() {
    each(|scratch| {
        fs::create_dir_all(scratch.at("tree/inner")).expect("made");
        write(&scratch.at("tree/file"), b"x", 0o600, 1);
        symlink("tree/inner", scratch.at("way-in")).expect("linked");
        for to in [
            "tree",
            "tree/new",
            "tree/inner/new",
            "way-in",
            "way-in/new",
            ".",
        ] {
            let said = scratch.fails(&format!("-r tree {to}"));
            assert!(
                said.contains("itself") || said.contains("same file"),
                "{to}: {said}"
            );
        }
        assert_eq!(picture(&scratch.at("tree")).len(), 3);
    });
}

#[test]
fn the_second_source_of_one_name_is_refused() {
    each(|scratch| {
        for dir in ["a", "b", "to"] {
            fs::create_dir(scratch.at(dir)).expect("made");
        }
        scratch.write("a/same", b"first");
        scratch.write("b/same", b"second");
        let said = scratch.fails("a/same b/same to");
        assert!(said.contains("just"), "{said}");
        assert_eq!(scratch.read("to/same"), "first");
    });
}

#[test]
fn what_is_there_is_replaced_if_it_is_alike_and_left_if_it_is_not() {
    each(|scratch| {
        fs::create_dir_all(scratch.at("from/dir")).expect("made");
        fs::create_dir_all(scratch.at("to/file")).expect("made");
        for name in ["from/file", "from/other"] {
            scratch.write(name, b"a file");
        }
        scratch.write("from/over-link", b"new");
        symlink("new-target", scratch.at("from/link")).expect("linked");
        scratch.write("to/dir", b"in the way");
        scratch.write("to/kept", b"kept");
        scratch.write("to/elsewhere", b"untouched");
        symlink("elsewhere", scratch.at("to/over-link")).expect("linked");
        symlink("old-target", scratch.at("to/link")).expect("linked");
        let said = scratch.fails("-r from/. to");
        assert!(
            said.contains("'to/file'") && said.contains("is a directory"),
            "{said}"
        );
        assert!(said.contains("'to/dir'"), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
        assert_eq!(scratch.read("to/dir"), "in the way");
        assert_eq!(scratch.read("to/kept"), "kept");
        assert_eq!(scratch.read("to/other"), "a file");
        // A link in the way is replaced, never written through.
        assert_eq!(scratch.read("to/over-link"), "new");
        assert_eq!(scratch.read("to/elsewhere"), "untouched");
        assert!(!scratch.at("to/over-link").is_symlink());
        let target = fs::read_link(scratch.at("to/link")).expect("a link");
        assert_eq!(target, Path::new("new-target"));
        scratch.has_no_leftovers();
    });
}

#[test]
fn a_fifo_and_a_socket_are_made_anew_without_waiting_for_anybody() {
    each(|scratch| {
        fs::create_dir(scratch.at("from")).expect("made");
        let _socket =
            std::os::unix::net::UnixListener::bind(scratch.at("from/socket")).expect("bound");
        let made = Command::new("mkfifo").arg(scratch.at("from/fifo")).status();
        assert!(made.is_ok_and(|made| made.success()));
        scratch.write("from/file", b"x");
        scratch.copies("-a from to");
        assert_eq!(
            picture(&scratch.at("from"))[1..],
            picture(&scratch.at("to"))[1..]
        );
    });
}
