//! Builds anew when a file is added to a folder that is embedded whole; the compiler watches only those it has read.

#![expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=email-templates");
}
