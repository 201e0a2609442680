//! Elements of XML, one after the other: indented, escaped, without what XML 1.0 forbids, and none that is empty.
//!
//! Called by the rest of the e-invoice, which knows names and order. Only memory is written to.

use std::io;

use bigdecimal::BigDecimal;
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

/// An XML document in the making.
pub(super) struct Xml {
    writer: Writer<Vec<u8>>,
    currency: &'static str,
}

impl Xml {
    /// Begins a document whose amounts are in one currency.
    pub fn new(currency: &'static str) -> io::Result<Self> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        Ok(Self { writer, currency })
    }

    /// Writes an element that holds others.
    pub fn element(&mut self, name: &'static str, content: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.root(name, &[], content)
    }

    /// Writes an element with attributes that holds others.
    pub fn root(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &'static str)],
        content: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.writer.write_event(Event::Start(start))?;
        content(self)?;
        self.writer.write_event(Event::End(BytesEnd::new(name)))
    }

    /// Writes an element of text, unless the text is blank.
    pub fn text(&mut self, name: &'static str, text: &str) -> io::Result<()> {
        self.leaf(BytesStart::new(name), text)
    }

    /// Writes an amount of the document's currency.
    pub fn amount(&mut self, name: &'static str, amount: &BigDecimal) -> io::Result<()> {
        let start = BytesStart::new(name).with_attributes([("currencyID", self.currency)]);
        self.leaf(start, &amount.to_plain_string())
    }

    /// Writes how many pieces: UNECE recommendation 20 calls what has no unit `C62`.
    pub fn pieces(&mut self, name: &'static str, count: &str) -> io::Result<()> {
        self.leaf(BytesStart::new(name).with_attributes([("unitCode", "C62")]), count)
    }

    fn leaf(&mut self, start: BytesStart<'_>, text: &str) -> io::Result<()> {
        let text: String = text.chars().filter(|c| is_allowed(*c)).collect();
        if text.trim().is_empty() {
            return Ok(());
        }
        let end = start.to_end().into_owned();
        self.writer.write_event(Event::Start(start))?;
        self.writer.write_event(Event::Text(BytesText::new(text.trim())))?;
        self.writer.write_event(Event::End(end))
    }

    /// Returns the document's bytes.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = self.writer.into_inner();
        bytes.push(b'\n');
        bytes
    }
}

/// Tells whether XML 1.0 allows a character (production 2); not even escaped may others stand in a document.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_loses_what_xml_forbids() {
        let mut xml = Xml::new("EUR").expect("a document");
        xml.element("a", |xml| {
            xml.text("b", " <i>&\"'\u{0}\u{8}\u{b}\u{1f}\u{ffff}]]>🧾\u{7f} ")?;
            xml.text("empty", " \u{1}")?;
            xml.amount("c", &"-1.50".parse().expect("a decimal"))
        })
        .expect("elements");
        let text = String::from_utf8(xml.finish()).expect("utf-8");
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a>\n  <b>&lt;i&gt;&amp;&quot;&apos;]]&gt;🧾\u{7f}</b>\n  \
                        <c currencyID=\"EUR\">-1.50</c>\n</a>\n";
        assert_eq!(text, expected);
    }
}
