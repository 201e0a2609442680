//! `billrunner mail bounces FILE…`: hands in the delivery reports that lie in mailboxes, one job each.
//!
//! A mailbox may be read as often as one likes: the same report is the same job.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use object_store::{ObjectStoreExt, PutPayload};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::{Failure, Output, setup};
use crate::{
    config::Config,
    domain::ids::{JobId, ResellerId},
    jobs::{RecordBounce, bounce_location, registry},
    mail::{DeliveryReport, messages_of},
    queue::{JobOptions, RequestId},
    store::{
        jobs::{self, Accepted},
        suppressions,
    },
};

/// What goes into the job itself; a larger report goes into the object store. Leaves room in an envelope of 64 KiB.
const MAX_IN_THE_JOB: usize = 49_152;

/// Arguments of `mail bounces`.
#[derive(Args)]
pub struct Arguments {
    /// Whose mails they are about.
    #[arg(long)]
    reseller: ResellerId,
    /// Mailboxes (mbox) or single messages (.eml).
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Who asks; by default the user of the operating system.
    #[arg(long, env = "USER", default_value = "cli", hide_env_values = true)]
    by: String,
}

/// What became of one message.
#[derive(Serialize)]
struct Taken {
    file: String,
    message: usize,
    job_id: Option<JobId>,
    outcome: String,
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    if !suppressions::is_reseller(&mut *pool.acquire().await?, arguments.reseller).await? {
        let missing = format!("reseller {} does not exist; apply its directory first", arguments.reseller);
        return Err(Failure::NotFound(missing).into());
    }
    let mut taken = Vec::new();
    for file in &arguments.files {
        let opened = File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
        let messages =
            messages_of(BufReader::new(opened)).with_context(|| format!("{} cannot be read", file.display()))?;
        for (index, message) in messages.enumerate() {
            let message = message.with_context(|| format!("{} cannot be read", file.display()))?;
            let (job_id, outcome) = take(&message, &arguments, &pool, config).await?;
            taken.push(Taken { file: name(file), message: index + 1, job_id, outcome });
        }
    }
    output.rows(&taken, &["file", "message", "outcome"], |one| {
        vec![one.file.clone(), one.message.to_string(), one.outcome.clone()]
    })
}

async fn take(
    message: &[u8],
    arguments: &Arguments,
    pool: &PgPool,
    config: &Config,
) -> anyhow::Result<(Option<JobId>, String)> {
    if let Err(why) = DeliveryReport::parse(message) {
        return Ok((None, format!("skipped: {why}")));
    }
    let sha256 = hex::encode(Sha256::digest(message));
    let text = std::str::from_utf8(message).ok().filter(|text| fits_into_the_job(text));
    let job = RecordBounce {
        reseller_id: arguments.reseller,
        message: text.map(str::to_owned),
        sha256: text.is_none().then(|| sha256.clone()),
    };
    if text.is_none() {
        let content = PutPayload::from(message.to_vec());
        setup::objects(config)?.put(&bounce_location(&sha256)?, content).await?;
    }
    let request = RequestId::new("cli/mail", format!("{}/{sha256}", arguments.reseller));
    let new = registry().prepare(&job, request, &arguments.by, JobOptions::default())?;
    let mut transaction = pool.begin().await?;
    let accepted = jobs::accept(&mut transaction, &new).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    let outcome = match accepted {
        Accepted::New(id) => format!("job {id} is accepted"),
        Accepted::Repeated(id) | Accepted::Folded(id) => format!("job {id} was accepted before"),
    };
    Ok((Some(accepted.id()), outcome))
}

/// Tells whether a text may stand in a payload: short enough once it is written as JSON, and Postgres takes no NUL.
fn fits_into_the_job(text: &str) -> bool {
    !text.contains('\0') && serde_json::to_string(text).is_ok_and(|written| written.len() <= MAX_IN_THE_JOB)
}

fn name(file: &Path) -> String {
    file.display().to_string()
}
