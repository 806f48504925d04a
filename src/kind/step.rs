//! The steps of a plan, whatever their kind.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::Step;
use crate::change::Consent;
use crate::resource::call::Operation;

/// What the engine knows of a step, whatever its kind.
pub trait KindStep: fmt::Debug {
    /// Returns the AWS operations that running it may call; the first is the one that changes something, if any.
    fn operations(&self) -> &'static [Operation];

    /// Returns what has to be allowed before it runs.
    fn needs(&self) -> Option<Consent>;

    /// Returns what it does, in a few words for progress lines.
    fn describe(&self) -> String;

    /// Returns how long AWS works on it.
    fn time(&self) -> StepTime {
        StepTime::default()
    }

    /// Returns whether it adds protection and gives up nothing, so that it is done even where another difference is refused.
    fn protects(&self) -> bool {
        false
    }

    /// Returns whether it ends the work on its resource for now.
    fn defers(&self) -> bool {
        false
    }

    /// Returns whether it is one of those that follow the creation of a resource and give it what it has not had yet.
    fn follows_creation(&self) -> bool {
        false
    }

    /// Returns whether it builds an index, which takes minutes.
    fn builds_index(&self) -> bool {
        false
    }

    /// Returns it as it may be shown, where it has something that may not: a password in a URL.
    fn shown(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Returns the documents that a new resource is given, for people to read before it is created.
    fn new_documents(&self) -> Vec<NewDocument<'_>> {
        Vec::new()
    }
}

/// How long AWS works on a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTime {
    /// When it is quick.
    pub quick: Duration,
    /// When it takes its time.
    pub slow: Duration,
}

/// A document that a new resource is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument<'a> {
    /// The setting that it is, where the resource has others: `delivery_policy`.
    pub setting: Option<String>,
    pub text: Cow<'a, str>,
}

impl Step {
    /// Returns the AWS operations that running it may call; the first is the one that changes something, if any.
    pub fn operations(&self) -> &'static [Operation] {
        self.own().operations()
    }

    /// Returns the AWS operation that it changes something with; a wait has none.
    pub fn writes(&self) -> Option<Operation> {
        self.operations().first().copied().filter(|operation| operation.writes())
    }

    /// Returns what has to be allowed before it runs.
    pub fn needs(&self) -> Option<Consent> {
        self.own().needs()
    }

    /// Returns what it does, in a few words for progress lines.
    pub fn describe(&self) -> String {
        self.own().describe()
    }

    /// Returns how long AWS works on it.
    pub fn time(&self) -> StepTime {
        self.own().time()
    }

    /// Returns whether it adds protection and gives up nothing.
    pub fn protects(&self) -> bool {
        self.own().protects()
    }

    /// Returns whether it ends the work on its resource for now.
    pub fn defers(&self) -> bool {
        self.own().defers()
    }

    /// Returns whether it is one of those that follow the creation of a resource and give it what it has not had yet.
    pub fn follows_creation(&self) -> bool {
        self.own().follows_creation()
    }

    /// Returns whether it builds an index, which takes minutes.
    pub fn builds_index(&self) -> bool {
        self.own().builds_index()
    }

    /// Returns the documents that a new resource is given.
    pub fn new_documents(&self) -> Vec<NewDocument<'_>> {
        self.own().new_documents()
    }
}
