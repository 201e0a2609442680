//! What comes from outside, thrown at what reads it: a target a file, each with a property and a corpus.
//!
//! `cargo test` and `bin/test` replay the corpus (`__fuzz__/<target>/corpus`) and then try inputs made of it for a second;
//! `BOLERO_RANDOM_TEST_TIME_MS` says how long. A failure prints the input and its seed. CONTRIBUTING.md says how to run a target
//! longer, guided by coverage, and what becomes of what it finds.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test ends where what it expects does not hold")]
#![expect(clippy::print_stdout, reason = "where a test fails, what it was at is shown")]

/// Runs a target: a function that panics where an input breaks the property.
macro_rules! fuzz {
    ($name:literal, $words:expr, $target:path) => {{
        // A fuzzer of `cargo bolero` changes the files of the corpus itself, by what the program does with them.
        #[cfg(fuzzing)]
        bolero::check!(name = $name).for_each(|input: &[u8]| $target(input));
        #[cfg(not(fuzzing))]
        {
            let changed = crate::inputs::Changed::new($name, $words);
            changed.replay($target);
            bolero::check!(name = $name)
                .with_generator(changed)
                .for_each(|input: &crate::inputs::Input| $target(&input.0));
        }
    }};
}

mod charge_files;
mod delivery_reports;
mod envelope;
mod headers;
#[cfg_attr(fuzzing, expect(dead_code, reason = "a fuzzer makes its own"))]
mod inputs;
mod links;
mod own_words;
