//! Links to documents: one that is altered opens nothing, and one that was made opens its document until it expires.

use std::sync::LazyLock;

use axum::{extract::Query, http::Uri};
use billrunner::domain::{
    download_link::{DownloadGrant, LinkError, LinkKeys, LinkProof},
    ids::{DocumentId, ResellerId},
};
use chrono::DateTime;
use uuid::Uuid;

const KEYS: &str = "2026-11:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff,\
                    2026-10:0000000000000000000000000000000000000000000000000000000000000000";
/// What the links of the corpus were signed for, with their keys.
const SIGNED: [(u128, u128, i64, &str); 3] =
    [(1, 2, 1_800_000_000, "2026-11"), (1, 2, 1_800_000_000, "2026-10"), (1, 2, 0, "2026-11")];
/// Seconds that a calendar knows, on both sides of 1970.
const MAX_SECONDS: i64 = 8_000_000_000_000;
const WORDS: &[&str] = &[
    "/downloads/",
    "expires=",
    "key=",
    "signature=",
    "&",
    "?",
    "%00",
    "%2e%2e",
    "+",
    "2026-10",
    "2026-11",
    "1800000001",
    "/1",
    "/../",
    "00000000000000000000000000000001",
    "{00000000-0000-0000-0000-000000000001}",
    "A",
    "f",
];

static BOTH: LazyLock<LinkKeys> = LazyLock::new(|| KEYS.parse().expect("keys"));

/// A link as the web process reads it.
struct Link {
    reseller_id: ResellerId,
    document_id: DocumentId,
    proof: LinkProof,
}

impl Link {
    fn read(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let mut parts = uri.path().strip_prefix("/downloads/")?.split('/');
        let (reseller_id, document_id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let Query(proof) = Query::try_from_uri(&uri).ok()?;
        Some(Self { reseller_id, document_id, proof })
    }

    fn check(&self, seconds: i64) -> Result<(), LinkError> {
        let now = DateTime::from_timestamp(seconds, 0).expect("a time");
        BOTH.check(self.reseller_id, self.document_id, &self.proof, now)
    }

    /// Says the same in other characters, such as capital letters of hexadecimal digits.
    fn means_the_same_as(&self, other: &Self) -> bool {
        let bytes = |link: &Self| hex::decode(&link.proof.signature).ok();
        (self.reseller_id, self.document_id, self.proof.expires, &self.proof.key, bytes(self))
            == (other.reseller_id, other.document_id, other.proof.expires, &other.proof.key, bytes(other))
    }
}

fn check(input: &[u8]) {
    is_good_for_what_was_signed(input);
    is_good_until_it_expires_and_altered_for_nothing(input);
}

fn is_good_for_what_was_signed(input: &[u8]) {
    let Some(link) = std::str::from_utf8(input).ok().and_then(Link::read) else { return };
    let LinkProof { expires, key, signature } = &link.proof;
    // No input has the key: only what was signed before can be signed well.
    let is_signed = SIGNED.iter().any(|(reseller, document, until, signer)| {
        let named = (link.reseller_id.0.as_u128(), link.document_id.0.as_u128(), *expires, key.as_str());
        let signed = signature_of(*reseller, *document, *until, signer);
        named == (*reseller, *document, *until, *signer) && signed.eq_ignore_ascii_case(signature)
    });
    assert_eq!(link.check(-MAX_SECONDS).is_ok(), is_signed);
}

fn signature_of(reseller: u128, document: u128, expires: i64, key: &str) -> String {
    let keys: LinkKeys = KEYS.split(',').find(|text| text.starts_with(key)).expect("a key").parse().expect("keys");
    let grant = DownloadGrant {
        reseller_id: ResellerId(Uuid::from_u128(reseller)),
        document_id: DocumentId(Uuid::from_u128(document)),
        expires,
    };
    Link::read(&keys.path(&grant)).expect("a link").proof.signature
}

fn is_good_until_it_expires_and_altered_for_nothing(input: &[u8]) {
    let mut numbers = input.chunks(8).map(|bytes| bytes.iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte)));
    let mut number = || numbers.next().unwrap_or_default();
    let grant = DownloadGrant {
        reseller_id: ResellerId(Uuid::from_u64_pair(number(), number())),
        document_id: DocumentId(Uuid::from_u64_pair(number(), number())),
        expires: number().cast_signed() % MAX_SECONDS,
    };
    let part = usize::try_from(number() % 3).ok().filter(|part| *part > 0);
    let path = BOTH.path_to(&grant, part);
    let link = Link::read(&path).expect("a link that was made reads");
    assert_eq!(link.check(grant.expires - 1), Ok(()));
    assert_eq!(link.check(-MAX_SECONDS - 1), Ok(()));
    assert_eq!(link.check(grant.expires), Err(LinkError::Expired));

    let mut altered = path.into_bytes();
    let at = usize::try_from(number()).unwrap_or_default() % altered.len();
    altered[at] = u8::try_from(number() % 128).unwrap_or_default();
    if let Some(altered) = String::from_utf8(altered).ok().as_deref().and_then(Link::read) {
        let expected = if altered.means_the_same_as(&link) { Ok(()) } else { Err(LinkError::Wrong) };
        assert_eq!(altered.check(grant.expires - 1), expected);
    }
}

#[test]
fn a_link_that_was_made_is_good_until_it_expires_and_one_that_was_altered_never() {
    fuzz!("links", WORDS, check);
}
