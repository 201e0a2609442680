//! Messages of a file: a mailbox (mbox) with any number, or one message by itself (`.eml`).
//!
//! Called by `billrunner mail bounces`. Only the first [`MAX_REPORT_BYTES`] of a message are kept; a mailbox is read one
//! message at a time.

use std::io::{self, BufRead, Read};

use mail_parser::mailbox::mbox::MessageIterator;

use super::delivery_report::MAX_REPORT_BYTES;

/// What a mailbox begins each message with.
const SEPARATOR: &[u8] = b"From ";

/// Returns the messages of a file, in their order.
///
/// # Errors
/// When the file cannot be read; each message says so for itself.
pub fn messages_of<'a>(mut file: impl BufRead + 'a) -> io::Result<Box<dyn Iterator<Item = io::Result<Vec<u8>>> + 'a>> {
    if file.fill_buf()?.starts_with(SEPARATOR) {
        let messages = MessageIterator::new(file).map(|message| {
            let mut content = message?.unwrap_contents();
            content.truncate(MAX_REPORT_BYTES);
            Ok(content)
        });
        return Ok(Box::new(messages));
    }
    let mut content = Vec::new();
    file.take(u64::try_from(MAX_REPORT_BYTES).unwrap_or(u64::MAX)).read_to_end(&mut content)?;
    Ok(Box::new(std::iter::once(Ok(content))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Vec<String> {
        let messages = messages_of(file.as_bytes()).expect("a file");
        messages.map(|message| String::from_utf8(message.expect("a message")).expect("text")).collect()
    }

    #[test]
    fn a_mailbox_has_many_messages_and_other_files_have_one() {
        let mailbox = "From MAILER-DAEMON Thu Sep  3 10:00:00 2026\nSubject: a\n\n>From here\n\n\
                       From ana@x.example Thu Sep  3 10:00:01 2026\nSubject: b\n\nbye\n";
        assert_eq!(read(mailbox), ["Subject: a\n\nFrom here\n\n", "Subject: b\n\nbye\n"]);
        assert_eq!(read("Subject: a\n\nFrom here\n"), ["Subject: a\n\nFrom here\n"]);
        assert_eq!(read(""), [""]);
    }

    #[test]
    fn a_long_message_is_cut_off() {
        let long = format!("Subject: a\n\n{}", "x".repeat(2 * MAX_REPORT_BYTES));
        assert_eq!(read(&long)[0].len(), MAX_REPORT_BYTES);
        assert_eq!(read(&format!("From x Thu Sep  3 10:00:00 2026\n{long}"))[0].len(), MAX_REPORT_BYTES);
    }
}
