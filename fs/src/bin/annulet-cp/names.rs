//! Names in what is said: on one line each, whatever bytes are in them.
//!
//! In text a name stands as a shell would take it back, so that it can be copied from the screen:
//! `'plain'`, `'it'\''s'`, and what is no printable text as `'new'$'\n''line'`. In JSON it is a
//! string, and where its bytes are not UTF-8 (JSON has no other text) they stand beside it in
//! hexadecimal.

use std::fmt::{self, Write};
use std::path::Path;

/// A name in quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a>(pub(crate) &'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('\'')?;
        for chunk in self.0.as_os_str().as_encoded_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\'' => f.write_str("'\\''")?,
                    '\n' => f.write_str("'$'\\n''")?,
                    '\t' => f.write_str("'$'\\t''")?,
                    c if is_unprintable(c) => {
                        let mut bytes = [0; 4];
                        escape(f, c.encode_utf8(&mut bytes).as_bytes())?;
                    }
                    c => f.write_char(c)?,
                }
            }
            escape(f, chunk.invalid())?;
        }
        f.write_char('\'')
    }
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for byte in bytes {
        write!(f, "'$'\\{byte:03o}''")?;
    }
    Ok(())
}

/// Control characters, and those that turn the direction of text or show nothing.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The bytes of a name in hexadecimal, if they are not UTF-8.
pub(crate) fn hexadecimal(name: &Path) -> Option<String> {
    if name.to_str().is_some() {
        return None;
    }
    let mut digits = String::new();
    for byte in name.as_os_str().as_encoded_bytes() {
        write!(digits, "{byte:02x}").expect("a string takes what is written to it");
    }
    Some(digits)
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::process::Command;

    use super::{Quoted, hexadecimal};

    #[test]
    fn a_shell_takes_a_quoted_name_back() {
        let names: [&[u8]; 8] = [
            b"plain",
            b"",
            b"with space",
            b"it's",
            b"new\nline\ttab",
            b"\x1b[31m\x07\x7f",
            b"half \xff\xfe\xc3",
            "ü → \u{202e}txt \u{85}".as_bytes(),
        ];
        for name in names {
            let quoted = Quoted(Path::new(OsStr::from_bytes(name))).to_string();
            assert!(!quoted.contains(|c: char| c.is_control() || c == '\u{202e}'));
            let echoed = Command::new("bash")
                .args(["-c", &format!("printf %s {quoted}")])
                .output()
                .expect("a shell");
            assert_eq!(echoed.stdout, name, "{quoted}");
        }
    }

    #[test]
    fn only_bytes_that_are_not_utf8_stand_in_hexadecimal() {
        assert_eq!(hexadecimal(Path::new("ü\n")), None);
        let name = Path::new(OsStr::from_bytes(b"a\xff\n"));
        assert_eq!(hexadecimal(name).as_deref(), Some("61ff0a"));
    }
}
