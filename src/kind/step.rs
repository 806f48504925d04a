//! The steps of a plan, of any kind.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::Step;
use crate::change::Consent;
use crate::resource::call::Operation;

/// The engine's interface to a step of any kind.
pub trait KindStep: fmt::Debug {
    /// Returns the AWS operations that it may call. The first one writes, if any does.
    fn operations(&self) -> &'static [Operation];

    /// Returns the required consent.
    fn needs(&self) -> Option<Consent>;

    /// Returns a short description for progress lines.
    fn describe(&self) -> String;

    /// Returns the time that AWS works on it.
    fn time(&self) -> StepTime {
        StepTime::default()
    }

    /// Returns whether it adds protection and removes none, so that it runs even if another difference is refused.
    fn protects(&self) -> bool {
        false
    }

    /// Returns whether it ends the work on its resource for now.
    fn defers(&self) -> bool {
        false
    }

    /// Returns whether it follows the creation of a resource, with a setting that the creation cannot include.
    fn follows_creation(&self) -> bool {
        false
    }

    /// Returns whether it builds an index, which takes minutes.
    fn builds_index(&self) -> bool {
        false
    }

    /// Returns the step for display, if it contains secrets such as a password in a URL.
    fn shown(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Returns the documents of a new resource, which people read before it is created.
    fn new_documents(&self) -> Vec<NewDocument<'_>> {
        Vec::new()
    }
}

/// The time that AWS works on a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTime {
    /// The lower bound.
    pub quick: Duration,
    /// The upper bound.
    pub slow: Duration,
}

/// A document of a new resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument<'a> {
    /// Its setting, if the resource has several: `delivery_policy`.
    pub setting: Option<String>,
    pub text: Cow<'a, str>,
}

impl Step {
    /// Returns the AWS operations that it may call. The first one writes, if any does.
    pub fn operations(&self) -> &'static [Operation] {
        self.own().operations()
    }

    /// Returns the AWS operation that writes; a wait has none.
    pub fn writes(&self) -> Option<Operation> {
        self.operations().first().copied().filter(|operation| operation.writes())
    }

    /// Returns the required consent.
    pub fn needs(&self) -> Option<Consent> {
        self.own().needs()
    }

    /// Returns a short description for progress lines.
    pub fn describe(&self) -> String {
        self.own().describe()
    }

    /// Returns the time that AWS works on it.
    pub fn time(&self) -> StepTime {
        self.own().time()
    }

    /// Returns whether it adds protection and removes none.
    pub fn protects(&self) -> bool {
        self.own().protects()
    }

    /// Returns whether it ends the work on its resource for now.
    pub fn defers(&self) -> bool {
        self.own().defers()
    }

    /// Returns whether it follows the creation of a resource, with a setting that the creation cannot include.
    pub fn follows_creation(&self) -> bool {
        self.own().follows_creation()
    }

    /// Returns whether it builds an index, which takes minutes.
    pub fn builds_index(&self) -> bool {
        self.own().builds_index()
    }

    /// Returns the documents of a new resource.
    pub fn new_documents(&self) -> Vec<NewDocument<'_>> {
        self.own().new_documents()
    }
}
