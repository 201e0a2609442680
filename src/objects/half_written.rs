//! What a writer that was killed leaves in a folder of objects: a file that never got its name.
//!
//! The store writes under the object's name with `#` and a number behind it, and renames at the end. No object is called so,
//! nobody lists or reads such a file, and a writer that comes again takes another number.

use std::{ffi::OsStr, fs, io, path::Path, time::SystemTime};

/// Removes the files below a folder that nobody has written to since then, and that never became an object. Returns how many.
///
/// # Errors
/// When the folder cannot be read, or a file not removed. What others remove meanwhile is no error.
pub fn remove_half_written(folder: &Path, since: SystemTime) -> io::Result<u64> {
    let mut removed = 0;
    for entry in found(fs::read_dir(folder))?.into_iter().flatten() {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove_half_written(&entry.path(), since)?;
        } else if is_half_written(&entry.file_name()) {
            let written_at = found(entry.metadata().and_then(|metadata| metadata.modified()))?;
            if written_at.is_some_and(|at| at < since) && found(fs::remove_file(entry.path()))?.is_some() {
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn is_half_written(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
