//! A declarative, desired-state reconciler for AWS.
//!
//! A manifest becomes desired state, AWS becomes observed state, a pure function makes a plan of the difference, and
//! an executor that makes no decisions carries the plan out:
//!
//! ```text
//! manifest ──► Desired ─┐
//!                       ├─► diff ─► plan ─► guard ─► apply ─► ApplyReport
//! AWS ─► observe ─► Live┘    (pure, no clock,          (no decisions)   │
//!           ▲                 no I/O, no env)                          │
//!           └──────────────── verify: observe again, diff is empty ────┘
//! ```
//!
//! Read [`reconcile`] first: the pass on one screen. `docs/ARCHITECTURE.md` says why it is laid out like this.

pub mod access;
pub mod broker;
pub mod change;
pub mod cli;
pub mod code;
pub mod command;
pub mod diagnostic;
pub mod document;
pub mod error;
pub mod explain;
pub mod export;
mod files;
pub mod iam;
pub mod kind;
#[cfg(feature = "local")]
pub mod local;
pub mod manifest;
pub mod planfile;
pub mod policy;
pub mod provider;
pub mod reconcile;
pub mod report;
pub mod resource;
pub mod review;
mod serving;
pub mod trust;
