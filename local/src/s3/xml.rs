//! The XML of S3: text on its way out, small trees on their way in.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

use super::error::{Outcome, Refused};

/// The namespace of every S3 document.
pub(super) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// No body that S3 takes is nested deeper than this.
const DEEPEST: usize = 16;

/// Text as it may stand inside an element.
///
/// Control characters become character references, as on AWS: a client that lists such keys asks for `encoding-type=url`.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            c if c.is_control() => out.push_str(&format!("&#x{:x};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// `<NAME>TEXT</NAME>`, the text escaped.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// A whole document with S3's namespace on its root; `content` is XML already.
pub(super) fn document(root: &str, content: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">{content}</{root}>")
}

/// An element that was read; its attributes are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Node>,
}

impl Node {
    /// Reads one document whose root must be `root`.
    pub(super) fn parse(bytes: &[u8], root: &str) -> Outcome<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| Refused::malformed_xml("it is not UTF-8"))?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = Vec::new();
        let mut whole = None;
        let wrong = |error: &dyn std::fmt::Display| Refused::malformed_xml(&error.to_string());
        loop {
            let mut closed = None;
            match reader.read_event().map_err(|error| wrong(&error))? {
                Event::Start(start) => {
                    if open.len() >= DEEPEST {
                        return Err(Refused::malformed_xml("it is nested too deeply"));
                    }
                    open.push(Self { name: start.local_name().as_ref().to_owned(), ..Self::default() });
                }
                Event::Empty(start) => {
                    closed = Some(Self { name: start.local_name().as_ref().to_owned(), ..Self::default() });
                }
                Event::End(_) => closed = open.pop(),
                Event::Text(text) => {
                    if let Some(top) = open.last_mut() {
                        top.text.push_str(&text.xml10_content());
                    }
                }
                Event::CData(text) => {
                    if let Some(top) = open.last_mut() {
                        top.text.push_str(&text.xml10_content());
                    }
                }
                Event::GeneralRef(reference) => {
                    let c = character(&reference)?;
                    if let Some(top) = open.last_mut() {
                        top.text.push(c);
                    }
                }
                Event::DocType(_) => return Err(Refused::malformed_xml("it has a document type")),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
            if let Some(mut node) = closed {
                if !node.children.is_empty() {
                    node.text.clear();
                }
                match open.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None if whole.is_none() => whole = Some(node),
                    None => return Err(Refused::malformed_xml("it has two roots")),
                }
            }
        }
        match whole {
            Some(node) if open.is_empty() && node.name == root => Ok(node),
            Some(node) if open.is_empty() => {
                Err(Refused::malformed_xml(&format!("its root is {}, not {root}", node.name)))
            }
            _ => Err(Refused::malformed_xml("it ends too early")),
        }
    }

    /// The children of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }
}

fn character(reference: &BytesRef<'_>) -> Outcome<char> {
    match reference.resolve_char_ref() {
        Ok(Some(c)) => return Ok(c),
        Ok(None) => {}
        Err(error) => return Err(Refused::malformed_xml(&error.to_string())),
    }
    match reference.xml10_content().as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(Refused::malformed_xml(&format!("it names the unknown entity {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_being_written_and_read() {
        for key in ["a", "a & b", "<x>", "\"quoted\" 'too'", "tab\there", "bell\u{7}", "ünï/códe"] {
            let text = document("Delete", &element("Key", key));
            assert_eq!(Node::parse(text.as_bytes(), "Delete").unwrap().get("Key"), Some(key));
        }
    }

    #[test]
    fn what_is_not_the_expected_document_is_malformed() {
        let deep = "<a>".repeat(100);
        for text in ["", "<Delete>", "<Delete/><Delete/>", "<Other/>", "nonsense", "<Delete>&nbsp;</Delete>", &deep] {
            assert_eq!(Node::parse(text.as_bytes(), "Delete").unwrap_err().code, "MalformedXML", "{text}");
        }
        let doctype = "<!DOCTYPE x [<!ENTITY a \"b\">]><Delete/>";
        assert_eq!(Node::parse(doctype.as_bytes(), "Delete").unwrap_err().code, "MalformedXML");
    }
}
