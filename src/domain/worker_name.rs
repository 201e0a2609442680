//! What a worker process calls itself: where it runs, which process it is, and of which release.

use std::fmt;

/// `HOST/PROCESS/VERSION`; older releases called themselves otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerName<'a> {
    /// The machine.
    pub host: &'a str,
    /// The process on it.
    pub process: &'a str,
    /// Its release.
    pub version: &'a str,
}

impl<'a> WorkerName<'a> {
    /// Reads a name; of one that is written otherwise, all is the process.
    pub fn read(name: &'a str) -> Self {
        let mut parts = name.rsplitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(version), Some(process), Some(host)) => Self { host, process, version },
            _ => Self { host: "", process: name, version: "unknown" },
        }
    }
}

impl fmt::Display for WorkerName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.process, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workers_name_says_host_process_and_version() {
        let name = WorkerName { host: "worker-1.example", process: "42", version: "1.2.3" };
        assert_eq!(WorkerName::read(&name.to_string()), name);
        assert_eq!(WorkerName::read("process 42"), WorkerName { host: "", process: "process 42", version: "unknown" });
    }
}
