//! File systems that lie, fail and hang: one of our own, by FUSE.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry,
    ReplyOpen, Request,
};

use crate::ground::{TMPFS, among};
use crate::scratch::{Scratch, bytes, each, signal};

/// Its files: what they say their size is, and how many bytes they have.
const FILES: [(&str, u64, usize); 5] = [
    ("breaks", 3_000_000, 1_500_000),
    ("claims-less", 0, 400_000),
    // Not so many that it would be read through a ring: Linux 6.18 then says that a read across the
    // end of such a file was a full one, and fills it up with zeros.
    ("claims-more", 1_000_000, 400_000),
    ("good", 2_000_000, 2_000_000),
    ("hangs", 100, 100),
];

/// A directory of [`FILES`]. Reads of the last one are handed out, to be answered or not.
struct Troubled {
    hanging: Sender<ReplyData>,
}

const NOT_LONG: Duration = Duration::from_secs(1);

fn attributes(inode: INodeNo) -> Option<FileAttr> {
    let number = u64::from(inode);
    let (kind, size) = match usize::try_from(number).ok()?.checked_sub(2) {
        None if number == 1 => (FileType::Directory, 0),
        None => return None,
        Some(index) => (FileType::RegularFile, FILES.get(index)?.1),
    };
    Some(FileAttr {
        ino: inode,
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o755,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

impl Filesystem for Troubled {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let index = FILES.iter().position(|(known, ..)| name == *known);
        match index.and_then(|index| attributes(INodeNo(index as u64 + 2))) {
            Some(found) => reply.entry(&NOT_LONG, &found, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(inode) {
            Some(found) => reply.attr(&NOT_LONG, &found),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // So that the kernel believes no size.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let index = usize::try_from(u64::from(inode) - 2).expect("small");
        let (name, _, has) = FILES[index];
        let start = usize::try_from(offset).expect("small").min(has);
        if name == "hangs" {
            // Who no longer listens lets it go, which answers it.
            let _gone = self.hanging.send(reply);
        } else if name == "breaks" && start == has {
            reply.error(Errno::EIO);
        } else {
            let end = has.min(start + size as usize);
            reply.data(&contents(name, has)[start..end]);
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let skipped = usize::try_from(offset).expect("small");
        for (index, (name, ..)) in FILES.iter().enumerate().skip(skipped) {
            let number = index as u64;
            if reply.add(INodeNo(number + 2), number + 1, FileType::RegularFile, name) {
                break;
            }
        }
        reply.ok();
    }
}

fn contents(name: &str, has: usize) -> Vec<u8> {
    bytes(has, name.len() as u64)
}

/// Mounts it. Nothing where that cannot be; and the reads that hang.
fn mount(test: &str, at: &Path) -> Option<(BackgroundSession, Receiver<ReplyData>)> {
    fs::create_dir_all(at).expect("made");
    let (hanging, hung) = channel();
    match fuser::spawn_mount(Troubled { hanging }, at, &Config::default()) {
        Ok(session) => Some((session, hung)),
        Err(error) => {
            skip(test, &error);
            None
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn skip(test: &str, error: &std::io::Error) {
    println!("SKIP {test}: no FUSE in this kernel, or no privilege: {error}");
}

/// Runs a test in a directory beside the file system.
fn beside(test: &str, body: impl Fn(&Scratch, &str, &Receiver<ReplyData>)) {
    among(test, &[TMPFS], |place| {
        let troubled = place.join("troubled");
        let Some((session, hung)) = mount(test, &troubled) else {
            return;
        };
        each(|scratch| body(scratch, troubled.to_str().expect("text"), &hung));
        session.umount_and_join().expect("nobody uses it");
    });
}

#[test]
fn what_breaks_is_told_and_what_lies_is_read_to_its_end() {
    let test = "fuse::what_breaks_is_told_and_what_lies_is_read_to_its_end";
    beside(test, |scratch, from, _| {
        for options in [
            "-r",
            "-r --fsync",
            "-r --sparse=always",
            "-r --direct",
            "-r --resume",
        ] {
            let said = scratch.fails(&format!("{options} --exclude hangs {from} to"));
            let line = format!("annulet-cp: cannot read '{from}/breaks': Input/output error");
            assert!(said.starts_with(&line), "{options}: {said}");
            assert_eq!(said.lines().count(), 1, "{options}: {said}");
            assert!(!scratch.at("to/breaks").exists(), "{options}");
            for (name, _, has) in &FILES[1..4] {
                let copy = fs::read(scratch.at("to").join(name)).expect("copied");
                let want = contents(name, *has);
                assert!(copy == want, "{options}: {name}, {} bytes", copy.len());
            }
            if !options.contains("resume") {
                scratch.has_no_leftovers();
            }
            fs::remove_dir_all(scratch.at("to")).expect("removed");
        }
    });
}

#[test]
fn a_copy_whose_read_hangs_ends_as_soon_as_the_kernel_lets_it() {
    let test = "fuse::a_copy_whose_read_hangs_ends_as_soon_as_the_kernel_lets_it";
    beside(test, |scratch, from, hung| {
        for signals in [&["INT"][..], &["INT", "TERM"]] {
            let mut child = scratch.start(&format!("-r --exclude breaks {from} to"));
            let reply = hung.recv().expect("it reads");
            for name in signals {
                signal(&child, name);
            }
            let mut said = BufReader::new(child.stderr.take().expect("piped"));
            let mut line = String::new();
            said.read_line(&mut line).expect("text");
            assert!(line.starts_with("annulet-cp: stopping"), "it heard: {line}");
            // The kernel ends no read that it has handed over, not even for SIGKILL.
            assert!(child.try_wait().expect("asked").is_none());
            let answered = Instant::now();
            reply.error(Errno::EIO);
            let code = child.wait().expect("it ends").code();
            assert!([Some(130), Some(143)].contains(&code), "{code:?}");
            assert!(answered.elapsed() < Duration::from_secs(2));
            for (name, _, has) in &FILES[1..4] {
                let copy = fs::read(scratch.at("to").join(name)).ok();
                assert!(
                    copy.is_none_or(|copy| copy == contents(name, *has)),
                    "{name}"
                );
            }
            if signals.len() == 1 {
                assert!(!scratch.at("to/hangs").exists());
                scratch.has_no_leftovers();
            }
            fs::remove_dir_all(scratch.at("to")).expect("removed");
        }
    });
}
