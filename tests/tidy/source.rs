//! One source file as the rules see it: its text, its code, and the blocks of its code.
//!
//! The *code* is the text with every comment and literal blanked by spaces, byte for byte. So a
//! rule that looks for a word cannot be fooled by prose or by a string, and an offset found in the
//! code is good in the text too. No parser is needed beyond this and the matching of braces.

/// One file of the project.
pub(crate) struct Source {
    /// Relative to the root of the repository, with `/` between the parts.
    pub(crate) path: String,
    /// What the file holds.
    pub(crate) text: String,
    /// The same without comments and literals.
    pub(crate) code: String,
    blocks: Vec<Block>,
}

/// What a pair of braces encloses, as far as the rules care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Module,
    Other,
}

struct Block {
    /// Where the code begins that tells what it is.
    head: usize,
    open: usize,
    close: usize,
    kind: Kind,
    test: bool,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") {
            blank(text)
        } else {
            text.to_owned()
        };
        let blocks = if path.ends_with(".rs") {
            blocks(&code)
        } else {
            Vec::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            blocks,
        }
    }

    /// The offsets at which `word` stands alone in the code.
    pub(crate) fn words(&self, word: &str) -> Vec<usize> {
        words(&self.code, word)
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.text[..offset]
            .bytes()
            .filter(|&byte| byte == b'\n')
            .count()
            + 1
    }

    /// Whether the offset is in the body of a function.
    pub(crate) fn in_function(&self, offset: usize) -> bool {
        self.around(offset)
            .any(|block| block.kind == Kind::Function)
    }

    /// Whether the offset is in code that only tests have.
    pub(crate) fn in_test(&self, offset: usize) -> bool {
        self.is_test_file() || self.around(offset).any(|block| block.test)
    }

    /// How many modules written inline are around the offset.
    pub(crate) fn inline_modules(&self, offset: usize) -> usize {
        self.around(offset)
            .filter(|block| block.kind == Kind::Module)
            .count()
    }

    /// Whether the file as a whole is a test.
    pub(crate) fn is_test_file(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path
            .split('/')
            .rev()
            .skip(1)
            .any(|folder| folder == "tests")
            || name == "tests.rs"
            || name.starts_with("loom_")
    }

    /// The type whose `impl`, or the trait whose block, is directly around the offset.
    pub(crate) fn owner(&self, offset: usize) -> Option<&str> {
        let head = self.head_around(offset)?;
        if let Some(head) = head.strip_prefix("impl") {
            let head = without_generics(head);
            let (_, of) = head.split_once(" for ").unwrap_or(("", head));
            return Some(name_at_start(of));
        }
        let (_, name) = head.split_once("trait ")?;
        Some(name_at_start(name))
    }

    /// Whether the block of a public trait is directly around the offset.
    pub(crate) fn in_public_trait(&self, offset: usize) -> bool {
        let head = self.head_around(offset);
        head.is_some_and(|head| head.starts_with("pub trait "))
    }

    /// What stands before the innermost block around the offset, without attributes.
    fn head_around(&self, offset: usize) -> Option<&str> {
        let block = self.around(offset).max_by_key(|block| block.open)?;
        let mut head = self.code[block.head..block.open].trim();
        while head.starts_with("#[") {
            let end = head.find("]\n").or_else(|| head.find("] "))?;
            head = head[end + 1..].trim_start();
        }
        Some(head)
    }

    fn around(&self, offset: usize) -> impl Iterator<Item = &Block> {
        self.blocks
            .iter()
            .filter(move |block| block.open < offset && offset < block.close)
    }
}

/// The offsets at which `word` stands in `code`, not as a part of a longer name.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let part_of_name = |byte: Option<&u8>| byte.is_some_and(|&byte| is_name(byte));
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|&at| at == 0 || !part_of_name(bytes.get(at - 1)))
        .filter(|&at| !part_of_name(bytes.get(at + word.len())))
        .collect()
}

/// The code after the generics that it begins with, if it does.
fn without_generics(code: &str) -> &str {
    if !code.starts_with('<') {
        return code.trim_start();
    }
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if !code[..at].ends_with('-') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return code[at + 1..].trim_start();
        }
    }
    ""
}

/// The name that the code begins with; a macro's variable keeps its sign.
pub(crate) fn name_at_start(code: &str) -> &str {
    let end = code.bytes().position(|byte| !is_name(byte) && byte != b'$');
    &code[..end.unwrap_or(code.len())]
}

/// Whether a byte can be part of a name.
pub(crate) fn is_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// The text with comments and literals blanked, byte for byte; line breaks stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let after_name = at > 0 && is_name(bytes[at - 1]);
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' | b'b' | b'c' if !after_name => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => char_end(text, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("characters are blanked whole or not at all")
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(bytes.len(), |length| at + length)
}

/// The end of a block comment; they nest.
fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of `r"…"`, `br#"…"#` and the like; none if this is another name that begins so.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let prefix = bytes[start..]
        .iter()
        .take_while(|byte| b"rbc".contains(byte))
        .count();
    let raw = bytes[start..start + prefix].contains(&b'r');
    let hashes = bytes[start + prefix..]
        .iter()
        .take_while(|&&byte| byte == b'#')
        .count();
    let open = start + prefix + hashes;
    if prefix > 2 || !raw || bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let length = bytes[open + 1..]
        .windows(close.len())
        .position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

/// The end of a character literal; none if the quote begins a lifetime.
fn char_end(text: &str, start: usize) -> Option<usize> {
    let mut inside = text[start + 1..].char_indices();
    let (_, first) = inside.next()?;
    if first == '\\' {
        inside.next()?;
        let (length, _) = inside.find(|&(_, char)| char == '\'')?;
        return Some(start + 1 + length + 1);
    }
    let (length, second) = inside.next()?;
    (second == '\'').then_some(start + 1 + length + 1)
}

/// Every pair of braces in the code. What one is, its *head* tells: the code from the end of the
/// statement or block before it.
fn blocks(code: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Vec<(Block, usize)> = Vec::new();
    let (mut head, mut nesting) = (0, 0_usize);
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' => nesting += 1,
            b')' | b']' => nesting = nesting.saturating_sub(1),
            b'{' => {
                open.push((block(code, head, at), nesting));
                (head, nesting) = (at + 1, 0);
            }
            b'}' => {
                if let Some((mut block, outside)) = open.pop() {
                    block.close = at;
                    found.push(block);
                    nesting = outside;
                }
                head = at + 1;
            }
            // `[u8; 4]` ends nothing.
            b';' if nesting == 0 => head = at + 1,
            _ => {}
        }
    }
    found
}

fn block(code: &str, start: usize, open: usize) -> Block {
    let head = &code[start..open];
    let names = |keyword: &str| {
        words(head, keyword).iter().any(|at| {
            let rest = head[at + keyword.len()..].trim_start();
            rest.bytes().next().is_some_and(is_name)
        })
    };
    let kind = match (names("fn"), names("mod")) {
        (true, _) => Kind::Function,
        (false, true) => Kind::Module,
        (false, false) => Kind::Other,
    };
    let negated = head.contains("not(test)");
    let test =
        kind != Kind::Other && !negated && head.contains('#') && !words(head, "test").is_empty();
    Block {
        head: start,
        open,
        close: usize::MAX,
        kind,
        test,
    }
}

mod tests {
    use super::Source;

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = concat!(
            "let a = \"unsafe \\\" unsafe\"; // unsafe\n",
            "/* unsafe /* unsafe */ unsafe */ let b = r#\"unsafe \" unsafe\"#;\n",
            "let c = ['\"', '\\'', 'é', b'\"']; fn f<'unsafe_not>() {}\n",
            "let d = br\"unsafe\"; let e = c\"unsafe\"; let r#type = 1; unsafe {}\n",
        );
        let source = Source::new("a.rs", text);
        assert_eq!(source.code.len(), text.len());
        let found = source.words("unsafe");
        assert_eq!(found.len(), 1, "{}", source.code);
        assert_eq!(source.line(found[0]), 4);
    }

    #[test]
    fn a_semicolon_in_an_array_type_does_not_end_a_head() {
        let source = Source::new("a.rs", "fn f(a: [u8; 4]) -> [u8; 2] { here }");
        assert!(source.in_function(source.words("here")[0]));
    }

    #[test]
    fn what_is_in_a_test_module_is_test_code() {
        let text = "mod a { one } #[cfg(all(test, loom))] mod t { fn f() { two } } \
                    #[cfg(not(test))] mod n { three } #[test] fn g() { four }";
        let source = Source::new("a.rs", text);
        let in_test = |word| source.in_test(source.words(word)[0]);
        assert!(!in_test("one"));
        assert!(in_test("two"));
        assert!(!in_test("three"));
        assert!(in_test("four"));
        assert_eq!(source.inline_modules(source.words("two")[0]), 1);
    }
}
