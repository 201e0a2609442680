//! Makes text from outside fit for one line of a mail.
//!
//! A line break in a name would end a header and start one of the sender's choosing (and makes lettre panic); a
//! bidirectional override would show a subject that says something else than it holds.

/// Replaces each run of blanks, line breaks and control characters by one space and drops bidirectional controls.
pub fn to_one_line(text: &str) -> String {
    one_line(text, |c| is_override(c) || matches!(c, '\u{2066}'..='\u{2069}'))
}

/// Does the same for a line of our own, whose isolation marks hold names and numbers together in Arabic.
pub fn to_subject(text: &str) -> String {
    one_line(text, is_override)
}

/// Takes control characters out of a text of several lines, which no mail may hold (RFC 5321, section 4.5.2), and makes
/// every kind of line break the same.
pub fn to_lines(text: &str) -> String {
    let may_stay = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    // What our templates make is.
    if text.chars().all(|c| may_stay(&c)) {
        return text.to_owned();
    }
    text.replace("\r\n", "\n").replace('\r', "\n").chars().filter(may_stay).collect()
}

fn is_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{feff}')
}

fn one_line(text: &str, is_dropped: impl Fn(char) -> bool) -> String {
    let visible = text.chars().filter(|c| !is_dropped(*c));
    let mut line = String::with_capacity(text.len());
    let mut blank = false;
    for c in visible {
        // A no-break space belongs to what it holds together, such as an amount and its currency.
        if c != '\u{a0}' && c != '\u{202f}' && (c.is_whitespace() || c.is_control()) {
            blank = !line.is_empty();
        } else {
            if blank {
                line.push(' ');
            }
            blank = false;
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_start_a_new_line() {
        for breaking in ["\r\n", "\n", "\r", "\0", "\u{85}", "\u{2028}", "\u{b}"] {
            assert_eq!(to_one_line(&format!("Acme{breaking}Bcc: x@example.com")), "Acme Bcc: x@example.com");
        }
    }

    #[test]
    fn what_is_invisible_or_around_is_dropped() {
        assert_eq!(to_one_line("  Acme \t\u{202e}moc  SL \n"), "Acme moc SL");
        assert_eq!(to_one_line("\r\n"), "");
    }

    #[test]
    fn only_our_own_lines_keep_isolation_marks() {
        assert_eq!(to_one_line("\u{2068}Acme\u{2069}\u{202e}"), "Acme");
        assert_eq!(to_subject("\u{2068}Acme\u{2069}\u{202e}\r\nBcc: x"), "\u{2068}Acme\u{2069} Bcc: x");
    }

    #[test]
    fn a_text_keeps_its_lines_and_no_other_control_character() {
        assert_eq!(to_lines("Hola,\r\n\tAna\r\0\u{1b}\u{85}adiós\n"), "Hola,\n\tAna\nadiós\n");
    }

    #[test]
    fn no_break_spaces_stay() {
        assert_eq!(to_one_line("12,50\u{a0}EUR"), "12,50\u{a0}EUR");
    }
}
