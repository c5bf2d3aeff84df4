//! What a copy does with what is there already: replaces it whole, leaves it, keeps it under another
//! name, refuses it.
#![cfg(unix)]

#[path = "copy_support/mod.rs"]
mod support;

use std::ffi::OsString;
use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use annulet_fs::copy::{
    Backup, BackupStyle, Copier, Event, Existing, Observer, Options, Replace, What,
};

use support::{Ear, copy, copy_heard, each_driver, leftovers, names};

fn age(path: &Path, seconds: u64) -> io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::options()
        .write(true)
        .open(path)?
        .set_times(FileTimes::new().set_modified(time))
}

#[test]
fn files_that_are_there_are_replaced_left_or_refused_as_asked() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let cases = [
            (Existing::Replace, "new", "new", 0),
            (Existing::Keep, "old", "old", 0),
            (Existing::Refuse, "old", "old", 2),
            (Existing::Older, "new", "old", 0),
        ];
        for (existing, in_old, in_young, failures) in cases {
            let at = |name: &str| folder.join(format!("{existing:?}")).join(name);
            fs::create_dir_all(at("from"))?;
            fs::create_dir_all(at("to"))?;
            for name in ["old", "young"] {
                fs::write(at("from").join(name), "new")?;
                fs::write(at("to").join(name), "old")?;
                age(&at("from").join(name), 1000)?;
            }
            age(&at("to/old"), 999)?;
            age(&at("to/young"), 1000)?;
            let mut options = Options::new();
            options.existing = existing;
            let done = copy(runtime, options, &at("from"), &at("to"));
            assert_eq!(done.failures, failures, "{existing:?}");
            assert_eq!(done.files + done.skipped + done.failures, 2, "{existing:?}");
            assert_eq!(done.bytes, 3 * done.files);
            assert_eq!(done.skipped_bytes, 3 * done.skipped);
            assert_eq!(fs::read_to_string(at("to/old"))?, in_old, "{existing:?}");
            assert_eq!(
                fs::read_to_string(at("to/young"))?,
                in_young,
                "{existing:?}"
            );
            assert_eq!(names(&at("to")), ["old", "young"]);
        }
        Ok(())
    })
}

#[test]
fn a_file_is_replaced_whole_with_the_mode_it_had_and_its_other_names_keep_theirs() -> io::Result<()>
{
    each_driver(|runtime, folder| {
        let (from, to, other) = (folder.join("from"), folder.join("to"), folder.join("other"));
        fs::write(&from, "new")?;
        fs::write(&to, "old and longer")?;
        fs::set_permissions(&to, Permissions::from_mode(0o600))?;
        fs::hard_link(&to, &other)?;
        assert_eq!(copy(runtime, Options::new(), &from, &to).files, 1);
        assert_eq!(
            (fs::read(&to)?, fs::read(&other)?),
            (b"new".to_vec(), b"old and longer".to_vec())
        );
        assert_eq!(fs::metadata(&to)?.mode() & 0o777, 0o600);
        // In place all names change together.
        let mut options = Options::new();
        options.replace = Replace::InPlace;
        assert_eq!(copy(runtime, options, &from, &other).files, 1);
        assert_eq!(fs::read(&other)?, b"new");
        let (to, other) = (fs::metadata(&to)?, fs::metadata(&other)?);
        assert!(to.ino() != other.ino() && other.mode() & 0o777 == 0o600);
        Ok(())
    })
}

#[test]
fn what_is_replaced_is_kept_under_the_name_asked_for() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        let keep = |style, contents: &str| -> io::Result<Vec<OsString>> {
            fs::write(&from, contents)?;
            let mut options = Options::new();
            options.backup = Some(Backup {
                style,
                suffix: "~".into(),
            });
            assert_eq!(copy(runtime, options, &from, &to).failures, 0);
            Ok(names(folder))
        };
        assert_eq!(keep(BackupStyle::Existing, "1")?, ["from", "to"]);
        assert_eq!(keep(BackupStyle::Existing, "2")?, ["from", "to", "to~"]);
        assert_eq!(keep(BackupStyle::Simple, "3")?, ["from", "to", "to~"]);
        assert_eq!(fs::read_to_string(folder.join("to~"))?, "2");
        let numbered = ["from", "to", "to.~1~", "to~"];
        assert_eq!(keep(BackupStyle::Numbered, "4")?, numbered);
        fs::rename(folder.join("to.~1~"), folder.join("to.~9~"))?;
        let numbered = ["from", "to", "to.~10~", "to.~9~", "to~"];
        assert_eq!(keep(BackupStyle::Existing, "5")?, numbered);
        assert_eq!(fs::read_to_string(folder.join("to.~10~"))?, "4");
        assert_eq!(fs::read_to_string(&to)?, "5");
        Ok(())
    })
}

/// Answers questions, and sees that there is one at a time.
#[derive(Default)]
struct Asked {
    answering: AtomicBool,
    paths: Mutex<Vec<OsString>>,
}

impl Observer for Asked {
    fn ask(&self, to: &Path) -> bool {
        assert!(
            !self.answering.swap(true, Ordering::SeqCst),
            "one at a time"
        );
        let name = to.file_name().expect("a name").to_owned();
        let yes = name.to_string_lossy().ends_with('1');
        self.paths.lock().expect("no panic").push(name);
        self.answering.store(false, Ordering::SeqCst);
        yes
    }
}

#[test]
fn each_replacement_is_asked_for_one_at_a_time() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        for number in 0..300 {
            for (root, contents) in [(&from, "new"), (&to, "old")] {
                let dir = root.join(format!("{}", number % 7));
                fs::create_dir_all(&dir)?;
                fs::write(dir.join(format!("{number}")), contents)?;
            }
        }
        let asked = std::sync::Arc::new(Asked::default());
        let mut options = Options::new();
        options.ask = true;
        let copier = Copier::new(options, std::sync::Arc::clone(&asked));
        let done = runtime.block_on(copier.run([(from, to.clone())]));
        assert_eq!((done.files, done.skipped, done.failures), (30, 270, 0));
        assert_eq!(asked.paths.lock().expect("no panic").len(), 300);
        assert_eq!(fs::read_to_string(to.join("0/21"))?, "new");
        assert_eq!(fs::read_to_string(to.join("0/7"))?, "old");
        Ok(())
    })
}

#[test]
fn a_file_is_not_copied_onto_itself_by_whatever_name() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let file = folder.join("file");
        fs::write(&file, "precious")?;
        fs::hard_link(&file, folder.join("other"))?;
        symlink("file", folder.join("link"))?;
        for to in ["file", "other", "link", "./file"] {
            for replace in [Replace::Rename, Replace::InPlace, Replace::InPlaceForced] {
                let mut options = Options::new();
                options.replace = replace;
                let (done, said) = copy_heard(runtime, options, &file, &folder.join(to));
                assert_eq!((done.failures, done.files), (1, 0), "{to}");
                assert!(said[0].contains("same file"), "{to}: {said:?}");
                assert_eq!(fs::read_to_string(&file)?, "precious");
            }
        }
        // A link may go, if that is asked for.
        let mut options = Options::new();
        options.replace = Replace::RemoveFirst;
        assert_eq!(copy(runtime, options, &file, &folder.join("link")).files, 1);
        assert!(!folder.join("link").is_symlink());
        assert_eq!(fs::read_to_string(folder.join("link"))?, "precious");
        Ok(())
    })
}

#[test]
fn what_one_source_has_made_the_next_does_not_overwrite() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let at = |name: &str| folder.join(name);
        for (dir, contents) in [("a", "first"), ("b", "second")] {
            fs::create_dir_all(at(dir).join("sub"))?;
            fs::write(at(dir).join("sub/file"), contents)?;
            fs::write(at(dir).join(format!("only-{dir}")), contents)?;
        }
        fs::create_dir(at("to"))?;
        let ear = std::sync::Arc::new(Ear::default());
        let copier = Copier::new(Options::new(), std::sync::Arc::clone(&ear));
        let pairs = [(at("a"), at("to/x")), (at("b"), at("to/x"))];
        let done = runtime.block_on(copier.run(pairs));
        assert_eq!(fs::read_to_string(at("to/x/sub/file"))?, "first");
        assert_eq!((done.files, done.failures), (3, 1));
        assert!(ear.0.lock().expect("no panic")[0].contains("just made"));
        assert_eq!(names(&at("to/x")), ["only-a", "only-b", "sub"]);
        assert_eq!(leftovers(&at("to/x/sub")), 0);
        Ok(())
    })
}

#[test]
fn a_link_in_the_way_is_replaced_and_never_written_through() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("dir"))?;
        fs::create_dir(&to)?;
        fs::create_dir(folder.join("elsewhere"))?;
        fs::write(folder.join("precious"), "precious")?;
        fs::write(from.join("file"), "new")?;
        fs::write(from.join("dangling"), "new")?;
        fs::write(from.join("dir/inner"), "new")?;
        symlink("../precious", to.join("file"))?;
        symlink("nowhere", to.join("dangling"))?;
        symlink("../elsewhere", to.join("dir"))?;
        let (done, said) = copy_heard(runtime, Options::new(), &from, &to);
        assert_eq!((done.files, done.failures), (2, 1), "{said:?}");
        assert!(
            said[0].contains("something other than a directory"),
            "{said:?}"
        );
        assert_eq!(fs::read_to_string(folder.join("precious"))?, "precious");
        assert_eq!(names(&folder.join("elsewhere")), [""; 0]);
        assert_eq!(fs::read_to_string(to.join("file"))?, "new");
        assert_eq!(fs::read_to_string(to.join("dangling"))?, "new");
        assert!(!to.join("dangling").is_symlink());
        Ok(())
    })
}

#[test]
fn a_device_in_the_way_is_not_replaced() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::write(&from, "x")?;
        let made = std::process::Command::new("mkfifo").arg(&to).status()?;
        assert!(made.success());
        let (done, said) = copy_heard(runtime, Options::new(), &from, &to);
        assert_eq!(done.failures, 1);
        assert!(said[0].contains("FIFO, socket or device"), "{said:?}");
        Ok(())
    })
}

/// Remembers what would be done.
#[derive(Default)]
struct Told(Mutex<Vec<(What, OsString)>>);

impl Observer for Told {
    fn event(&self, event: &Event<'_>) {
        let name = event.to.file_name().expect("a name").to_owned();
        self.0.lock().expect("no panic").push((event.what, name));
    }
}

#[test]
fn a_dry_run_tells_everything_and_changes_nothing() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("new-dir/deeper"))?;
        fs::create_dir_all(from.join("old-dir"))?;
        fs::create_dir_all(to.join("old-dir"))?;
        fs::write(from.join("new-dir/deeper/file"), "x")?;
        fs::write(from.join("old-dir/young"), "x")?;
        fs::write(to.join("old-dir/young"), "y")?;
        age(&from.join("old-dir/young"), 5)?;
        symlink("x", from.join("link"))?;
        let mut options = Options::new();
        options.dry_run = true;
        options.existing = Existing::Older;
        let told = std::sync::Arc::new(Told::default());
        let copier = Copier::new(options, std::sync::Arc::clone(&told));
        let done = runtime.block_on(copier.run([(from, to.clone())]));
        let mut told = std::mem::take(&mut *told.0.lock().expect("no panic"));
        told.sort_by(|one, other| one.1.cmp(&other.1));
        let expected = [
            (What::Directory, "deeper"),
            (What::File, "file"),
            (What::Link, "link"),
            (What::Directory, "new-dir"),
            (What::Skipped, "young"),
        ];
        assert_eq!(told, expected.map(|(what, name)| (what, name.into())));
        assert_eq!((done.files, done.skipped, done.failures), (1, 1, 0));
        assert_eq!(names(&to), ["old-dir"]);
        assert_eq!(fs::read_to_string(to.join("old-dir/young"))?, "y");
        Ok(())
    })
}
