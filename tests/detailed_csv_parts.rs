//! The detailed CSV in parts: split by rows, compressed, told of by a manifest, the same every time.

use std::io::Read;

use anyhow::{Context, Result};
use billrunner::{
    clock::Clock,
    domain::{document::DocumentKind, invoice::Invoice},
    jobs::Check,
    store::documents::{self, StoredDocument},
};
use flate2::read::MultiGzDecoder;
use object_store::ObjectStoreExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    TestDatabase,
    business::{Business, PROVIDER, file_of},
    desk::{Desk, decimal, rendering},
    import::import,
};

/// A place among the titles of the detailed CSV.
const PRICE: usize = 16;

struct Files {
    desk: Desk,
    draft: Invoice,
}

impl Files {
    /// Opens a desk with a draft of so many charges, written by these options.
    async fn open(charges: usize, options: Value) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let business = Business::without_charges(&database.pool, 1).await?;
        let rows: Vec<(usize, String)> = (1..=charges).map(|cost| (0, format!("{cost}.001"))).collect();
        let file = file_of(&rows, "parts")?;
        import(&database.pool, business.reseller_id, PROVIDER, file.path()).await?;
        let desk = Desk::of(database, business, Clock::System).await?;
        desk.close_month().await?;
        desk.write_csv_by(Some(options)).await?;
        let draft = desk.live(0).await?;
        desk.office.done(&rendering(&draft, DocumentKind::DetailedCsv)).await?;
        Ok(Self { desk, draft })
    }

    async fn stored(&self) -> Result<StoredDocument> {
        let (draft, language) = (&self.draft, self.draft.language.to_string());
        let mut connection = self.desk.office.pool.acquire().await?;
        let all = documents::of_version(&mut connection, draft.reseller_id, draft.id, draft.version, &language).await?;
        all.into_iter().find(|document| document.kind == DocumentKind::DetailedCsv).context("a detailed CSV")
    }

    async fn bytes(&self, location: &str) -> Result<Vec<u8>> {
        Ok(self.desk.office.context.objects.get(&location.into()).await?.bytes().await?.to_vec())
    }

    async fn count(&self, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.desk.office.pool).await?)
    }
}

fn unzipped(bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    MultiGzDecoder::new(bytes).read_to_string(&mut text)?;
    Ok(text)
}

fn rows(text: &str) -> Result<Vec<csv::StringRecord>> {
    let text = text.strip_prefix('\u{feff}').context("a byte order mark")?;
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').has_headers(false).from_reader(text.as_bytes());
    Ok(reader.records().collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn a_long_detail_is_split_and_its_manifest_names_every_part_with_its_sha256() -> Result<()> {
    let files = Files::open(7, json!({ "gzip": true, "rows_per_part": 3 })).await?;
    let stored = files.stored().await?;
    let manifest: Value = serde_json::from_slice(&files.bytes(&stored.location).await?)?;
    assert_eq!((stored.content_type(), manifest["row_count"].as_u64()), ("application/json", Some(7)));
    assert!(stored.file_name.ends_with("-detalle.json"), "{}", stored.file_name);
    let named = manifest["parts"].as_array().context("parts")?;
    assert_eq!((named.len(), stored.parts.len()), (3, 3));
    let (mut titles, mut prices) = (Vec::new(), Vec::new());
    for ((named, part), count) in named.iter().zip(&stored.parts).zip([3, 3, 1]) {
        let bytes = files.bytes(&part.location).await?;
        assert_eq!(hex::encode(Sha256::digest(&bytes)), part.sha256);
        assert_eq!(
            (named["sha256"].as_str(), named["file_name"].as_str()),
            (Some(&*part.sha256), Some(&*part.file_name))
        );
        assert_eq!(
            (named["size_bytes"].as_i64(), i64::try_from(bytes.len())?),
            (Some(part.size_bytes), part.size_bytes)
        );
        assert_eq!((named["row_count"].as_i64(), part.row_count), (Some(count), count));
        let rows = rows(&unzipped(&bytes)?)?;
        assert_eq!(i64::try_from(rows.len())?, count + 1, "titles and rows");
        titles.push(rows[0].clone());
        prices.extend(rows[1..].iter().map(|row| decimal(&row[PRICE].replace(',', "."))));
    }
    assert!(titles.iter().all(|row| *row == titles[0]), "each part begins with the titles");
    assert_eq!(prices.into_iter().sum::<bigdecimal::BigDecimal>(), files.draft.exact_subtotal);
    assert_eq!(stored.parts[2].file_name.rsplit_once("-0003").map(|(_, ending)| ending), Some(".csv.gz"));
    files.desk.close().await
}

#[tokio::test]
async fn parts_come_out_the_same_twice_and_are_recorded_once() -> Result<()> {
    let files = Files::open(5, json!({ "gzip": true, "rows_per_part": 2 })).await?;
    let stored = files.stored().await?;
    let places: Vec<&String> = stored.parts.iter().map(|part| &part.location).chain([&stored.location]).collect();
    let mut before = Vec::new();
    for place in &places {
        before.push(files.bytes(place).await?);
        files.desk.office.context.objects.delete(&place.as_str().into()).await?;
    }
    files.desk.office.done(&rendering(&files.draft, DocumentKind::DetailedCsv)).await?;
    for (place, before) in places.iter().zip(before) {
        assert_eq!(files.bytes(place).await?, before, "{place}");
    }
    assert_eq!(files.count("SELECT count(*) FROM documents").await?, 1);
    assert_eq!(files.count("SELECT count(*) FROM document_parts").await?, 3);
    files.desk.close().await
}

#[tokio::test]
async fn what_fits_into_one_part_is_one_file_and_an_empty_part_is_never_made() -> Result<()> {
    for (options, ending, content_type) in [
        (json!({ "rows_per_part": 4 }), ".csv", "text/csv; charset=utf-8"),
        (json!({ "rows_per_part": 4, "gzip": true }), ".csv.gz", "application/gzip"),
    ] {
        let files = Files::open(4, options).await?;
        let stored = files.stored().await?;
        assert!(stored.file_name.ends_with(&format!("-detalle{ending}")), "{}", stored.file_name);
        assert!(stored.location.ends_with(ending) && stored.parts.is_empty(), "{stored:?}");
        assert_eq!(stored.content_type(), content_type);
        let bytes = files.bytes(&stored.location).await?;
        assert_eq!(Sha256::digest(&bytes).as_slice(), stored.sha256);
        let text = if ending == ".csv" { String::from_utf8(bytes)? } else { unzipped(&bytes)? };
        assert_eq!(rows(&text)?.len(), 1 + 4);
        files.desk.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_part_that_is_missing_or_changed_is_found_by_verification() -> Result<()> {
    let files = Files::open(3, json!({ "rows_per_part": 1 })).await?;
    assert_eq!(files.desk.verify(true).await?.count(), 0);
    let stored = files.stored().await?;
    let objects = &files.desk.office.context.objects;
    objects.delete(&stored.parts[0].location.as_str().into()).await?;
    objects.put(&stored.parts[2].location.as_str().into(), "other bytes".into()).await?;
    let report = files.desk.verify(true).await?;
    let said: Vec<String> =
        report.findings.iter().filter(|finding| finding.check == Check::Documents).map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains(&format!("`{}` is missing", stored.parts[0].location)), "{said:#?}");
    assert!(said[1].contains(&format!("`{}` has 11 bytes", stored.parts[2].location)), "{said:#?}");
    // The manifest carries the parts' sha256: rows that changed give another one.
    files.desk.tamper("UPDATE charges SET billed_cost = billed_cost + 1").await?;
    let report = files.desk.verify(true).await?;
    let place = format!("rendering `{}` again gives other bytes", stored.location);
    assert!(report.findings.iter().any(|finding| finding.to_string().contains(&place)), "{report:#?}");
    files.desk.close().await
}
