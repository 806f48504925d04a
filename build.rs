//! Links debug builds for Linux at a fixed address.
//!
//! The loader relocates a position-independent debug build for four milliseconds at each start, and the tests start thousands of processes.
//! Released binaries stay position-independent, so that their addresses can be randomized.

#![allow(clippy::disallowed_methods, reason = "cargo passes everything to a build script in the environment")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    if is("PROFILE", "debug") && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg=-no-pie");
    }
}
