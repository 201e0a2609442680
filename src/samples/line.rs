//! A row of CSV while it is written (RFC 4180).

use super::amount::Amount;

/// Bytes of whole rows, and of the one that is being written.
#[derive(Default)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
}

impl Line {
    /// Writes text that needs no quotes.
    pub(super) fn plain(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Writes any text, in quotes where it needs them.
    pub(super) fn text(&mut self, text: &str) {
        if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
            return self.plain(text);
        }
        self.bytes.push(b'"');
        for byte in text.bytes() {
            if byte == b'"' {
                self.bytes.push(b'"');
            }
            self.bytes.push(byte);
        }
        self.bytes.push(b'"');
    }

    pub(super) fn amount(&mut self, amount: Amount) {
        amount.write(&mut self.bytes);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.amount(Amount { mantissa: i64::try_from(number).unwrap_or(i64::MAX), decimals: 0 });
    }

    /// Writes 16 hexadecimal digits.
    pub(super) fn hex(&mut self, number: u64) {
        self.bytes.extend(number.to_be_bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(
            |digit| match digit {
                0..=9 => b'0' + digit,
                _ => b'a' + digit - 10,
            },
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_quotes_is_quoted() {
        let mut line = Line::default();
        for text in ["plain", "a,b", "5\" disk", "two\nlines"] {
            line.text(text);
            line.plain(";");
        }
        line.hex(0x0123_4567_89ab_cdef);
        let written = String::from_utf8(line.bytes).expect("text");
        assert_eq!(written, "plain;\"a,b\";\"5\"\" disk\";\"two\nlines\";0123456789abcdef");
    }
}
