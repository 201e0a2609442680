//! Inputs that are nearly good: files of a corpus in which some places are changed.
//!
//! Bytes at random hardly get past the first check of a reader. So words that mean something to it are put in, pieces are
//! taken out, doubled and mixed with those of other files.

use std::{fmt, fs, path::Path, process::Command};

use bolero::{Driver, ValueGenerator};

/// Places changed in one input.
const MAX_CHANGES: usize = 6;
/// A place is so long.
const MAX_PIECE: usize = 40;
/// How often a piece is repeated, as a power of two, to come near a limit now and then.
const MAX_REPEATS: u32 = 11;
/// Longer inputs are slow and find nothing more.
const MAX_BYTES: usize = 128 * 1024;
/// What is odd to every reader.
const ODD: [&str; 24] = [
    "",
    "\0",
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    " ",
    "\t",
    ",",
    "\"",
    "\"\"",
    "'",
    "<",
    "&",
    "\u{202e}",
    "\u{feff}",
    "\u{2028}",
    "é",
    "😀",
    "-1",
    "0",
    "1E60",
    "9223372036854775808",
    "x",
];

/// Bytes, shown as the command of a shell that writes them again.
pub struct Input(pub Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Quotes as numbers: shells differ on what `%b` makes of `\"`, and a `'` ends the word.
        let text = self.0.escape_ascii().to_string().replace("\\'", "\\x27").replace("\\\"", "\\x22");
        write!(f, "printf '%b' '{text}'")
    }
}

/// Makes inputs of a target's corpus.
pub struct Changed {
    files: Vec<(String, Vec<u8>)>,
    words: &'static [&'static str],
}

impl Changed {
    /// Reads the corpus of a target, which is not empty.
    pub fn new(name: &str, words: &'static [&'static str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/__fuzz__").join(name).join("corpus");
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<(String, Vec<u8>)> = entries
            .map(|entry| {
                let path = entry.expect("an entry").path();
                (path.display().to_string(), fs::read(&path).expect("a readable file"))
            })
            .collect();
        // A seed makes the same input everywhere.
        files.sort();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        Self { files, words }
    }

    /// Runs a target on every file as it is.
    pub fn replay(&self, target: fn(&[u8])) {
        for (path, bytes) in &self.files {
            println!("{path}");
            target(bytes);
        }
    }

    fn file<D: Driver>(&self, driver: &mut D) -> Option<&[u8]> {
        let (_, bytes) = self.files.get((0..self.files.len()).generate(driver)?)?;
        Some(bytes)
    }

    fn word<D: Driver>(&self, driver: &mut D) -> Option<&'static [u8]> {
        let words = [&ODD[..], self.words][usize::from(driver.produce::<bool>()?)];
        Some(words.get((0..words.len().max(1)).generate(driver)?)?.as_bytes())
    }

    /// Changes one place.
    fn change<D: Driver>(&self, driver: &mut D, bytes: &mut Vec<u8>) -> Option<()> {
        let at = (0..=bytes.len()).generate(driver)?;
        let piece = at..(at + (0..=MAX_PIECE).generate(driver)?).min(bytes.len());
        match (0_u8..8).generate(driver)? {
            0 => drop(bytes.splice(piece, self.word(driver)?.iter().copied())),
            1 => drop(bytes.splice(at..at, self.word(driver)?.iter().copied())),
            2 => {
                let token = token_at(bytes, at);
                bytes.splice(token, self.word(driver)?.iter().copied());
            }
            // Half of them ASCII: what is no UTF-8 is refused at once.
            3 => drop(bytes.splice(piece, [driver.produce::<u8>()? >> u8::from(driver.produce::<bool>()?)])),
            4 => drop(bytes.drain(piece)),
            5 => {
                let line = line_at(bytes, at);
                let again = bytes[line.clone()].to_vec();
                bytes.splice(line.end..line.end, again);
            }
            6 => {
                let other = self.file(driver)?;
                let from = (0..=other.len()).generate(driver)?;
                let until = (from + (0..=MAX_PIECE).generate(driver)?).min(other.len());
                bytes.splice(piece, other[from..until].iter().copied());
            }
            _ => {
                let again = bytes[piece].repeat(1 << (0..=MAX_REPEATS).generate(driver)?);
                bytes.splice(at..at, again);
            }
        }
        Some(())
    }
}

impl ValueGenerator for Changed {
    type Output = Input;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Input> {
        let mut bytes = self.file(driver)?.to_vec();
        // Few, more often than many.
        let changes = (1..=MAX_CHANGES).generate(driver)?.min((1..=MAX_CHANGES).generate(driver)?);
        for _ in 0..changes {
            self.change(driver, &mut bytes)?;
        }
        bytes.truncate(MAX_BYTES);
        Some(Input(bytes))
    }
}

/// Returns where the word or number lies that a place is in.
fn token_at(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let is_end = |byte: &u8| !byte.is_ascii_alphanumeric() && !b".-_".contains(byte);
    let start = bytes[..at].iter().rposition(is_end).map_or(0, |before| before + 1);
    let end = bytes[at..].iter().position(is_end).map_or(bytes.len(), |length| at + length);
    start..end
}

/// Returns where the line lies that a place is in, with its end.
fn line_at(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length + 1);
    start..end
}

#[test]
fn an_input_is_shown_so_that_a_shell_writes_it_again() {
    let every_byte = Input((0..=255).chain(*b"\\'\\\\'%s\\x00\"").collect());
    let written = Command::new("bash").args(["-c", &format!("{every_byte:?}")]).output().expect("a shell");
    assert_eq!(written.stdout, every_byte.0);
}
