//! Templates, the files that import existing resources, and the commands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::stackset::{self, Differs};
use super::{Exported, File, SCRIPT, StackSummary, Target, gather, global, script, stack_of};
use crate::kind::Address;
use crate::kind::export::cloudformation::{Condition, Parameter, Properties, Resource, Stack, resolved};

/// The maximum number of resources of a template. Source of the limits: "Understand CloudFormation quotas" in the AWS CloudFormation User
/// Guide.
const RESOURCES: usize = 500;
/// The maximum number of parameters of a template.
const PARAMETERS: usize = 200;

/// How a template is passed to CloudFormation, which determines its maximum size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In the request.
    Inline,
    /// From a bucket.
    Bucket,
}

impl Delivery {
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Inline => 51_200,
            Self::Bucket => 1_048_576,
        }
    }
}

/// The reason why there is no export.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// A resource with its subresources does not fit into a template.
    TooLarge { address: Address, bytes: usize, resources: usize, parameters: usize },
    /// The targets have templates of different shapes.
    Differs(Differs),
    /// The account of a target is unknown, and a stack set needs it.
    NoAccount(Option<String>),
}

/// The contents of one template.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) resources: Vec<Resource>,
    pub(super) parameters: Vec<Parameter>,
    /// Parameters whose values vary by target, with their definitions.
    pub(super) varying: Map<String, Value>,
}

impl Part {
    /// Returns the option without which CloudFormation creates no role that has a name. Source: "Acknowledging IAM resources in
    /// CloudFormation templates" in the AWS CloudFormation User Guide.
    fn capabilities(&self) -> &'static str {
        let has_role = self.resources.iter().any(|one| one.type_name.starts_with("AWS::IAM::"));
        if has_role { " --capabilities CAPABILITY_NAMED_IAM" } else { "" }
    }
}

/// Returns the files of all targets, with separate templates for each.
///
/// # Errors
///
/// Fails if a resource does not fit into a template.
pub fn export(targets: &[Target<'_>], delivery: Delivery) -> Result<Exported, Failure> {
    let mut exported = Exported::default();
    let mut blocks = Vec::new();
    let global = global::divide(targets);
    gather(&mut exported.unsupported, global.unsupported);
    gather(&mut exported.notes, global.notes);
    for (target, elsewhere) in targets.iter().zip(&global.elsewhere) {
        let stack = stack_of(target, elsewhere);
        let slug = target.slug();
        let parts = divide(stack.resources, &stack.parameters, &Map::new(), delivery)?;
        gather(&mut exported.unsupported, stack.export.unsupported);
        gather(&mut exported.notes, stack.export.notes);
        let mut stacks = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let name = if parts.len() == 1 { slug.clone() } else { format!("{slug}-{:02}", number + 1) };
            stacks.push(write(target, &name, part, &mut exported));
        }
        blocks.push(script::Block { target, stacks });
    }
    exported.files.push(File { name: String::from(SCRIPT), text: script::stacks(&blocks, delivery) });
    Ok(exported)
}

/// Returns the files of one stack set for all targets.
///
/// # Errors
///
/// Fails if the templates of the targets have different shapes, or an account is unknown.
pub fn export_stack_set(targets: &[Target<'_>], delivery: Delivery) -> Result<Exported, Failure> {
    let mut exported = Exported::default();
    let mut global = global::divide(targets);
    gather(&mut exported.unsupported, std::mem::take(&mut global.unsupported));
    gather(&mut exported.notes, std::mem::take(&mut global.notes));
    // Every target has all resources, because there is one template. A condition omits the global ones in all regions but one.
    let mut stacks: Vec<Stack> = targets.iter().map(|target| stack_of(target, &BTreeSet::new())).collect();
    for stack in &mut stacks {
        gather(&mut exported.unsupported, std::mem::take(&mut stack.export.unsupported));
        gather(&mut exported.notes, std::mem::take(&mut stack.export.notes));
    }
    let merged = stackset::merge(targets, stacks, &global)?;
    let parts = divide(merged.resources, &merged.parameters, &merged.varying, delivery)?;
    let instances = stackset::instances(targets, &merged.values)?;
    let mut sets = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let name = if parts.len() == 1 { String::from("sentinel") } else { format!("sentinel-{:02}", number + 1) };
        let text =
            template("every target of the stack set", part, &part.resources, |resource| Some(&resource.properties));
        let file = format!("{name}.template.json");
        exported.stacks.push(StackSummary {
            target: None,
            file: file.clone(),
            resources: part.resources.len(),
            bytes: text.len(),
            imports: 0,
            before: Vec::new(),
        });
        exported.files.push(File { name: file.clone(), text });
        let used: BTreeSet<&String> = part.varying.keys().collect();
        let document = stackset::document(&name, &file, &instances, &used);
        exported.files.push(File { name: format!("{name}.stackset.json"), text: format!("{document:#}\n") });
        let capabilities = part.capabilities();
        sets.push(script::Set { name, file, document, parameters: part.parameters.clone(), capabilities });
    }
    exported.files.push(File { name: String::from(SCRIPT), text: script::stack_sets(&sets, delivery) });
    Ok(exported)
}

/// Writes the files of one stack, and returns the data for the commands.
fn write(target: &Target<'_>, name: &str, part: &Part, exported: &mut Exported) -> script::Stack {
    let about = target.name.as_ref().map_or_else(|| String::from("the manifest"), |name| format!("target {name}"));
    let updates = part.resources.iter().map(|resource| resource.earlier.len()).max().unwrap_or(0);
    let state = |resource: &Resource, number: usize| -> Option<Properties> {
        let last = || Some(resource.properties.clone());
        resource.earlier.get(number).cloned().unwrap_or_else(last)
    };
    let mut before = Vec::new();
    // Existing resources are imported with their live settings before the first update.
    let existing: Vec<Resource> = part.resources.iter().filter(|one| one.existing.is_some()).cloned().collect();
    let mut import = None;
    if !existing.is_empty() {
        let text = template(&about, part, &existing, |resource| {
            resource.earlier.first().map_or(Some(&resource.properties), Option::as_ref)
        });
        let file = format!("{name}.import.template.json");
        let list: Vec<Value> = existing.iter().map(to_import).collect();
        let resources = format!("{name}.resources-to-import.json");
        exported.files.push(File { name: file.clone(), text });
        exported.files.push(File { name: resources.clone(), text: format!("{:#}\n", Value::from(list)) });
        before.push(file.clone());
        import = Some(script::Import { template: file, resources });
    }
    let mut series = Vec::new();
    for number in 0..updates {
        // The first update adds the new resources to the imported ones. Without an import it starts from the live state.
        let states: Vec<Option<Properties>> = part.resources.iter().map(|one| state(one, number)).collect();
        let resources: Vec<Resource> = part
            .resources
            .iter()
            .zip(states)
            .filter_map(|(one, properties)| Some(Resource { properties: properties?, ..one.clone() }))
            .collect();
        let text = template(&about, part, &resources, |resource| Some(&resource.properties));
        let file = format!("{name}.update-{number:02}.template.json");
        exported.files.push(File { name: file.clone(), text });
        series.push(file);
    }
    before.extend(series.iter().cloned());
    let text = template(&about, part, &part.resources, |resource| Some(&resource.properties));
    let file = format!("{name}.template.json");
    exported.stacks.push(StackSummary {
        target: target.name.clone(),
        file: file.clone(),
        resources: part.resources.len(),
        bytes: text.len(),
        imports: existing.len(),
        before,
    });
    exported.files.push(File { name: file.clone(), text });
    series.push(file);
    let is_whole = existing.len() == part.resources.len() && updates == 0;
    let (name, parameters, capabilities) = (name.to_owned(), part.parameters.clone(), part.capabilities());
    script::Stack { name, import, templates: series, parameters, is_whole, capabilities }
}

fn to_import(resource: &Resource) -> Value {
    json!({
        "ResourceType": resource.type_name,
        "LogicalResourceId": resource.id,
        "ResourceIdentifier": resource.existing,
    })
}

/// Returns a template with the chosen properties of each resource; a resource without any is omitted.
fn template<'a>(
    about: &str,
    part: &Part,
    resources: &'a [Resource],
    chosen: impl Fn(&'a Resource) -> Option<&'a Properties>,
) -> String {
    let ids = resources.iter().map(|one| one.id.clone()).collect();
    template_beside(about, part, resources, &ids, chosen)
}

/// Returns a template that treats references to these logical IDs as its own resources.
fn template_beside<'a>(
    about: &str,
    part: &Part,
    resources: &'a [Resource],
    ids: &BTreeSet<String>,
    chosen: impl Fn(&'a Resource) -> Option<&'a Properties>,
) -> String {
    let mut all = Map::new();
    let mut conditions = Map::new();
    for resource in resources {
        let Some(properties) = chosen(resource) else { continue };
        let properties: Map<String, Value> =
            properties.iter().map(|(name, value)| (name.clone(), resolved(value, &|id| ids.contains(id)))).collect();
        let mut one = json!({
            "Type": resource.type_name,
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": properties,
        });
        let after: Vec<&String> = resource.depends_on.iter().filter(|id| ids.contains(id.as_str())).collect();
        if !after.is_empty() {
            one["DependsOn"] = json!(after);
        }
        if let Some(Condition { name, definition }) = &resource.condition {
            one["Condition"] = json!(name);
            conditions.insert(name.clone(), definition.clone());
        }
        all.insert(resource.id.clone(), one);
    }
    let mut template = Map::new();
    template.insert(String::from("AWSTemplateFormatVersion"), json!("2010-09-09"));
    template.insert(String::from("Description"), json!(format!("Exported by Sentinel for {about}.")));
    let text = json!([all, conditions]).to_string();
    let mut parameters: Map<String, Value> = part
        .varying
        .iter()
        .filter(|(name, _)| refers(&text, name))
        .map(|(name, one)| (name.clone(), one.clone()))
        .collect();
    for parameter in part.parameters.iter().filter(|one| refers(&text, &one.id)) {
        let one = json!({ "Type": "String", "NoEcho": true, "Description": parameter.description });
        parameters.insert(parameter.id.clone(), one);
    }
    if !parameters.is_empty() {
        template.insert(String::from("Parameters"), parameters.into());
    }
    if !conditions.is_empty() {
        template.insert(String::from("Conditions"), conditions.into());
    }
    template.insert(String::from("Resources"), all.into());
    format!("{:#}\n", Value::from(template))
}

fn refers(text: &str, parameter: &str) -> bool {
    text.contains(&json!({ "Ref": parameter }).to_string())
}

/// Divides resources into templates. All resources of one address stay in the same template, and referenced resources are in the first one.
fn divide(
    resources: Vec<Resource>,
    parameters: &[Parameter],
    varying: &Map<String, Value>,
    delivery: Delivery,
) -> Result<Vec<Part>, Failure> {
    let ids: BTreeSet<String> = resources.iter().map(|one| one.id.clone()).collect();
    let mut groups: BTreeMap<(u8, usize), Vec<Resource>> = BTreeMap::new();
    let mut places: BTreeMap<Address, usize> = BTreeMap::new();
    for resource in resources {
        let next = places.len();
        let position = *places.entry(resource.address.clone()).or_insert(next);
        let rank = u8::from(!resource.first);
        groups.entry((rank, position)).or_default().push(resource);
    }
    let part_of = |resources: &[Resource]| {
        let addresses: BTreeSet<&Address> = resources.iter().map(|one| &one.address).collect();
        let condition = |one: &Resource| one.condition.as_ref().map(|condition| condition.definition.clone());
        let texts = resources.iter().map(|one| json!([one.properties, one.earlier, condition(one)]).to_string());
        let text: String = texts.collect();
        Part {
            resources: resources.to_vec(),
            parameters: parameters.iter().filter(|one| addresses.contains(&one.address)).cloned().collect(),
            varying: varying
                .iter()
                .filter(|(name, _)| refers(&text, name))
                .map(|(name, one)| (name.clone(), one.clone()))
                .collect(),
        }
    };
    let size = |part: &Part| {
        // An earlier template may be longer than the last, since indexes are added and deleted one by one.
        let longest = |one: &Resource| {
            let earlier = one.earlier.iter().flatten().map(|one| Value::from(one.clone()).to_string().len());
            earlier.max().unwrap_or(0).saturating_sub(Value::from(one.properties.clone()).to_string().len())
        };
        // A reference may be within the template or across templates: the longer form is counted.
        let text = template_beside(&"x".repeat(80), part, &part.resources, &ids, |resource| Some(&resource.properties));
        text.len() + 2 * part.resources.iter().map(longest).sum::<usize>()
    };
    let fits = |part: &Part| {
        part.resources.len() <= RESOURCES
            && part.parameters.len() + part.varying.len() <= PARAMETERS
            && size(part) <= delivery.limit()
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    let empty = size(&Part::default());
    for ((_, _), group) in groups {
        let own = part_of(&group);
        let own_size = size(&own);
        if !fits(&own) {
            let (address, resources) = (group[0].address.clone(), group.len());
            let parameters = own.parameters.len() + own.varying.len();
            return Err(Failure::TooLarge { address, bytes: own_size, resources, parameters });
        }
        // The sum of the sizes is an upper bound, since each part has its own frame. It avoids writing ten thousand resources ten thousand
        // times.
        let more = own_size.saturating_sub(empty) + 8;
        match (parts.last_mut(), sizes.last_mut()) {
            (Some(last), Some(total))
                if last.resources.len() + group.len() <= RESOURCES
                    && last.parameters.len() + own.parameters.len() + last.varying.len() + own.varying.len()
                        <= PARAMETERS
                    && *total + more <= delivery.limit() =>
            {
                *total += more;
                last.resources.extend(own.resources);
                last.parameters.extend(own.parameters);
                last.varying.extend(own.varying);
            }
            _ => {
                sizes.push(own_size + 8);
                parts.push(own);
            }
        }
    }
    Ok(parts)
}
