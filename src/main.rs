//! The `billrunner` command.

fn main() {}
