//! Programs in Python that read our documents: `tests/tools/`, with what `bin/setup --tests` installs for them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Files that a test writes for a program, gone at its end.
pub(super) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        assert!(!path.exists(), "{name} is written twice");
        fs::write(&path, bytes).expect("written");
        path
    }

    /// Runs a program of `tests/tools` with arguments; what it prints is its answer.
    pub(super) fn tell(program: &str, arguments: &[PathBuf]) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/test-tools/bin/python");
        assert!(python.exists(), "{} is missing; run bin/setup --tests", python.display());
        let output = Command::new(python).arg(root.join("tests/tools").join(program)).args(arguments).output();
        let output = output.expect("a program that runs");
        let problems = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {problems}");
        String::from_utf8(output.stdout).expect("utf-8")
    }
}
