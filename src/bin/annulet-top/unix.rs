//! Unix: attaches to the socket and shows what is wanted.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::client::Client;
use crate::model::{Interval, Sort};
use crate::{Mode, screen, text};

/// Shows the program behind the socket.
pub(crate) fn run(mode: Mode, path: &Path) -> io::Result<()> {
    let plain = mode == Mode::Once || !io::stdout().is_terminal();
    if mode == Mode::Screen && !plain {
        return screen::run(path);
    }
    let mut client = Client::connect(path)?;
    let mut out = io::stdout().lock();
    if mode == Mode::Json {
        return out.write_all(client.json()?.as_bytes());
    }
    let interval = Interval::since_start(&client.snapshot()?);
    let text = text::plain(&interval, Sort::Busy);
    out.write_all(text.as_bytes())
}
