//! Delivery reports (RFC 3464) as a mail server writes them.

/// Writes a report of what became of a mail to one recipient.
pub fn delivery_report(message_id: &str, recipient: &str, action: &str, status: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\nTo: billing@reseller.example\nSubject: Undelivered Mail\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"=_1\"\n\n\
         --=_1\nContent-Type: text/plain\n\nI'm sorry to have to inform you.\n\n\
         --=_1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n\
         Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}\n\
         Diagnostic-Code: smtp; as the server says it\n\n\
         --=_1\nContent-Type: text/rfc822-headers\n\nMessage-ID: {message_id}\nSubject: x\n\n--=_1--\n"
    )
}
