//! Documents that are written by hand, but for what is between two comments: that is what was seen or measured.

use miette::{IntoDiagnostic, Result, miette};

use crate::workspace;

/// Puts `content` between the comments of that name; `command` is what makes it.
pub(crate) fn put(path: &str, name: &str, command: &str, content: &str) -> Result<()> {
    let file = workspace::root()?.join(path);
    let text = String::from_utf8(workspace::read(&file)?).into_diagnostic()?;
    let begin = format!("<!-- {name}: begin ({command}) -->\n");
    let end = format!("<!-- {name}: end -->");
    let text = replaced(&text, &begin, &end, content)
        .ok_or_else(|| miette!("{path} was expected to have {begin}{end}"))?;
    workspace::write(&file, text)
}

fn replaced(text: &str, begin: &str, end: &str, content: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{content}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_comments_is_replaced() {
        let (begin, end) = ("<!-- it: begin -->\n", "<!-- it: end -->");
        let text = format!("before\n{begin}old\n{end}\nafter\n");
        let new = format!("before\n{begin}new\n{end}\nafter\n");
        assert_eq!(replaced(&text, begin, end, "new\n"), Some(new));
        assert_eq!(replaced("no comments", begin, end, "new\n"), None);
    }
}
