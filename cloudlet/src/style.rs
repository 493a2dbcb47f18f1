//! Colours, on a terminal only. Source: the NO_COLOR convention.

use std::io::IsTerminal;

fn paint(code: &str, text: &str, terminal: bool) -> String {
    let wanted = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if wanted { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// For what failed, on standard error.
pub(crate) fn error(text: &str) -> String {
    paint("1;31", text, std::io::stderr().is_terminal())
}

/// For what is missing but goes on.
pub(crate) fn warning(text: &str) -> String {
    paint("33", text, std::io::stdout().is_terminal())
}

/// For what is well.
pub(crate) fn good(text: &str) -> String {
    paint("32", text, std::io::stdout().is_terminal())
}

/// For what stands out.
pub(crate) fn strong(text: &str) -> String {
    paint("1", text, std::io::stdout().is_terminal())
}
