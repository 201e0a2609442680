//! How property tests run here: the same cases each time, and more of them, at random, where somebody asks.
//!
//! `PROPTEST_CASES=1000 bin/test properties` looks further. What fails is written to `tests/regressions/`, is to be
//! committed, and is tried first from then on.

use anyhow::Result;
use proptest::{
    strategy::Strategy,
    test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestRunner},
};
use tokio::runtime::Runtime;

const SEED: u64 = 20_260_801;

/// Returns so many cases of a fixed seed; the environment may ask for others. `regressions` is where failures are kept.
pub fn config(cases: u32, regressions: &'static str) -> Config {
    let default = Config::default();
    let is_asked = |name| std::env::var_os(name).is_some();
    Config {
        cases: if is_asked("PROPTEST_CASES") { default.cases } else { cases },
        rng_seed: if is_asked("PROPTEST_CASES") || is_asked("PROPTEST_RNG_SEED") {
            default.rng_seed
        } else {
            RngSeed::Fixed(SEED)
        },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        // Each try of a smaller case is a database's work, and the runner ends a test after a minute.
        max_shrink_iters: 6,
        ..default
    }
}

/// Holds a property over cases that are tried one after the other on a runtime.
pub fn hold<S: Strategy>(config: Config, runtime: &Runtime, cases: &S, property: impl AsyncFn(S::Value) -> Result<()>) {
    let outcome = TestRunner::new(config)
        .run(cases, |case| runtime.block_on(property(case)).map_err(|error| TestCaseError::fail(format!("{error:#}"))));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Names the file of a test's regressions.
macro_rules! regressions {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/", $name, ".txt")
    };
}
pub(crate) use regressions;
