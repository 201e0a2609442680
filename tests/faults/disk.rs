//! A small disk of its own for a server, which can be made full: a tmpfs, where this machine lets us mount one.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// A disk that lives as long as the value; where nothing can be mounted it is a folder and never full.
pub struct Disk {
    pub path: PathBuf,
    size_mb: u64,
    is_mounted: bool,
}

impl Disk {
    pub fn new(parent: &Path, name: &str, size_mb: u64) -> Result<Self> {
        let path = parent.join(name);
        std::fs::create_dir(&path)?;
        let options = format!("size={size_mb}m,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        let is_mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        Ok(Self { path, size_mb, is_mounted })
    }

    pub fn can_be_full(&self) -> bool {
        self.is_mounted
    }

    /// Leaves no room beyond what is used now.
    pub fn fill(&self) -> Result<()> {
        let shown = Command::new("df").args(["--block-size=1K", "--output=used"]).arg(&self.path).output()?;
        let used = String::from_utf8(shown.stdout)?;
        let used: u64 = used.lines().nth(1).context("df shows what is used")?.trim().parse()?;
        // While it is written to, a little more may be used by now.
        let sizes = [0, 64, 512, 4_096, 65_536].map(|more| format!("{}k", (used + more).max(4)));
        let is_filled = sizes.iter().any(|size| self.resize(size).is_ok());
        ensure!(is_filled, "{} cannot be filled", self.path.display());
        Ok(())
    }

    /// Gives the room back.
    pub fn make_room(&self) -> Result<()> {
        self.resize(&format!("{}m", self.size_mb))
    }

    fn resize(&self, size: &str) -> Result<()> {
        let options = format!("remount,size={size}");
        let resized = Command::new("mount").args(["-o", &options]).arg(&self.path).output()?;
        ensure!(resized.status.success(), "mount: {}", String::from_utf8_lossy(&resized.stderr));
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.path).output();
        }
    }
}
