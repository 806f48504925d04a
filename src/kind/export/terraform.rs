//! A resource in the AWS provider of Terraform and OpenTofu. Source of all resources and arguments: the documentation of the provider
//! (website/docs/r in hashicorp/terraform-provider-aws).

use super::{Export, snake};
use crate::kind::{Address, Desired, Site};
use crate::resource::Tags;
use crate::resource::names::{AccountId, RegionName};

/// The major version of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 5.100, the last version 5: each region needs its own provider configuration.
    V5,
    /// Each resource can set its region.
    V6,
}

/// The contents of a target's module.
#[derive(Debug)]
pub struct Module {
    pub export: Export,
    pub version: Version,
    pub region: RegionName,
    /// `None` if it is unknown.
    pub account: Option<AccountId>,
    /// The prefix of its block names, which distinguishes targets.
    pub prefix: String,
    pub blocks: Vec<Resource>,
    pub variables: Vec<Variable>,
}

/// A `resource` or a `data` block.
#[derive(Debug, Clone)]
pub struct Resource {
    pub block: BlockType,
    pub type_name: &'static str,
    pub name: String,
    /// Its region, if that is not the target's.
    pub region: Option<String>,
    /// Whether it is in a region or, as a global resource, in the account.
    pub site: Site,
    pub body: Body,
    pub depends_on: Vec<String>,
    /// The arguments that Terraform ignores: those that the manifest does not manage, and those that AWS changes.
    pub ignored: Vec<&'static str>,
    /// Whether Terraform refuses to destroy it.
    pub prevent_destroy: PreventDestroy,
    /// Its import ID; `None` if it is not known to exist.
    pub existing: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockType {
    Resource,
    Data,
}

/// Whether Terraform refuses to destroy a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreventDestroy {
    Yes,
    No,
}

/// A variable for a secret value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub description: String,
}

/// The arguments and blocks of a block, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Body(pub Vec<(String, Item)>);

#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Argument(Expression),
    Block(Body),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Text(String),
    Integer(i64),
    Number(f64),
    Bool(bool),
    List(Vec<Expression>),
    Map(Vec<(String, Expression)>),
    /// A reference to another block. It consists of generated names and is written without quotes.
    Reference(String),
}

impl From<&str> for Expression {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Expression {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Expression {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<i64> for Expression {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Expression {
    fn from(on: bool) -> Self {
        Self::Bool(on)
    }
}

impl From<&Tags> for Expression {
    fn from(tags: &Tags) -> Self {
        Self::Map(tags.iter().map(|(key, value)| (key.clone(), value.into())).collect())
    }
}

impl Body {
    /// Returns an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an argument.
    pub fn set(&mut self, name: &str, value: impl Into<Expression>) -> &mut Self {
        self.0.push((name.to_owned(), Item::Argument(value.into())));
        self
    }

    /// Adds an argument if there is a value.
    pub fn maybe(&mut self, name: &str, value: Option<impl Into<Expression>>) -> &mut Self {
        if let Some(value) = value {
            self.set(name, value);
        }
        self
    }

    /// Adds a block if there is one.
    pub fn maybe_block(&mut self, name: &str, body: Option<Self>) -> &mut Self {
        if let Some(body) = body {
            self.block(name, body);
        }
        self
    }

    pub fn block(&mut self, name: &str, body: Self) -> &mut Self {
        self.0.push((name.to_owned(), Item::Block(body)));
        self
    }
}

impl Module {
    /// Returns the block name of an address.
    pub fn name(&self, address: &Address) -> String {
        format!("{}{}_{}", self.prefix, address.kind.about().id, snake(&address.key))
    }

    /// Adds a resource, and returns it for further settings.
    pub fn add<T>(&mut self, desired: &Desired<T>, of_type: &'static str, body: Body) -> &mut Resource {
        let name = self.name(&desired.address);
        self.add_named(name, of_type, body)
    }

    /// Adds a resource with another name.
    pub fn add_named(&mut self, name: String, of_type: &'static str, body: Body) -> &mut Resource {
        self.push(BlockType::Resource, name, of_type, body)
    }

    fn push(&mut self, block: BlockType, name: String, of_type: &'static str, body: Body) -> &mut Resource {
        let resource = Resource {
            block,
            type_name: of_type,
            name,
            region: None,
            site: Site::Region,
            body,
            depends_on: Vec::new(),
            ignored: Vec::new(),
            prevent_destroy: PreventDestroy::No,
            existing: None,
        };
        let position = self.blocks.len();
        self.blocks.push(resource);
        &mut self.blocks[position]
    }

    /// Adds a variable for a secret value, and returns the reference to it.
    pub fn secret(&mut self, name: String, description: String) -> Expression {
        let reference = Expression::Reference(format!("var.{name}"));
        self.variables.push(Variable { name, description });
        reference
    }

    /// Returns the reference to the ARN of an alias's key that is not exported. Terraform looks up the alias, because the provider compares
    /// ARNs. The key may be in another region than the target.
    pub fn key_of_alias(&mut self, alias: &str, elsewhere: Option<&str>) -> Expression {
        const ALIAS: &str = "aws_kms_alias";
        let region_prefix = elsewhere.map(|region| format!("{region}_")).unwrap_or_default();
        let name = format!("alias_{}{region_prefix}{}", self.prefix, snake(alias.trim_start_matches("alias/")));
        let is_there = |one: &Resource| one.block == BlockType::Data && one.type_name == ALIAS && one.name == name;
        let reference = Expression::Reference(format!("data.{ALIAS}.{name}.target_key_arn"));
        if !self.blocks.iter().any(is_there) {
            let mut body = Body::new();
            body.set("name", alias);
            self.push(BlockType::Data, name, ALIAS, body).region = elsewhere.map(str::to_owned);
        }
        reference
    }
}

/// Returns the reference to an attribute of a resource.
pub fn reference(of_type: &str, name: &str, attribute: &str) -> Expression {
    Expression::Reference(format!("{of_type}.{name}.{attribute}"))
}

/// Adds tags. Tags that the manifest does not manage are set on a new resource, and then ignored.
pub fn add_tags(resource: &mut Resource, tags: Option<&Tags>, managed: Option<&Tags>) {
    resource.body.maybe("tags", tags.filter(|tags| !tags.is_empty()));
    if managed.is_none() {
        resource.ignored.extend(["tags", "tags_all"]);
    }
}
