//! The screen: drawn anew on each picture and each key, by a library that writes what has changed
//! only.
//!
//! A thread reads snapshots, so keys are answered while the program is slow. The terminal is given
//! back on every way out: the end of this, a panic, and the signals by which others end us.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};
use signal_hook::consts::{SIGHUP, SIGTERM};

use crate::client::Client;
use crate::model::{Interval, Snapshot, Sort};
use crate::text::{SHARD_HEADINGS, TASK_HEADINGS, shard_cells, task_cells};

/// Between two snapshots.
const PERIOD: Duration = Duration::from_secs(1);

/// Between two looks for pictures and signals, while no key is pressed.
const LOOK: Duration = Duration::from_millis(100);

/// What is on the screen.
struct Screen {
    path: PathBuf,
    interval: Option<Interval>,
    before: Option<Snapshot>,
    error: Option<String>,
    sort: Sort,
    backwards: bool,
    held: bool,
    selected: TableState,
}

/// Shows the program until the user has seen enough.
pub(crate) fn run(path: &Path) -> io::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    // If nobody serves there, it is said on a terminal that is still as it was.
    let client = Client::connect(path)?;
    let (send, pictures) = mpsc::sync_channel(1);
    let of = path.to_owned();
    thread::Builder::new()
        .name("snapshots".to_owned())
        .spawn(move || read(&of, client, &send))?;
    let mut screen = Screen {
        path: path.to_owned(),
        interval: None,
        before: None,
        error: None,
        sort: Sort::Share,
        backwards: false,
        held: false,
        selected: TableState::new(),
    };
    // This also has the terminal given back on a panic.
    let mut terminal = ratatui::try_init()?;
    let result = (|| {
        while !ended.load(Ordering::Relaxed) {
            terminal.draw(|frame| screen.draw(frame))?;
            if !screen.wait(&pictures, &ended)? {
                break;
            }
        }
        Ok(())
    })();
    ratatui::try_restore()?;
    result
}

/// Reads snapshots for as long as anybody takes them, and comes back to a program that was away.
fn read(path: &Path, client: Client, send: &SyncSender<io::Result<Snapshot>>) {
    let mut client = Ok(client);
    loop {
        let picture = match &mut client {
            Ok(client) => client.snapshot(),
            Err(_) => Err(io::Error::other("nobody listens there any more")),
        };
        let failed = picture.is_err();
        if send.send(picture).is_err() {
            return;
        }
        thread::sleep(PERIOD);
        if failed {
            client = Client::connect(path);
        }
    }
}

impl Screen {
    /// Waits for something that changes the screen. False if it is to be left.
    fn wait(
        &mut self,
        pictures: &Receiver<io::Result<Snapshot>>,
        ended: &AtomicBool,
    ) -> io::Result<bool> {
        loop {
            if let Ok(picture) = pictures.try_recv() {
                self.take(picture);
                return Ok(true);
            }
            if ended.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if !event::poll(LOOK)? {
                continue;
            }
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => return Ok(self.key(key)),
                Event::Resize(..) => return Ok(true),
                _ => {}
            }
        }
    }

    fn take(&mut self, picture: io::Result<Snapshot>) {
        match picture {
            Ok(mut now) => {
                self.error = None;
                if self.held {
                    return;
                }
                self.interval = Some(match &self.before {
                    Some(before) => {
                        now.keep(before);
                        Interval::between(before, &now)
                    }
                    None => Interval::since_start(&now),
                });
                self.before = Some(now);
            }
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    /// Answers a key. False if the screen is to be left.
    fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return false,
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Up | KeyCode::Char('k') => self.selected.scroll_up_by(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected.scroll_down_by(1),
            KeyCode::PageUp => self.selected.scroll_up_by(10),
            KeyCode::PageDown => self.selected.scroll_down_by(10),
            KeyCode::Home => self.selected.select_first(),
            KeyCode::End => self.selected.select_last(),
            KeyCode::Right | KeyCode::Char('s') => self.sort = self.sort.moved(1),
            KeyCode::Left => self.sort = self.sort.moved(-1),
            KeyCode::Char('r') => self.backwards = !self.backwards,
            KeyCode::Char(' ') => self.held = !self.held,
            _ => {}
        }
        true
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let Some(interval) = &self.interval else {
            let text = self.error.as_deref().unwrap_or("waiting for an answer");
            frame.render_widget(Paragraph::new(text), frame.area());
            return;
        };
        let shards = shard_cells(interval);
        let stuck: Vec<Line<'_>> = interval
            .shards
            .iter()
            .filter_map(|shard| {
                let text = format!("{} does not answer: {}", shard.name, shard.stuck.as_ref()?);
                Some(Line::styled(text, Style::new().fg(Color::Red)))
            })
            .collect();
        let rows = |lines: usize| Constraint::Length(u16::try_from(lines).unwrap_or(u16::MAX));
        let areas = Layout::vertical([
            Constraint::Length(1),
            // However many shards there are, the tasks keep some lines.
            rows((shards.len() + 1).min(usize::from(frame.area().height / 2))),
            rows(stuck.len()),
            Constraint::Length(1),
            Constraint::Min(3),
            Constraint::Length(1),
        ])
        .split(frame.area());
        let title = format!(
            "annulet-top  process {}  {} shards  {} tasks{}",
            interval.process,
            interval.shards.len(),
            interval.tasks.len(),
            if self.held { "  HELD" } else { "" },
        );
        frame.render_widget(Line::styled(title, Style::new().bold()), areas[0]);
        let table = shard_table(interval, shards);
        frame.render_widget(table, areas[1]);
        frame.render_widget(Paragraph::new(stuck), areas[2]);
        let tasks = task_cells(interval, self.sort, self.backwards);
        let table = task_table(tasks, self.sort);
        frame.render_stateful_widget(table, areas[4], &mut self.selected);
        self.footer(frame, areas[5]);
    }

    fn footer(&self, frame: &mut Frame<'_>, area: Rect) {
        let line = match &self.error {
            Some(error) => {
                let text = format!("{}: {error}; trying again", self.path.display());
                Line::styled(text, Style::new().fg(Color::Red))
            }
            None => Line::styled(
                "q quit  ↑↓ move  ←→ or s sort  r reverse  space hold",
                Style::new().add_modifier(Modifier::DIM),
            ),
        };
        frame.render_widget(line, area);
    }
}

/// Who is busy for most of the time stands out.
fn heat(share: f64) -> Style {
    if share >= 0.9 {
        Style::new().fg(Color::Red)
    } else if share >= 0.5 {
        Style::new().fg(Color::Yellow)
    } else {
        Style::new()
    }
}

fn shard_table(interval: &Interval, cells: Vec<[String; 9]>) -> Table<'static> {
    let rows = cells
        .into_iter()
        .zip(&interval.shards)
        .map(|(cells, shard)| {
            let style = if shard.stuck.is_some() {
                Style::new().fg(Color::Red)
            } else {
                heat(shard.utilisation)
            };
            Row::new(cells).style(style)
        });
    // The name gives way last, and takes what is left over.
    let widths = [
        Constraint::Min(10),
        Constraint::Length(6),
        Constraint::Length(5),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(16),
        Constraint::Length(16),
        Constraint::Length(16),
        Constraint::Length(6),
    ];
    let headings = Row::new(SHARD_HEADINGS).style(Style::new().reversed());
    Table::new(rows, widths).header(headings)
}

fn task_table(cells: Vec<[String; 9]>, sort: Sort) -> Table<'static> {
    let rows = cells.into_iter().map(Row::new);
    let widths = [
        Constraint::Length(7),
        Constraint::Fill(3),
        Constraint::Length(10),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Fill(2),
        Constraint::Fill(3),
    ];
    let headings = TASK_HEADINGS.map(|heading| {
        if heading == sort.heading() {
            Cell::new(format!("{heading}*")).style(Style::new().bold())
        } else {
            Cell::new(heading)
        }
    });
    let headings = Row::new(headings).style(Style::new().reversed());
    Table::new(rows, widths)
        .header(headings)
        .row_highlight_style(Style::new().reversed())
}
