//! Where documents and charge files are kept, by URL: a folder, or a bucket of S3, Google Cloud Storage or Azure.
//!
//! Credentials come from the environment alone, under the names that each cloud's own tools use; of those only the ones listed
//! here are read. Objects appear whole or not at all: a folder's are renamed into place, a cloud's are one request or parts
//! that are put together. Nothing is tried again here: that is the job's affair.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, local::LocalFileSystem, path::Path,
    prefix::PrefixStore,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    runtime::Handle,
};
use url::Url;

mod half_written;
#[cfg(test)]
mod tests;

pub use half_written::remove_half_written;

/// What is read from the environment for S3, and for what speaks like it.
const S3_VARIABLES: [&str; 18] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
];
/// What is read from the environment for Google Cloud Storage.
const GOOGLE_VARIABLES: [&str; 4] =
    ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BASE_URL"];
/// What is read from the environment for Azure.
const AZURE_VARIABLES: [&str; 12] = [
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_IDENTITY_ENDPOINT",
    "AZURE_OBJECT_ID",
    "AZURE_MSI_RESOURCE_ID",
];
/// Those of the above that name a server to which documents or credentials go.
const SERVERS: [&str; 7] = [
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "GOOGLE_BASE_URL",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_AUTHORITY_HOST",
];

/// A store that does not even take the connection is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of a store; a whole transfer may take as long as it moves.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// Parts of one object on their way at once; a part is 5 MiB, the least that S3 takes.
const PARTS_IN_FLIGHT: usize = 4;
/// Read at a time of what is stored.
const CHUNK_BYTES: usize = 256 * 1024;

/// Which object store is meant, and how to get in.
#[derive(Clone, Debug)]
pub struct ObjectStoreSettings {
    place: Place,
    prefix: Path,
    variables: Vec<(&'static str, SecretString)>,
    is_plain_http: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    Bucket(Cloud, Url),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cloud {
    S3,
    Google,
    Azure,
}

/// Says why a URL and the variables beside it name no object store. It shows no value: that may be secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAnObjectStore {
    /// No such place.
    #[error(
        "no object store is named so; write file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
    )]
    Url,
    /// Something secret may be in it.
    #[error("the URL holds more than a place; credentials stand in the environment, such as {0}: see docs/STORES.md")]
    Credentials(&'static str),
    /// Not a path.
    #[error("the part behind the bucket does not read: {0}; write names with a / between them")]
    Prefix(String),
    /// Not an address.
    #[error("{0} is not an address; write https://HOST, without a user, `?` and `#`")]
    Server(&'static str),
    /// Everybody on the way could read along.
    #[error(
        "by {0} documents would cross the network in clear; use https://, or set BILLRUNNER_OBJECT_STORE_PLAIN_HTTP=true \
         where nobody else is on that network"
    )]
    PlainHttp(&'static str),
}

impl Cloud {
    fn of(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3),
            "gs" => Some(Self::Google),
            "az" => Some(Self::Azure),
            _ => None,
        }
    }

    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::S3 => &S3_VARIABLES,
            Self::Google => &GOOGLE_VARIABLES,
            Self::Azure => &AZURE_VARIABLES,
        }
    }

    fn usual_secret(self) -> &'static str {
        match self {
            Self::S3 => "AWS_SECRET_ACCESS_KEY",
            Self::Google => "GOOGLE_APPLICATION_CREDENTIALS",
            Self::Azure => "AZURE_STORAGE_ACCOUNT_KEY",
        }
    }
}

impl ObjectStoreSettings {
    /// Names a folder, which is created where it is missing.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::Folder(folder.into()),
            prefix: Path::default(),
            variables: Vec::new(),
            is_plain_http: false,
        }
    }

    /// Reads a URL, and of the variables what its store may know.
    ///
    /// # Errors
    /// [`NotAnObjectStore`] where it names none, holds a secret, or leads over a network in clear that it should not.
    pub fn from_url(
        text: &str,
        variables: &BTreeMap<String, String>,
        may_be_plain_http: bool,
    ) -> Result<Self, NotAnObjectStore> {
        if let Some(folder) = text.strip_prefix("file://") {
            return if folder.starts_with('/') { Ok(Self::folder(folder)) } else { Err(NotAnObjectStore::Url) };
        }
        let url = Url::parse(text).map_err(|_| NotAnObjectStore::Url)?;
        let cloud = Cloud::of(url.scheme()).filter(|_| url.has_host()).ok_or(NotAnObjectStore::Url)?;
        if !is_bare(&url) || url.port().is_some() {
            return Err(NotAnObjectStore::Credentials(cloud.usual_secret()));
        }
        let prefix = Path::from_url_path(url.path().trim_end_matches('/'));
        let known = |name: &&'static str| Some((*name, variables.get(*name)?));
        let variables: Vec<_> = cloud.variables().iter().filter_map(known).collect();
        let mut is_plain_http = false;
        for (name, value) in variables.iter().filter(|(name, _)| SERVERS.contains(name)) {
            let server = Url::parse(value).ok().filter(|server| server.has_host() && is_bare(server));
            let server = server.ok_or(NotAnObjectStore::Server(name))?;
            match server.scheme() {
                "https" => {}
                "http" if may_be_plain_http || stays_here(&server) => is_plain_http = true,
                "http" => return Err(NotAnObjectStore::PlainHttp(name)),
                _ => return Err(NotAnObjectStore::Server(name)),
            }
        }
        Ok(Self {
            place: Place::Bucket(cloud, url),
            prefix: prefix.map_err(|error| NotAnObjectStore::Prefix(error.to_string()))?,
            variables: variables.into_iter().map(|(name, value)| (name, value.as_str().into())).collect(),
            is_plain_http,
        })
    }

    /// Tells whether it is a folder that is not there yet.
    pub fn is_missing(&self) -> bool {
        matches!(&self.place, Place::Folder(folder) if !folder.is_dir())
    }

    /// Returns the folder, where it is one.
    pub fn folder_path(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Bucket(..) => None,
        }
    }

    /// Opens the store. Of a bucket nothing is asked yet.
    ///
    /// # Errors
    /// When the folder cannot be created or read, or a variable has a value that does not read.
    pub fn open(&self) -> object_store::Result<Arc<dyn ObjectStore>> {
        let (cloud, url) = match &self.place {
            Place::Folder(folder) => return open_folder(folder),
            Place::Bucket(cloud, url) => (cloud, url.as_str()),
        };
        // The HTTP client takes the process's; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The three builders have the same methods and no trait in common.
        macro_rules! open {
            ($builder:ty) => {{
                let builder = <$builder>::new().with_client_options(self.client()).with_retry(no_retry()).with_url(url);
                let mut values = self.values();
                let builder = values.try_fold(builder, |builder, (name, value)| {
                    Ok::<_, object_store::Error>(builder.with_config(name.parse()?, value))
                })?;
                Arc::new(PrefixStore::new(builder.build()?, self.prefix.clone()))
            }};
        }
        Ok(match cloud {
            Cloud::S3 => open!(AmazonS3Builder),
            Cloud::Google => open!(GoogleCloudStorageBuilder),
            Cloud::Azure => open!(MicrosoftAzureBuilder),
        })
    }

    /// Returns the names of variables as the builders know them, with their values.
    fn values(&self) -> impl Iterator<Item = (String, &str)> {
        self.variables.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.expose_secret()))
    }

    fn client(&self) -> ClientOptions {
        ClientOptions::new()
            .with_allow_http(self.is_plain_http)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(READ_TIMEOUT)
            .with_timeout_disabled()
    }
}

/// Names the place, without a secret.
impl fmt::Display for ObjectStoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Folder(folder) => write!(f, "file://{}", folder.display()),
            Place::Bucket(_, url) => write!(f, "{url}"),
        }
    }
}

fn no_retry() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn is_bare(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none()
}

fn stays_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn open_folder(folder: &std::path::Path) -> object_store::Result<Arc<dyn ObjectStore>> {
    std::fs::create_dir_all(folder).map_err(|error| generic("folder", error))?;
    Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)))
}

fn generic(store: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic { store, source: source.into() }
}

/// Stores so many bytes of a reader piece by piece. What fails, or is dropped in the middle, leaves no object, and no parts
/// in a cloud as far as that can be reached.
///
/// # Errors
/// When the store fails, or the reader does or has less to read.
pub async fn write_object(
    objects: &dyn ObjectStore,
    location: &Path,
    reader: &mut (impl AsyncRead + Unpin),
    size_bytes: u64,
) -> object_store::Result<()> {
    let mut upload = Upload(Some(WriteMultipart::new(objects.put_multipart(location).await?)));
    let written = upload.write(reader, size_bytes).await;
    let Some(writer) = upload.0.take() else { return written };
    match written {
        // In a task of its own, for it puts the parts together or takes them back even if nobody waits for it any more.
        Ok(()) => tokio::spawn(writer.finish()).await.map_err(|error| generic("upload", error))?.map(drop),
        Err(error) => {
            take_back(writer).await;
            Err(error)
        }
    }
}

/// An upload under way, which is taken back where it is dropped.
struct Upload(Option<WriteMultipart>);

impl Upload {
    async fn write(&mut self, reader: &mut (impl AsyncRead + Unpin), size_bytes: u64) -> object_store::Result<()> {
        let Some(writer) = &mut self.0 else { return Ok(()) };
        let mut rest = reader.take(size_bytes);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = rest.read(&mut chunk).await.map_err(|error| generic("local file", error))?;
            let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            writer.wait_for_capacity(PARTS_IN_FLIGHT).await?;
            writer.write(bytes);
        }
        if rest.limit() > 0 {
            return Err(generic("local file", format!("{} bytes of {size_bytes} are missing", rest.limit())));
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(writer), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(take_back(writer));
        }
    }
}

async fn take_back(writer: WriteMultipart) {
    if let Err(error) = writer.abort().await {
        tracing::warn!(%error, "parts of an upload stay behind; the bucket's lifecycle rule removes them");
    }
}
