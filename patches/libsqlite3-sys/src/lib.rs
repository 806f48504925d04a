//! libsqlite3-sys 0.40 under the version that rusqlite 0.36 asks for.

pub use current::*;
