//! The documents are held true.
