# The checks that CI runs. `just` lists them; `just check` runs those that need nothing but Rust and Python.

set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes
default:
    @just --list --unsorted

# Run every check that needs nothing but Rust and Python
check: fmt lint features clippy test

# Check the formatting; the kinds are declared by a macro, which cargo fmt does not look into
fmt:
    cargo fmt --check
    rustfmt --check --edition 2024 src/kind/*/mod.rs

# Format the code
format:
    cargo fmt
    rustfmt --edition 2024 src/kind/*/mod.rs

# Check scripts (shellcheck), workflows (zizmor) and spelling (typos)
lint:
    scripts/lint

# Check the HTML pages with axe-core in headless Chromium; needs node, npm and Chromium or Chrome
accessibility:
    scripts/accessibility

# Check that `cargo run` and `cargo test` share one build
features:
    scripts/features

# Run clippy, with and without the built-in AWS emulator
clippy:
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --all-targets --no-default-features -- -D warnings

# Run the tests; snapshots are compared, never written
test *arguments:
    INSTA_UPDATE=no cargo test --locked {{ arguments }}

# Write the screenshots of the gallery; needs pngquant too
screenshots:
    scripts/accessibility --screenshots

# Update snapshots, the generated documents and the sessions shown in the guides
update:
    INSTA_UPDATE=always UPDATE_DOCS=1 cargo test --locked --test suite

# Check licenses, sources, duplicates and advisories of the dependencies; needs cargo-deny
deny:
    cargo deny check

# Compare the emulator with moto, dynalite, AWS's API model, boto3 and the AWS CLI; needs python3 and npm
conformance:
    scripts/conformance

# Fuzz the parsers for some seconds each
fuzz seconds="30":
    scripts/fuzz --seconds {{ seconds }}

# Run the simulation of AWS failures with new seeds
weather seeds="200":
    scripts/weather --seeds {{ seeds }} --fresh

# Build the release binaries, the SBOM and the checksums
release:
    scripts/release
