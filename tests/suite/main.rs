//! The integration tests: the binary end to end, the engine on the AWS emulator with a controlled clock, the documents, and the structure
//! of the sources.
//!
//! The end-to-end tests run against an AWS emulator behind a local server. With `SENTINEL_TEST_AWS` set to the address of a moto server
//! they run against that instead: see `scripts/conformance`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test that meets the unexpected should end"
)]
#![allow(clippy::disallowed_methods, reason = "the tests are the environment")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]
#![allow(clippy::format_collect, reason = "short texts, written to be read")]

mod action;
mod docs;
mod drift;
mod e2e;
mod embedded;
mod endless;
mod engine;
mod files;
mod floor;
mod gallery;
mod guides;
mod hostile;
mod install;
mod language;
mod leaves;
mod mapping;
mod members;
mod options;
mod property;
mod release;
mod replicas;
mod schema;
mod secrets;
mod sources;
mod subresources;
mod tools;
mod untouched;
mod weather;
mod world;
