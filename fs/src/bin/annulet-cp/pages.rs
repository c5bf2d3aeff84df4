//! The manual page and the completions, made from the words of the command line.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::arguments::{Arguments, BY_DEFAULT, EXAMPLES, EXIT_CODES, SIGUSR1, USAGE};

pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "annulet-cp", &mut text);
    text
}

pub(crate) fn manual() -> Vec<u8> {
    let mut text = Vec::new();
    write(&mut text).expect("memory takes what is written to it");
    text
}

fn write(text: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(Arguments::command());
    man.render_title(text)?;
    man.render_name_section(text)?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]);
    for usage in USAGE {
        synopsis.text([bold("annulet-cp"), roman(format!(" {usage}"))]);
        synopsis.control("br", []);
    }
    synopsis.to_writer(text)?;
    man.render_description_section(text)?;
    let mut more = Roff::new();
    more.control("PP", []).text([roman(BY_DEFAULT)]);
    more.to_writer(text)?;
    man.render_options_section(text)?;
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]);
    for (code, what) in EXIT_CODES {
        rest.control("TP", [])
            .text([bold(*code)])
            .text([roman(*what)]);
    }
    rest.control("SH", ["SIGNALS"]).text([roman(SIGUSR1)]);
    rest.control("SH", ["EXAMPLES"]);
    for (command, what) in EXAMPLES {
        rest.control("TP", [])
            .text([bold(*command)])
            .text([roman(*what)]);
    }
    rest.control("SH", ["SEE ALSO"]).text([
        bold("cp"),
        roman("(1), "),
        bold("rsync"),
        roman("(1)"),
    ]);
    rest.to_writer(text)?;
    man.render_version_section(text)
}
