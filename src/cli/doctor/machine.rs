//! This machine: open files, the temporary folder, and what is built into the program.

use std::path::Path;

use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit},
};

use super::{Finding, fail, ok, warn};
use crate::{
    documents::read_typefaces,
    domain::{language_tag::LanguageTag, time_zone::TimeZone},
    language::Language,
};

/// A worker has some hundred connections and files open, a web process one for each client.
const ENOUGH_FILES: u64 = 1024;
/// Below this a worker does not even start all of its lanes.
const LEAST_FILES: u64 = 256;
const MEBIBYTE: u64 = 1024 * 1024;
/// A detailed CSV, or a charge file on its way, easily has some hundred.
const ENOUGH_SPACE_MEBIBYTES: u64 = 1024;
const LEAST_SPACE_MEBIBYTES: u64 = 64;
/// One of each kind: whole hours, none, summer time, half hours.
const SAMPLE_ZONES: [&str; 4] = ["America/Sao_Paulo", "Asia/Kolkata", "Europe/Madrid", "UTC"];

pub fn look() -> Vec<Finding> {
    vec![open_files(getrlimit(Resource::Nofile).current), temporary_folder(), typefaces(), languages(), time_zones()]
}

fn open_files(most: Option<u64>) -> Finding {
    let Some(most) = most else { return ok("files and connections may be open without a limit") };
    let what = format!("{most} files and connections may be open at once");
    let way_out = "raise it: LimitNOFILE=65536 in a systemd unit, `ulimit -n 65536` in a shell";
    match most {
        ENOUGH_FILES.. => ok(what),
        LEAST_FILES.. => warn(what, way_out),
        _ => fail(what, way_out),
    }
}

fn temporary_folder() -> Finding {
    let folder = std::env::temp_dir();
    match tempfile::tempfile_in(&folder) {
        Ok(_) => space("temporary folder", &folder),
        Err(error) => fail(
            format!("the temporary folder {} cannot be written: {error}", folder.display()),
            "let TMPDIR name a folder that this user may write, or mount one there",
        ),
    }
}

/// Says how much room a folder's disk has left.
pub fn space(what: &str, folder: &Path) -> Finding {
    let free = match statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize) / MEBIBYTE,
        Err(error) => {
            let way_out = "check that the folder is there, and who may read it";
            return fail(
                format!("the disk of the {what} {} does not say how full it is: {error}", folder.display()),
                way_out,
            );
        }
    };
    judge_space(&format!("the {what} {} has {free} MiB left", folder.display()), free)
}

fn judge_space(what: &str, free_mebibytes: u64) -> Finding {
    let way_out = "free some space, or put it on a larger disk";
    match free_mebibytes {
        ENOUGH_SPACE_MEBIBYTES.. => ok(what),
        LEAST_SPACE_MEBIBYTES.. => warn(what, way_out),
        _ => fail(what, way_out),
    }
}

fn typefaces() -> Finding {
    match read_typefaces() {
        Ok(count) => ok(format!("{count} typefaces are built in and read well")),
        Err(error) => fail(error.to_string(), "this build is broken; install the release again"),
    }
}

fn languages() -> Finding {
    let mut count = 0;
    for tag in Language::supported() {
        let read = tag.parse::<LanguageTag>().map_err(anyhow::Error::from).and_then(|tag| Ok(Language::for_tag(&tag)?));
        if let Err(error) = read {
            return fail(
                format!("the language {tag} cannot be read: {error}"),
                "this build is broken; install the release again",
            );
        }
        count += 1;
    }
    ok(format!("{count} languages are built in, with their numbers and dates"))
}

fn time_zones() -> Finding {
    match SAMPLE_ZONES.iter().find(|zone| zone.parse::<TimeZone>().is_err()) {
        None => ok("time zones are built in"),
        Some(zone) => {
            fail(format!("the time zone {zone} is not known"), "this build is broken; install the release again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn limits_and_disks_are_judged_by_what_a_worker_needs() {
        assert_eq!([None, Some(65_536), Some(1024)].map(|most| open_files(most).verdict), [Verdict::Ok; 3]);
        assert_eq!(open_files(Some(1023)).verdict, Verdict::Warn);
        assert_eq!(open_files(Some(255)).verdict, Verdict::Fail);
        assert_eq!(judge_space("x", 1024).verdict, Verdict::Ok);
        assert_eq!(judge_space("x", 1023).verdict, Verdict::Warn);
        assert_eq!(judge_space("x", 63).verdict, Verdict::Fail);
    }

    #[test]
    fn what_is_built_in_reads_well() {
        for finding in [typefaces(), languages(), time_zones()] {
            assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
        }
    }
}
