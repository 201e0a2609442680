//! Delivery reports: what is read of one stands in it, is as long as a row may be, and holds no control character.

use billrunner::mail::{DeliveryReport, MAX_REPORT_BYTES};

/// RFC 5322, section 2.1.1, with the brackets.
const MAX_MESSAGE_ID: usize = 1_000;
const MAX_RECIPIENTS: usize = 51;
const MAX_ADDRESS_CHARS: usize = 400;
const MAX_DIAGNOSTIC_CHARS: usize = 300;
const WORDS: &[&str] = &[
    "--=_1\n",
    "--=_1--\n",
    "\n\n",
    "\r\n\r\n",
    "boundary=\"\"",
    "boundary==_1",
    "report-type=delivery-status",
    "multipart/report",
    "message/delivery-status",
    "message/rfc822",
    "text/rfc822-headers",
    "Message-ID: ",
    "<a@b>",
    "<<>>",
    "Action: failed\n",
    "Final-Recipient: rfc822; a@b\n",
    "Status: 5.1.1\n",
    "Status: 999.999.999\n",
    "Diagnostic-Code: smtp; x\n",
    " ;",
    "=?utf-8?q?=00?=",
    "=?utf-8?b?AA==?=",
    "(",
    ")",
    "%00",
    "boundary*0=\"=_\"; boundary*1=\"1\"",
];

fn check(input: &[u8]) {
    let Ok(report) = DeliveryReport::parse(input) else { return };
    let is_line = |text: &str| !text.contains(char::is_control);
    let id = &report.message_id;
    assert!(id.len() <= MAX_MESSAGE_ID && id.starts_with('<') && id.ends_with('>') && is_line(id), "{id:?}");
    assert!((1..=MAX_RECIPIENTS).contains(&report.recipients.len()));
    let read = input.get(..MAX_REPORT_BYTES).unwrap_or(input);
    let said = without_blanks(&String::from_utf8_lossy(read));
    for recipient in &report.recipients {
        assert!(is_line(&recipient.diagnostic) && recipient.diagnostic.chars().count() <= MAX_DIAGNOSTIC_CHARS);
        for address in recipient.original_recipient.iter().chain([&recipient.final_recipient]) {
            assert!(is_line(address) && address.chars().count() <= MAX_ADDRESS_CHARS, "{address:?}");
            assert!(said.contains(&without_blanks(address)), "{address:?} is not in the report");
        }
        assert!(recipient.is_about(&recipient.final_recipient));
    }
    if !input.contains(&b'\r') && input.len() < MAX_REPORT_BYTES / 2 {
        let other_ends = String::from_utf8_lossy(input).replace('\n', "\r\n");
        let lossy = DeliveryReport::parse(String::from_utf8_lossy(input).as_bytes());
        assert_eq!(
            DeliveryReport::parse(other_ends.as_bytes()),
            lossy,
            "lines end otherwise, and nothing else is other"
        );
    }
}

/// Takes out what a line is folded at, and what a line never holds.
fn without_blanks(text: &str) -> String {
    let is_kept = |c: &char| {
        !c.is_whitespace()
            && !c.is_control()
            && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(is_kept).collect()
}

#[test]
fn a_delivery_report_says_what_stands_in_it_and_no_more_than_a_row_holds() {
    fuzz!("delivery_reports", WORDS, check);
}
