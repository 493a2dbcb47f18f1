//! Why a payload is no JSON, in the words of the parser that Lambda's front end uses (Jackson).

/// How much of a payload a message quotes, in bytes.
const QUOTED: usize = 500;
/// How deep a payload may nest before the reason is not looked for further.
const DEEPEST: usize = 500;

/// The reason, with its place; `None` where this finds none.
pub(crate) fn fault(payload: &[u8]) -> Option<String> {
    let mut scanner = Scanner { bytes: payload, at: 0, open: Vec::new() };
    let (words, at) = scanner.document().err()?;
    Some(format!("{words}\n at {}", place(payload, at)))
}

/// `[Source: (byte[])"{no"; line: 1, column: 3]`.
fn place(payload: &[u8], at: usize) -> String {
    let before = payload.get(..at.min(payload.len())).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    let quoted = String::from_utf8_lossy(payload.get(..QUOTED).unwrap_or(payload));
    let more = match payload.len().saturating_sub(QUOTED) {
        0 => String::new(),
        more => format!("[truncated {more} bytes]"),
    };
    format!("[Source: (byte[])\"{quoted}\"{more}; line: {line}, column: {column}]")
}

/// The words and the place behind what is wrong.
type Fault = (String, usize);

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The objects and lists that are open, with where they began.
    open: Vec<(bool, usize)>,
}

const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        self.value()?;
        while let Some((is_object, _)) = self.open.last().copied() {
            if self.open.len() > DEEPEST {
                return Ok(());
            }
            let close = if is_object { b'}' } else { b']' };
            match self.next()? {
                byte if byte == close => {
                    self.open.pop();
                }
                b',' if is_object => self.entry()?,
                b',' => self.value()?,
                byte @ (b'}' | b']') => {
                    let began = place(self.bytes, self.open.last().map_or(0, |(_, began)| *began));
                    let (kind, close) = (if is_object { "Object" } else { "Array" }, char::from(close));
                    let words = format!(
                        "Unexpected close marker '{}': expected '{close}' (for {kind} starting at {began})",
                        char::from(byte)
                    );
                    return Err((words, self.at));
                }
                byte => {
                    let kind = if is_object { "Object" } else { "Array" };
                    return Err(
                        self.unexpected(byte, &format!("was expecting comma to separate {kind} entries"))
                    );
                }
            }
        }
        Ok(())
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn next(&mut self) -> Result<u8, Fault> {
        let byte = self.peek().ok_or_else(|| self.end())?;
        self.at += 1;
        Ok(byte)
    }

    fn end(&self) -> Fault {
        let words = match self.open.last() {
            Some((is_object, began)) => {
                let kind = if *is_object { "Object" } else { "Array" };
                let start = place(self.bytes, *began);
                format!("Unexpected end-of-input: expected close marker for {kind} (start marker at {start})")
            }
            None => "No content to map due to end-of-input".to_owned(),
        };
        (words, self.bytes.len())
    }

    fn unexpected(&self, byte: u8, wanted: &str) -> Fault {
        let shown = if byte.is_ascii_graphic() {
            format!("'{}' (code {byte})", char::from(byte))
        } else if byte < 0x20 {
            format!("(CTRL-CHAR, code {byte})")
        } else {
            return (format!("Invalid UTF-8 start byte 0x{byte:x}"), self.at);
        };
        (format!("Unexpected character ({shown}): {wanted}"), self.at)
    }

    /// A value; of an object or a list its first entry as well.
    fn value(&mut self) -> Result<(), Fault> {
        loop {
            let byte = self.next()?;
            match byte {
                b'{' => {
                    self.open.push((true, self.at - 1));
                    if self.peek() == Some(b'}') {
                        return Ok(());
                    }
                    self.name()?;
                }
                b'[' => {
                    self.open.push((false, self.at - 1));
                    if self.peek() == Some(b']') {
                        return Ok(());
                    }
                }
                b'"' => return self.text(),
                b'-' | b'0'..=b'9' => {
                    let number = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
                    self.at += self.bytes[self.at..].iter().take_while(|b| number(b)).count();
                    return Ok(());
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => return self.word(),
                b'}' | b',' => return Err(self.unexpected(byte, "expected a value")),
                b']' if self.open.last().is_some_and(|(is_object, _)| !is_object) => {
                    return Err(self.unexpected(byte, "expected a value"));
                }
                _ => return Err(self.unexpected(byte, &format!("expected a valid value {VALUES}"))),
            }
            if self.open.len() > DEEPEST {
                return Ok(());
            }
        }
    }

    /// A name and its value.
    fn entry(&mut self) -> Result<(), Fault> {
        self.name()?;
        self.value()
    }

    fn name(&mut self) -> Result<(), Fault> {
        match self.next()? {
            b'"' => self.text()?,
            byte => return Err(self.unexpected(byte, "was expecting double-quote to start field name")),
        }
        match self.next()? {
            b':' => Ok(()),
            byte => Err(self.unexpected(byte, "was expecting a colon to separate field name and value")),
        }
    }

    fn word(&mut self) -> Result<(), Fault> {
        let begin = self.at - 1;
        let part = |b: &u8| b.is_ascii_alphanumeric() || b"_$".contains(b);
        self.at += self.bytes[self.at..].iter().take_while(|b| part(b)).count();
        match &self.bytes[begin..self.at] {
            b"true" | b"false" | b"null" => Ok(()),
            word => {
                let word = String::from_utf8_lossy(word.get(..256).unwrap_or(word));
                Err((format!("Unrecognized token '{word}': was expecting {VALUES}"), self.at))
            }
        }
    }

    /// The rest of a text.
    fn text(&mut self) -> Result<(), Fault> {
        loop {
            let Some(byte) = self.bytes.get(self.at).copied() else {
                let words = "Unexpected end-of-input: was expecting closing quote for a string value";
                return Err((words.to_owned(), self.bytes.len()));
            };
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => self.at += 1,
                0..0x20 => {
                    let words = format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {byte})): has to be escaped using backslash to be included in string value"
                    );
                    return Err((words, self.at));
                }
                0x80.. => self.character(byte)?,
                _ => {}
            }
        }
    }

    /// The rest of a character of several bytes.
    fn character(&mut self, first: u8) -> Result<(), Fault> {
        let more = match first {
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            _ => return Err((format!("Invalid UTF-8 start byte 0x{first:x}"), self.at)),
        };
        for _ in 0..more {
            match self.bytes.get(self.at) {
                Some(0x80..=0xbf) => self.at += 1,
                Some(byte) => return Err((format!("Invalid UTF-8 middle byte 0x{byte:x}"), self.at + 1)),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_as_jackson_does() {
        for (payload, words, column) in [
            (
                &b"{no"[..],
                "Unexpected character ('n' (code 110)): was expecting double-quote to start field name",
                3,
            ),
            (b"nope", &format!("Unrecognized token 'nope': was expecting {VALUES}"), 5),
            (
                b"{\"a\" 1}",
                "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
                7,
            ),
            (
                b"[1 2]",
                "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries",
                5,
            ),
            (b"\"a", "Unexpected end-of-input: was expecting closing quote for a string value", 3),
            (b"{\"a\": \"\x80\"}", "Invalid UTF-8 start byte 0x80", 9),
            (b"\"\xc3x\"", "Invalid UTF-8 middle byte 0x78", 4),
            (b"{\"a\": }", "Unexpected character ('}' (code 125)): expected a value", 8),
        ] {
            let shown = String::from_utf8_lossy(payload);
            let expected = format!("{words}\n at [Source: (byte[])\"{shown}\"; line: 1, column: {column}]");
            assert_eq!(fault(payload), Some(expected));
        }
        let open = fault(b"{").unwrap();
        assert!(
            open.starts_with(
                "Unexpected end-of-input: expected close marker for Object (start marker at [Source:"
            ),
            "{open}"
        );
        assert_eq!(fault(br#" {"a": [1, {"b": null}, "x\"y", -1.5e3, {}, []]} "#), None);
    }

    #[test]
    fn whatever_comes_ends() {
        for bad in [&b""[..], b"\\", b"\"\\", b"\xff", b"[", &[b'['; 100_000], &[b'{'; 1000], b"\"\xf0\x9f"] {
            let _ = fault(bad);
        }
    }
}
