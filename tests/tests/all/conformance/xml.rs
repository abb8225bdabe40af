//! XML as a tree: enough to read what AWS's XML protocols answer.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The children of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// A child's text; empty where there is none.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| &child.text)
    }
}

/// The root element of a document.
pub(super) fn parse(text: &str) -> Result<Element, String> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => open.push(element(&start)?),
            Event::Empty(start) => last(&mut open)?.children.push(element(&start)?),
            Event::End(_) => {
                let done = open.pop().ok_or("an end without a start")?;
                last(&mut open)?.children.push(done);
            }
            Event::Text(part) => last(&mut open)?.text.push_str(&part),
            Event::GeneralRef(reference) => {
                let escaped = format!("&{};", &*reference);
                let meant = quick_xml::escape::unescape(&escaped).map_err(|error| error.to_string())?;
                last(&mut open)?.text.push_str(&meant);
            }
            Event::CData(part) => last(&mut open)?.text.push_str(&part),
            Event::Eof => break,
            _ => {}
        }
    }
    let mut outside = open.pop().filter(|_| open.is_empty()).ok_or("an element is not closed")?;
    if outside.children.len() == 1 { Ok(outside.children.remove(0)) } else { Err("not one root element".to_owned()) }
}

fn last(open: &mut [Element]) -> Result<&mut Element, String> {
    open.last_mut().ok_or_else(|| "an end without a start".to_owned())
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.map_err(|error| error.to_string())?;
        Ok((attribute.key.as_ref().to_owned(), attribute.value.into_owned()))
    });
    let name = start.name().as_ref().to_owned();
    Ok(Element { name, attributes: attributes.collect::<Result<_, String>>()?, ..Element::default() })
}
