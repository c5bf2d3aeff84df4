//! Everything at once, by lot: operations are started, polled, dropped and cancelled in any order
//! on a kernel that has bad days, and in the end everything must have come out right.
//!
//! One run is a number of episodes, each with a seed of its own, half of them the same in every run
//! and half of them new. `ANNULET_TEST_SEED=n` repeats the one that failed.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::post::Post;
use super::scene::{Door, Leases, Line, PAGE_BYTES, Page, nop, release};
use super::support::{Rig, Task, everything, fd};
use crate::driver::uring::sim::Faults;
use crate::driver::uring::sim::random::Random;
use crate::driver::{Feature, Mask};

const EPISODES: u64 = if cfg!(miri) { 2 } else { 240 };
const STEPS: u64 = if cfg!(miri) { 150 } else { 1000 };

/// Operations at once.
const TASKS_MAX: usize = 30;

/// Says which seed it was if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with ANNULET_TEST_SEED={}", self.0);
        }
    }
}

struct Episode {
    rig: Rig,
    random: Random,
    tasks: Vec<Task<()>>,
    lines: Vec<Rc<Line>>,
    door: Rc<Door>,
    page: Rc<Page>,
    post: Rc<Post>,
    leases: Leases,
    buffers: u16,
    lines_made: u64,
}

impl Episode {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(!seed);
        let sizes = (random.pick(&[1, 2, 4, 16]), random.pick(&[1, 2, 8, 64]));
        let faults = random.pick(&[Faults::MANY, Faults::MANY, Faults::NONE]);
        let single = Mask::NONE.with(Feature::Multishot);
        let mask = random.pick(&[everything(), everything(), everything().without(single)]);
        let buffers = random.pick(&[2, 8, 64, 128]);
        let rig = Rig::with_buffers(seed, sizes, faults, mask, buffers);
        if random.chance(300) {
            rig.world.post_eagerly();
        }
        let (door, page) = (Door::new(&rig), Page::new(&rig, 1));
        let post = Post::new(&rig, 2);
        let mut this = Self {
            rig,
            random,
            tasks: Vec::new(),
            lines: Vec::new(),
            door,
            page,
            post,
            leases: Leases::default(),
            buffers,
            lines_made: 0,
        };
        for _ in 0..4 {
            this.add_line();
        }
        this
    }

    fn add_line(&mut self) {
        self.lines_made += 1;
        let line = Line::new(&self.rig, 100 + self.lines_made);
        self.lines.push(line);
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..30 => self.start(),
            30..37 => self.drop_one(),
            37..44 => self.cancel_one(),
            44..56 => self.happen(),
            56..60 => release(&self.leases, &self.rig.memory),
            60..80 => self.park(Some(Duration::ZERO)),
            80..97 => {
                let micros = self.random.below(50);
                self.park(Some(Duration::from_micros(micros)));
            }
            97 => {
                self.rig.driver.unparker().unpark();
                self.park(None);
            }
            _ => self.poll_elsewhere(),
        }
    }

    fn park(&mut self, timeout: Option<Duration>) {
        self.rig.driver.park(timeout).expect("the ring works");
        self.run();
    }

    /// Polls whoever was woken.
    fn run(&mut self) {
        let mut place = 0;
        while place < self.tasks.len() {
            if self.tasks[place].run().is_some() {
                self.tasks.swap_remove(place);
            } else {
                place += 1;
            }
        }
    }

    fn start(&mut self) {
        if self.tasks.len() >= TASKS_MAX {
            return;
        }
        let bytes = 1 + self.random.index(100);
        let offset = self.random.below(PAGE_BYTES + 10);
        let line = Rc::clone(&self.lines[self.random.index(self.lines.len())]);
        let post = Rc::clone(&self.post);
        let task = match self.random.below(21) {
            0..3 => line.receive(bytes),
            3..5 => line.receive_many(&self.leases),
            5 => line.receive_inline(),
            6 => line.send(bytes),
            7 => Some(line.ready()),
            8 => Some(line.connect()),
            9 => Some(self.page.read(offset, bytes)),
            10 => Some(self.page.write(offset, bytes)),
            11 if self.random.chance(300) => Some(self.page.sync()),
            11 => Some(nop(&self.rig.driver)),
            12 => Some(self.door.accept()),
            13 => line.send_zc(bytes),
            14 => line.send_vectored(bytes),
            15..17 => post.receive(bytes),
            17 => post.receive_many(),
            18 => post.send(bytes),
            19 => Some(self.page.splice(offset, bytes as u64)),
            _ => Some(self.door.accept_many()),
        };
        if let Some(mut task) = task
            && (self.random.chance(20) || task.run().is_none())
        {
            self.tasks.push(task);
        }
    }

    fn drop_one(&mut self) {
        if !self.tasks.is_empty() {
            let place = self.random.index(self.tasks.len());
            drop(self.tasks.swap_remove(place));
        }
        // A stream with a gap says nothing any more: another takes its place.
        if let Some(place) = self.lines.iter().position(|line| line.gap.get()) {
            self.lines.swap_remove(place).check_sent(&self.rig);
            self.add_line();
        }
    }

    fn cancel_one(&mut self) {
        if !self.tasks.is_empty() {
            let place = self.random.index(self.tasks.len());
            if self.tasks[place].cancel().is_some() {
                self.tasks.swap_remove(place);
            }
        }
    }

    fn poll_elsewhere(&mut self) {
        if !self.tasks.is_empty() {
            let place = self.random.index(self.tasks.len());
            if self.tasks[place].poll_elsewhere().is_some() {
                self.tasks.swap_remove(place);
            }
        }
    }

    /// Something happens outside.
    fn happen(&mut self) {
        let place = self.random.index(self.lines.len());
        let number = fd(&*self.lines[place].socket);
        match self.random.below(50) {
            0 => {
                self.rig.world.end(number);
                self.replace_line(place);
            }
            1 => {
                self.rig.world.reset(number);
                self.replace_line(place);
            }
            2..8 => self.rig.world.connect_to(fd(&*self.door.socket)),
            40.. => {
                let (bytes, with_fd) = (1 + self.random.index(80), self.random.chance(300));
                self.rig.world.post(fd(&*self.post.socket), bytes, with_fd);
            }
            _ => {
                let bytes = 1 + self.random.below(300);
                self.rig.world.arrive(number, bytes);
            }
        }
    }

    /// A stream that has ended is left to those who use it.
    fn replace_line(&mut self, place: usize) {
        self.lines.swap_remove(place);
        self.add_line();
    }

    /// All streams end, the rest is cancelled, and every task must come to its end.
    fn run_down(&mut self) {
        for line in &self.lines {
            self.rig.world.end(fd(&*line.socket));
        }
        let mut ended = std::mem::take(&mut self.tasks);
        ended.retain_mut(|task| task.cancel().is_none());
        self.tasks = ended;
        for _ in 0..3000 {
            while !self.leases.borrow().is_empty() {
                release(&self.leases, &self.rig.memory);
            }
            if self.tasks.is_empty() && self.rig.world.operations() == 0 {
                return self.check_buffers();
            }
            self.park(Some(Duration::from_millis(1)));
        }
        let names: Vec<_> = self.tasks.iter().map(|task| task.name).collect();
        panic!(
            "never ended: {names:?} and what was dropped, {} in flight; {:?}",
            self.rig.world.operations(),
            self.rig.world.complaints()
        );
    }

    /// With nothing in flight and no lease held, every buffer has come back.
    fn check_buffers(&mut self) {
        self.park(Some(Duration::ZERO));
        // Of a larger pool the driver keeps some to itself.
        if self.buffers <= 64 {
            assert_eq!(self.rig.world.buffers_out(), 0, "buffers never came back");
        }
    }

    /// The driver ends first, and then every operation has ended with it.
    fn shut_down_first(&mut self) {
        let left = self.rig.driver.shut_down(Duration::from_secs(20));
        assert_eq!(left, 0, "operations left");
        self.run();
        let names: Vec<_> = self.tasks.iter().map(|task| task.name).collect();
        assert!(names.is_empty(), "not ended by the shutdown: {names:?}");
    }

    fn end(mut self) {
        match self.random.below(3) {
            0 => self.run_down(),
            1 => self.shut_down_first(),
            _ => {}
        }
        self.tasks.clear();
        let left = self.rig.driver.shut_down(Duration::from_secs(20));
        assert_eq!(left, 0, "operations left");
        for line in &self.lines {
            line.check_sent(&self.rig);
        }
        self.door.check(&self.rig);
        self.post.check(&self.rig);
        while !self.leases.borrow().is_empty() {
            release(&self.leases, &self.rig.memory);
        }
        let Self {
            rig,
            lines,
            door,
            page,
            post,
            ..
        } = self;
        drop((lines, door, page, post));
        rig.shut_down();
    }
}

fn run(seed: u64) {
    let note = Seed(seed);
    let mut episode = Episode::new(seed);
    for _ in 0..STEPS {
        episode.step();
    }
    episode.end();
    drop(note);
}

#[test]
fn whatever_is_dropped_or_cancelled_on_whatever_kernel_comes_out_right() {
    if let Ok(seed) = std::env::var("ANNULET_TEST_SEED") {
        return run(seed.parse().expect("a number"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let fresh = u64::from(now.subsec_nanos()) << 16;
    for episode in 0..EPISODES / 2 {
        run(episode);
        run(fresh + episode);
    }
}
