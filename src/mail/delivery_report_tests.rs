//! Reports as servers write them, and as an attacker might.

use proptest::prelude::*;

use super::*;

/// As Postfix writes it, with what stands in for its two parts for machines.
fn report(status: &str, returned: &str) -> String {
    format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: billing@nimbus.example\nSubject: Undelivered Mail\n\
         Auto-Submitted: auto-replied\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"9B095B5ADSN=_01\"\n\n\
         This is a MIME-encapsulated message.\n\n\
         --9B095B5ADSN=_01\nContent-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\n\
         I'm sorry to have to inform you.\n\n\
         --9B095B5ADSN=_01\nContent-Description: Delivery report\nContent-Type: message/delivery-status\n\n{status}\n\
         --9B095B5ADSN=_01\nContent-Description: Undelivered Message\n{returned}\n--9B095B5ADSN=_01--\n"
    )
}

const FAILED: &str = "Reporting-MTA: dns; mx.example\nX-Postfix-Queue-ID: 9B095B5A\nArrival-Date: Thu, 3 Sep 2026 10:00:00 +0000\n\n\
     Final-Recipient: rfc822; ana@forwarded.example\nOriginal-Recipient: rfc822;Ana@acme.example\nAction: failed\n\
     Status: 5.1.1\nRemote-MTA: dns; mx.acme.example\nDiagnostic-Code: smtp; 550 5.1.1\n    <ana@forwarded.example>: no such user\n";
const HEADERS: &str =
    "Content-Type: text/rfc822-headers\n\nFrom: billing@nimbus.example\nMessage-ID: <1@billing.example>\nSubject: x\n";
const MAIL: &str = "Content-Type: message/rfc822\n\nSubject: x\nMessage-Id: <1@billing.example>\n\nHello\n";

#[test]
fn a_report_names_the_mail_and_says_what_became_of_it() {
    for returned in [HEADERS, MAIL] {
        for text in [report(FAILED, returned), report(FAILED, returned).replace('\n', "\r\n")] {
            let read = DeliveryReport::parse(text.as_bytes()).expect("a report");
            assert_eq!(read.message_id, "<1@billing.example>");
            let expected = RecipientReport {
                action: DeliveryAction::Failed,
                status: "5.1.1".parse().ok(),
                final_recipient: "ana@forwarded.example".to_owned(),
                original_recipient: Some("Ana@acme.example".to_owned()),
                diagnostic: "smtp; 550 5.1.1 <ana@forwarded.example>: no such user".to_owned(),
            };
            assert_eq!(read.recipients, [expected]);
            assert!(
                read.recipients[0].is_about("ana@acme.example") && !read.recipients[0].is_about("ben@acme.example")
            );
        }
    }
}

#[test]
fn field_names_and_values_are_read_in_any_case_and_each_recipient_by_itself() {
    let status = "reporting-mta: dns; mx.example\n\nFINAL-RECIPIENT: RFC822; a@x.example\nACTION: Delayed (still trying)\n\
                  STATUS: 4.4.1 (no answer)\n\n\n\naction: relayed\nfinal-recipient: rfc822;<b@x.example>\nstatus: soon\n\n\
                  Final-Recipient: rfc822; c@x.example\nAction: exploded\n";
    let read = DeliveryReport::parse(report(status, HEADERS).as_bytes()).expect("a report");
    let seen: Vec<_> = read.recipients.iter().map(|one| (one.action, one.final_recipient.as_str())).collect();
    assert_eq!(seen, [(DeliveryAction::Delayed, "a@x.example"), (DeliveryAction::Relayed, "b@x.example")]);
    assert_eq!(read.recipients[0].status, "4.4.1".parse().ok());
    assert_eq!(read.recipients[1].status, None);
}

#[test]
fn a_message_that_is_no_report_is_told_apart() {
    let plain = "Subject: I am away\nMessage-ID: <2@x.example>\n\nUntil Monday.\n";
    let receipt =
        report(FAILED, HEADERS).replace("report-type=delivery-status", "report-type=disposition-notification");
    let mixed = report(FAILED, HEADERS).replace("multipart/report", "multipart/mixed");
    let no_boundary = report(FAILED, HEADERS).replace("boundary=\"9B095B5ADSN=_01\"", "boundary=\"\"");
    for text in ["", "\n\n", "no header", plain, &receipt, &mixed, &no_boundary] {
        assert_eq!(DeliveryReport::parse(text.as_bytes()), Err(NotADeliveryReport::OtherType), "{text}");
    }
    let silent = report("Reporting-MTA: dns; mx.example\n", HEADERS);
    assert_eq!(DeliveryReport::parse(silent.as_bytes()), Err(NotADeliveryReport::NoStatus));
    let nameless = report(FAILED, "Content-Type: text/rfc822-headers\n\nSubject: x\n");
    assert_eq!(DeliveryReport::parse(nameless.as_bytes()), Err(NotADeliveryReport::NoMessageId));
}

#[test]
fn a_message_id_with_a_control_character_is_none() {
    for id in ["<1@bill\0ing.example>", "<1\u{7f}@billing.example>"] {
        let returned = HEADERS.replace("<1@billing.example>", id);
        assert_ne!(returned, HEADERS);
        let read = DeliveryReport::parse(report(FAILED, &returned).as_bytes());
        assert_eq!(read, Err(NotADeliveryReport::NoMessageId), "{id:?}");
    }
}

#[test]
fn a_large_mail_that_is_returned_whole_is_cut_off_behind_what_matters() {
    let returned = format!("{MAIL}{}", "JVBERi0xLjcK".repeat(200_000));
    let read = DeliveryReport::parse(report(FAILED, &returned).as_bytes()).expect("a report");
    assert_eq!((read.message_id.as_str(), read.recipients.len()), ("<1@billing.example>", 1));
}

#[test]
fn what_a_sender_repeats_nests_or_lengthens_is_bounded() {
    let one = "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.1.1\n\n";
    let many = report(&one.repeat(1000), HEADERS);
    let read = DeliveryReport::parse(many.as_bytes()).expect("a report");
    assert!(read.recipients.len() <= MAX_RECIPIENTS + 1);

    let long =
        format!("Final-Recipient: rfc822; a@x.example\nAction: failed\nDiagnostic-Code: smtp; {}\n", "x ".repeat(9000));
    let read = DeliveryReport::parse(report(&long, HEADERS).as_bytes()).expect("a report");
    assert_eq!(read.recipients[0].diagnostic.chars().count(), MAX_DIAGNOSTIC_CHARS);

    // Each level is a message in a message: to go down there would use up a thread's stack.
    let nested = format!("{MAIL}{}", "Content-Type: message/rfc822\n\n".repeat(8000));
    for text in [report(FAILED, &nested), "Content-Type: message/rfc822\n\n".repeat(8000)] {
        let _ = DeliveryReport::parse(text.as_bytes());
    }
    let lost_among_parts =
        report(FAILED, HEADERS).replacen("--9B095B5ADSN=_01\n", &"--9B095B5ADSN=_01\n\n".repeat(MAX_PARTS + 1), 1);
    assert_eq!(DeliveryReport::parse(lost_among_parts.as_bytes()), Err(NotADeliveryReport::NoStatus));
}

#[test]
fn a_diagnostic_stays_one_line_whatever_it_holds() {
    let status =
        "Final-Recipient: rfc822; a@x.example\nAction: failed\nDiagnostic-Code: smtp; a\r\n\tb\x07\u{202e}c\u{2028}d\n";
    let read = DeliveryReport::parse(report(status, HEADERS).as_bytes()).expect("a report");
    assert_eq!(read.recipients[0].diagnostic, "smtp; a b c d");
}

fn is_bounded(content: &[u8]) -> bool {
    DeliveryReport::parse(content).is_ok_and(|read| {
        let is_short = |one: &RecipientReport| {
            let texts = [Some(&one.final_recipient), one.original_recipient.as_ref(), Some(&one.diagnostic)];
            texts
                .into_iter()
                .flatten()
                .all(|text| text.chars().count() <= MAX_ADDRESS_CHARS && !text.contains(['\r', '\n', '\0']))
        };
        read.message_id.len() <= MAX_MESSAGE_ID_CHARS + 2
            && (1..=MAX_RECIPIENTS + 1).contains(&read.recipients.len())
            && read.recipients.iter().all(is_short)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read_without_harm(content in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let read = DeliveryReport::parse(&content);
        prop_assert!(read.is_err() || is_bounded(&content));
    }

    #[test]
    fn a_report_with_bytes_changed_taken_out_and_put_in_is_read_without_harm(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..12),
        piece in prop::sample::select(vec!["\n\n", "--9B095B5ADSN=_01\n", "--9B095B5ADSN=_01--", "(((((", "\"", "=?utf-8?B?", "\0", ":", "\r"]),
    ) {
        let mut content = report(FAILED, MAIL).into_bytes();
        for (at, byte, how) in changes {
            if content.len() < 2 {
                break;
            }
            let at = at.index(content.len());
            match how {
                0 => content[at] = byte,
                1 => drop(content.remove(at)),
                2 => content.truncate(at.max(1)),
                _ => drop(content.splice(at..at, piece.bytes())),
            }
        }
        let read = DeliveryReport::parse(&content);
        prop_assert!(read.is_err() || is_bounded(&content), "{read:?}");
    }
}
