//! What the kernel says of processes on this machine: processor time, memory, descriptors. Linux, `proc(5)`; elsewhere, and
//! of processes on other machines, there is nothing to see.

use std::{fs, io};

/// What the kernel counts a process's time in (`USER_HZ` of Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time that a process has used, as `/proc/<id>/stat` says.
pub struct Usage {
    /// Who started it.
    pub parent: u32,
    /// Its own.
    pub own: f64,
    /// Of processes that it started, and that have ended.
    pub of_ended_children: f64,
}

impl Usage {
    /// Reads what a process has used; `None` where it is not to be seen.
    pub fn read(process: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // Behind the name, which may hold anything: state, parent, …; times are the 12th to 15th field from there.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let seconds = |field: usize| -> Option<f64> {
            fields.get(field)?.parse::<f64>().ok().map(|ticks| ticks / TICKS_PER_SECOND)
        };
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: seconds(11)? + seconds(12)?,
            of_ended_children: seconds(13)? + seconds(14)?,
        })
    }
}

/// Returns the seconds that a server of Postgres has used, with all its processes; `None` where the backend of a
/// connection to it is not to be seen here.
///
/// # Errors
/// When the list of processes cannot be read.
pub fn seconds_of_postgres(backend: i32) -> io::Result<Option<f64>> {
    let Some(server) = u32::try_from(backend).ok().and_then(Usage::read).map(|usage| usage.parent) else {
        return Ok(None);
    };
    let mut seconds = Usage::read(server).map_or(0.0, |usage| usage.own + usage.of_ended_children);
    for entry in fs::read_dir("/proc")?.flatten() {
        let usage = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Usage::read);
        seconds += usage.filter(|usage| usage.parent == server).map_or(0.0, |usage| usage.own);
    }
    Ok(Some(seconds))
}

/// Returns the memory that a process holds now, in kB.
pub fn memory_kb(process: u32) -> Option<f64> {
    line_of_status(process, "VmRSS:")
}

/// Returns the most memory that a process ever held, in kB.
pub fn peak_memory_kb(process: u32) -> Option<f64> {
    line_of_status(process, "VmHWM:")
}

/// Returns how many descriptors a process has open.
pub fn descriptors(process: u32) -> Option<f64> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
    u32::try_from(open).ok().map(f64::from)
}

fn line_of_status(process: u32, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
