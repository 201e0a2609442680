//! The `billrunner` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Rows are read by one thread and written by another: glibc has the two wait for each other at every value that is freed.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    keep_to_small_pages();
    billrunner::cli::run()
}

/// Has the kernel hand out memory by 4 kB instead of 2 MB: mimalloc asks for huge pages, which the heaps of many threads fill
/// in part. With them `bench import` holds a third more and is no faster. Where the kernel refuses, nothing else is lost.
fn keep_to_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
