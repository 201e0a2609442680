//! The object store: a probe is written, read, found in a list and deleted; a folder's disk has room.

use anyhow::Context;
use futures::TryStreamExt;
use object_store::{ObjectStore, path::Path};

use super::{Finding, describe, fail, machine, ok};
use crate::{
    cli::{config, setup},
    config::Config,
    objects::ObjectStoreSettings,
};

pub async fn look(settings: &Config) -> Vec<Finding> {
    let looked = async {
        let objects = setup::objects(settings)?;
        config::probe(objects.as_ref()).await?;
        list(objects.as_ref()).await
    };
    if let Err(error) = looked.await {
        return vec![fail(
            describe(&error),
            "check BILLRUNNER_OBJECT_STORE; docs/STORES.md says what each kind of store needs",
        )];
    }
    let folder = settings.object_store.as_ref().and_then(ObjectStoreSettings::folder_path);
    let room = folder.map(|folder| machine::space("object store", folder));
    [ok("the object store keeps what it is given, and deletes it")].into_iter().chain(room).collect()
}

/// Asks for what lies below a name that nothing has.
async fn list(objects: &dyn ObjectStore) -> anyhow::Result<()> {
    let found = objects.list(Some(&Path::from("doctor"))).try_next().await;
    found.map(drop).context(
        "the object store does not list what it has; give the credentials the rights that docs/STORES.md lists",
    )
}
