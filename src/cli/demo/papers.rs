//! The documents in a folder that people can browse: one folder a customer, files as the customer gets them.

use object_store::ObjectStoreExt;

use super::{MAX_INVOICES, stage::Stage};
use crate::store::{
    documents,
    invoice_list::{self, InvoiceFilter},
};

/// Copies every rendered document out of the object store.
pub async fn copy_documents(stage: &Stage) -> anyhow::Result<()> {
    let mut connection = stage.pool().acquire().await?;
    let found = invoice_list::list(&mut connection, &InvoiceFilter::default(), MAX_INVOICES).await?;
    for invoice in found {
        let folder = stage.folder.join("documents").join(to_folder_name(&invoice.customer_name));
        tokio::fs::create_dir_all(&folder).await?;
        let (id, version) = (invoice.id, invoice.version);
        for document in
            documents::of_version(&mut connection, invoice.reseller_id, id, version, &invoice.language).await?
        {
            let parts = document.parts.iter().map(|part| (&part.location, &part.file_name));
            for (location, file_name) in parts.chain([(&document.location, &document.file_name)]) {
                let bytes = stage.context.objects.get(&location.as_str().into()).await?.bytes().await?;
                tokio::fs::write(folder.join(format!("{}-{file_name}", invoice.provider)), bytes).await?;
            }
        }
    }
    Ok(())
}

/// Keeps letters and digits of any script, so that a name can be neither a path nor hidden.
fn to_folder_name(name: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(kept).collect();
    name.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_cannot_leave_its_folder() {
        assert_eq!(to_folder_name("../../etc/passwd"), "etc-passwd");
        assert_eq!(to_folder_name("Panadería Sol S.L."), "Panadería-Sol-S-L");
    }
}
