//! Text as HTML.

/// Text with everything escaped, and what begins with http:// or https:// made a link; links to `here` stay in the window.
pub(super) fn link(text: &str, here: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["http://", "https://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(&escape(before));
        let end = from
            .find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`' | '\''))
            .unwrap_or(from.len());
        let (word, _) = from.split_at_checked(end).unwrap_or((from, ""));
        // What closes the sentence is not part of the address.
        let url = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}']);
        rest = from.get(url.len()..).unwrap_or_default();
        let is_here = !here.is_empty() && url.strip_prefix(here).is_some_and(|path| path.starts_with('/'));
        let window = if is_here { "" } else { " rel=\"noopener noreferrer\" target=\"_blank\"" };
        let url = escape(url);
        out.push_str(&format!("<a href=\"{url}\"{window}>{url}</a>"));
    }
    out.push_str(&escape(rest));
    out
}

pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links_and_nothing_gets_out_of_them() {
        let link = |text| link(text, "http://127.0.0.1:4600");
        assert_eq!(
            link("see https://example.com/a?b=1&c=2."),
            "see <a href=\"https://example.com/a?b=1&amp;c=2\" rel=\"noopener noreferrer\" target=\"_blank\">https://example.com/a?b=1&amp;c=2</a>."
        );
        assert_eq!(link("javascript:alert(1) <b>"), "javascript:alert(1) &lt;b&gt;");
        let hostile = link("http://x\"onclick=\"alert(1) https://y'><script>");
        assert!(!hostile.contains("<script"), "{hostile}");
        assert!(hostile.contains("<a href=\"http://x\" "), "{hostile}");
        assert_eq!(link("(http://a) http://b").matches("<a ").count(), 2);
        assert!(link("https://...").contains("</a>..."));
        assert!(link("http://127.0.0.1:4600/inbox/1").contains("inbox/1\">"));
        assert!(link("http://127.0.0.1:46001/inbox/1").contains("_blank"));
    }
}
