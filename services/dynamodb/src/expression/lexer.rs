//! Words of an expression.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A letter, then letters, digits and underscores. Keywords are words too: which ones count depends on the place.
    Word,
    /// `#name`.
    Name,
    /// `:value`.
    Value,
    /// Digits without a leading zero.
    Index,
    /// One of the marks of the grammar.
    Comma,
    Open,
    Close,
    Dot,
    OpenIndex,
    CloseIndex,
    Plus,
    Minus,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// Anything else: it fits nowhere.
    Unknown,
    /// The end.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// All tokens, and the end behind them.
pub(crate) fn lexemes(text: &str) -> Vec<Lexeme> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len() / 3 + 1);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        let next = bytes.get(at + 1).copied();
        let word = |from: usize| {
            let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
            from + bytes[from..].iter().take_while(|b| part(b)).count()
        };
        let (token, end) = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'a'..=b'z' | b'A'..=b'Z' => (Token::Word, word(at)),
            b'#' if word(at + 1) > at + 1 => (Token::Name, word(at + 1)),
            b':' if word(at + 1) > at + 1 => (Token::Value, word(at + 1)),
            b'0' => (Token::Index, at + 1),
            b'1'..=b'9' => (Token::Index, at + bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count()),
            b',' => (Token::Comma, at + 1),
            b'(' => (Token::Open, at + 1),
            b')' => (Token::Close, at + 1),
            b'.' => (Token::Dot, at + 1),
            b'[' => (Token::OpenIndex, at + 1),
            b']' => (Token::CloseIndex, at + 1),
            b'+' => (Token::Plus, at + 1),
            b'-' => (Token::Minus, at + 1),
            b'=' => (Token::Equal, at + 1),
            b'<' if next == Some(b'>') => (Token::NotEqual, at + 2),
            b'<' if next == Some(b'=') => (Token::LessEqual, at + 2),
            b'<' => (Token::Less, at + 1),
            b'>' if next == Some(b'=') => (Token::GreaterEqual, at + 2),
            b'>' => (Token::Greater, at + 1),
            // A quoted text is one token, though it has no place in an expression.
            quote @ (b'"' | b'\'') => {
                let close = bytes[at + 1..].iter().position(|b| b == quote);
                (Token::Unknown, close.map_or(at + 1, |close| at + close + 2))
            }
            _ => (Token::Unknown, at + text[at..].chars().next().map_or(1, char::len_utf8)),
        };
        out.push(Lexeme { token, start, end });
        at = end;
    }
    out.push(Lexeme { token: Token::End, start: bytes.len(), end: bytes.len() });
    out
}

/// The tokens one after the other, and AWS's sentence about one that does not fit.
pub(crate) struct Tokens<'t> {
    text: &'t str,
    lexemes: Vec<Lexeme>,
    at: usize,
}

impl<'t> Tokens<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, lexemes: lexemes(text), at: 0 }
    }

    /// The token that stands next.
    pub(crate) fn peek(&self) -> Token {
        self.lexemes.get(self.at).map_or(Token::End, |lexeme| lexeme.token)
    }

    /// Its text.
    pub(crate) fn text(&self) -> &'t str {
        self.lexemes.get(self.at).map_or("", |lexeme| &self.text[lexeme.start..lexeme.end])
    }

    /// Whether a word stands next that is this keyword, in any case.
    pub(crate) fn at_keyword(&self, keyword: &str) -> bool {
        self.peek() == Token::Word && self.text().eq_ignore_ascii_case(keyword)
    }

    /// Goes on; the end stays.
    pub(crate) fn advance(&mut self) {
        if self.at + 1 < self.lexemes.len() {
            self.at += 1;
        }
    }

    /// Goes on if this token stands next.
    pub(crate) fn take(&mut self, token: Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.advance();
        }
        found
    }

    /// Goes on if this keyword stands next.
    pub(crate) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// Goes on over this token, which must stand next.
    pub(crate) fn expect(&mut self, token: Token) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.misplaced()) }
    }

    /// What AWS says about the token that stands next: it, and what is around it.
    pub(crate) fn misplaced(&self) -> String {
        let lexeme = self.lexemes.get(self.at).copied();
        let token = lexeme.map_or(Token::End, |lexeme| lexeme.token);
        let text = if token == Token::End { "<EOF>" } else { self.text() };
        let start = match self.at.checked_sub(1).and_then(|before| self.lexemes.get(before)) {
            Some(before) => before.start,
            None => lexeme.map_or(0, |lexeme| lexeme.start),
        };
        let last = self.lexemes.get(self.at + 1).filter(|after| after.token != Token::End);
        let end = match (token, last) {
            (Token::End, _) => {
                self.at.checked_sub(1).and_then(|b| self.lexemes.get(b)).map_or(start, |b| b.end)
            }
            (_, Some(after)) => after.end,
            (_, None) => lexeme.map_or(start, |lexeme| lexeme.end),
        };
        format!("Syntax error; token: \"{text}\", near: \"{}\"", &self.text[start..end])
    }
}
