//! What a file is, told by its first bytes: plain or gzip, with or without a byte order mark, or no CSV at all.

use std::{
    io::{self, Cursor, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::read::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
const UTF8_BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
/// First bytes of files that are sent by mistake, and what to say of them.
const NOT_CSV: &[(&[u8], &str)] = &[
    (b"PAR1", "this is a Parquet file; send CSV"),
    (b"PK\x03\x04", "this is a ZIP archive or an Excel file; send CSV, plain or gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "this is Zstandard data; send CSV, plain or gzip"),
    (&[0xff, 0xfe], "this is UTF-16 text; save it as UTF-8"),
    (&[0xfe, 0xff], "this is UTF-16 text; save it as UTF-8"),
];
/// Longest of the above.
const PREFIX_BYTES: u64 = 4;
/// How many times its size gzip data may become: charge files become ten to forty times as large, zeros a thousand times.
const MAX_RATIO: u64 = 200;
/// Becomes so much in any case: what is read in a moment.
const FREE_BYTES: u64 = 64 * 1024 * 1024;

/// A file about to be read.
pub(super) struct Opened<'a> {
    /// The text, decompressed, without its byte order mark.
    pub(super) text: Box<dyn Read + Send + 'a>,
    /// What the file is, where it is not CSV.
    pub(super) not_csv: Option<&'static str>,
}

/// Looks at the first bytes and takes off what wraps the text.
pub(super) fn open<'a>(mut input: impl Read + Send + 'a) -> io::Result<Opened<'a>> {
    let prefix = read_prefix(&mut input)?;
    let is_gzip = prefix.starts_with(GZIP);
    let whole = Cursor::new(prefix).chain(input);
    let mut text: Box<dyn Read + Send + 'a> = if is_gzip { Box::new(Inflated::new(whole)) } else { Box::new(whole) };
    let prefix = read_prefix(&mut text)?;
    let not_csv = NOT_CSV.iter().find(|(magic, _)| prefix.starts_with(magic)).map(|(_, what)| *what);
    let marked = prefix.strip_prefix(UTF8_BYTE_ORDER_MARK).map(<[u8]>::to_vec);
    Ok(Opened { text: Box::new(Cursor::new(marked.unwrap_or(prefix)).chain(text)), not_csv })
}

fn read_prefix(input: &mut (impl Read + ?Sized)) -> io::Result<Vec<u8>> {
    let mut prefix = Vec::new();
    input.take(PREFIX_BYTES).read_to_end(&mut prefix)?;
    Ok(prefix)
}

/// What gzip data becomes, as long as that is in proportion.
struct Inflated<R> {
    decoder: MultiGzDecoder<Counted<R>>,
    taken: Arc<AtomicU64>,
    given: u64,
}

impl<R: Read> Inflated<R> {
    fn new(input: R) -> Self {
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted { input, bytes: Arc::clone(&taken) };
        Self { decoder: MultiGzDecoder::new(counted), taken, given: 0 }
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.decoder.read(buffer)?;
        self.given += length as u64;
        let taken = self.taken.load(Ordering::Relaxed);
        if self.given > FREE_BYTES && self.given / MAX_RATIO > taken {
            let rule =
                "the gzip data becomes more than 200 times as large, as no charge file does; the rest was not read";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, rule));
        }
        Ok(length)
    }
}

struct Counted<R> {
    input: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
