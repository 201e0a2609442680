//! Builds anew when a file is added to a folder that is embedded whole; the compiler watches only those it has read.

fn main() {
    println!("cargo::rerun-if-changed=email-templates");
}
