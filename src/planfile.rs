//! A saved plan: the plan, its inputs, and a digest that detects changes to the file.
//!
//! A saved plan is untrusted input, since its digest can be recomputed after a change. It is read only if its steps and texts follow from
//! its own desired state, and a manifest could express that state: see `verify`.

mod verify;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diagnostic::Source;
use crate::kind::{Address, DesiredResource, KindId};
use crate::manifest::cases_file;
use crate::reconcile::{Pass, Plan};
use crate::resource::destination::{self, Destination, Route};
use crate::resource::digest;
use crate::review::{Place, Review, ReviewInput, ReviewInputs};

/// The version of the file's format. It changes with each incompatible change, such as a renamed value.
pub const FORMAT_VERSION: u32 = 2;
/// The document type in the file.
const KIND: &str = "sentinel plan";
/// The version of this tool. Steps are interpreted by the version that planned them.
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    pub format_version: u32,
    pub kind: String,
    pub tool_version: String,
    pub manifest: Origin,
    /// Everything else that the files contribute: the reviews follow from it.
    #[serde(default)]
    pub review_inputs: SavedReviewInputs,
    /// One for each target.
    pub targets: Vec<SavedTarget>,
}

/// The manifest a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub path: String,
    /// The other files that were named with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_paths: Vec<String>,
    /// `sha256:…` of its text.
    pub digest: String,
    /// The files that it consists of, if there are several, including included files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<OriginFile>,
}

/// A file of a manifest that consists of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginFile {
    pub path: String,
    pub digest: String,
}

impl Origin {
    /// Returns the origin of a manifest; `also` are the other files that were named.
    pub fn of(source: &Arc<Source>, other_paths: Vec<String>) -> Self {
        let parts = source.parts();
        let file =
            |(_, part): &(usize, Arc<Source>)| OriginFile { path: part.path.clone(), digest: digest(&part.text) };
        let files = if parts.len() > 1 { parts.iter().map(file).collect() } else { Vec::new() };
        Self { path: source.path.clone(), other_paths, digest: digest(&source.text), files }
    }

    /// Returns the files that changed, or that only one of the two has.
    pub fn differing<'a>(&'a self, now: &'a Self) -> Vec<&'a str> {
        if self.digest == now.digest {
            return Vec::new();
        }
        if self.files.is_empty() && now.files.is_empty() {
            return vec![&now.path];
        }
        let lacks = |others: &[OriginFile], one: &OriginFile| !others.contains(one);
        let gone = self.files.iter().filter(|one| !now.files.iter().any(|other| other.path == one.path));
        let changed = now.files.iter().filter(|one| lacks(&self.files, one));
        changed.chain(gone).map(|one| one.path.as_str()).collect()
    }
}

/// The inputs of a review other than the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedReviewInputs {
    /// Every resource of the manifest.
    pub resources: BTreeMap<Address, SavedReviewInput>,
    /// The text of each file of test cases, by its path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cases: BTreeMap<String, String>,
    /// The tables of the manifest, by their names in the manifest and in AWS.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tables: BTreeSet<String>,
}

/// The location of a resource in the manifest, and its policy file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedReviewInput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The file of the line, if it is not the manifest itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// As written in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

impl SavedReviewInputs {
    /// Returns the saved inputs; `policies` are the policy files as written in the manifest.
    pub fn new(manifest: &str, review_inputs: &ReviewInputs, policies: &BTreeMap<String, String>) -> Self {
        let of = review_inputs.resources.iter().map(|(address, inputs)| {
            let policy = policies.get(&address.key).filter(|_| address.kind == KindId::Policy).cloned();
            let place = inputs.place.as_ref();
            let file = place.filter(|place| *place.path != *manifest).map(|place| place.path.to_string());
            (address.clone(), SavedReviewInput { line: place.map(|place| place.line), file, policy })
        });
        let open = review_inputs.resources.values().filter(|inputs| !inputs.secret);
        let cases = open.filter_map(|inputs| inputs.cases.as_ref());
        Self {
            resources: of.collect(),
            cases: cases.map(|source| (source.path.clone(), source.text.clone())).collect(),
            tables: review_inputs.tables.clone(),
        }
    }
}

/// One target's plan, and its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTarget {
    pub connection: SavedConnection,
    #[serde(flatten)]
    pub plan: Plan,
    /// The desired state, which is observed before and after the apply.
    pub desired: Vec<DesiredResource>,
    /// The review of the plan, shown again later.
    #[serde(default)]
    pub review: Review,
    /// The inputs of its review, if they differ from those of other targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_inputs: Option<SavedReviewInputs>,
}

/// The credentials of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedConnection {
    #[serde(flatten)]
    pub route: Route,
    /// The absolute path of the AWS emulator's folder; the plan shows the path relative to the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "destination::shown")]
    pub local: Option<PathBuf>,
}

impl SavedConnection {
    /// Returns the connection of a destination, independent of the working directory.
    fn of(destination: &Destination) -> Self {
        let local = destination.local.as_ref();
        let local = local.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone()));
        Self { route: destination.route.clone(), local }
    }
}

impl SavedTarget {
    /// Sets the layout of each resource of the plan from the desired state.
    fn lay_out(&mut self) {
        let layouts: HashMap<&Address, &DesiredResource> =
            self.desired.iter().map(|desired| (desired.address(), desired)).collect();
        for resource in &mut self.plan.resources {
            resource.layout = layouts.get(&resource.address).and_then(|desired| desired.layout()).map(Box::new);
        }
    }

    /// Returns a pass in its saved form.
    pub fn new(pass: &Pass, review: &Review) -> Self {
        let connection = SavedConnection::of(&pass.plan.target);
        Self {
            connection,
            plan: pass.plan.clone(),
            desired: pass.desired.clone(),
            review: review.clone(),
            review_inputs: None,
        }
    }
}

/// The reason why a file cannot be applied as a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("is not a saved plan")]
    NotAPlan,
    #[error("it is not a complete JSON document: line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("its format is version {found}, but this version of Sentinel reads version {FORMAT_VERSION}")]
    OtherFormat { found: u64 },
    #[error("it was made by Sentinel {found}, and this is Sentinel {TOOL_VERSION}")]
    OtherVersion { found: String },
    #[error("it was changed after it was made: the digest does not match the text")]
    Edited,
    #[error("it is not a valid plan: {why}")]
    Impossible { why: String },
    #[error("it cannot be read: {why}")]
    Unreadable { why: String },
}

/// Returns the digest of a document without its own digest. Formatting does not change the digest.
fn digest_of(document: &Value) -> String {
    let mut rest = document.clone();
    if let Some(rest) = rest.as_object_mut() {
        rest.remove("digest");
    }
    digest(&rest.to_string())
}

impl PlanFile {
    /// Returns the file of these plans.
    pub fn new(manifest: Origin, review_inputs: SavedReviewInputs, targets: Vec<SavedTarget>) -> Self {
        let (kind, tool_version) = (KIND.to_owned(), TOOL_VERSION.to_owned());
        Self { format_version: FORMAT_VERSION, kind, tool_version, manifest, review_inputs, targets }
    }

    /// Returns the inputs of the reviews.
    pub fn review_inputs(&self) -> ReviewInputs {
        self.review_inputs_of(&self.review_inputs)
    }

    /// Returns the inputs of a target's review; `shared` has those of all targets.
    pub fn review_inputs_at<'a>(&self, target: &SavedTarget, shared: &'a ReviewInputs) -> Cow<'a, ReviewInputs> {
        target.review_inputs.as_ref().map_or(Cow::Borrowed(shared), |own| Cow::Owned(self.review_inputs_of(own)))
    }

    fn review_inputs_of(&self, saved: &SavedReviewInputs) -> ReviewInputs {
        let SavedReviewInputs { resources, cases, tables } = saved;
        let folder = Path::new(&self.manifest.path).parent().unwrap_or(Path::new(""));
        let path: Arc<str> = self.manifest.path.as_str().into();
        let of = resources.iter().map(|(address, saved)| {
            let file = saved.file.as_deref().map_or_else(|| Arc::clone(&path), Into::into);
            let place = saved.line.map(|line| Place { path: file, line });
            let policy = saved.policy.as_ref().map(|policy| folder.join(policy));
            let policy = policy.map(|path| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
            let beside = policy.as_deref().map(|policy| cases_file(policy).display().to_string());
            let cases = beside.and_then(|path| Some(Source::new(path.clone(), cases.get(&path)?.clone())));
            let policy = policy.map(|path| path.display().to_string());
            (address.clone(), ReviewInput { place, policy, cases, secret: false })
        });
        let of: BTreeMap<Address, ReviewInput> = of.collect();
        let profiles = of.keys().filter(|address| address.kind == KindId::Policy);
        ReviewInputs {
            profiles: profiles.map(|address| address.key.clone()).collect(),
            tables: tables.clone(),
            resources: of,
        }
    }

    /// Returns its text.
    ///
    /// # Errors
    ///
    /// Cannot fail in practice: the plan is plain data.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut document = serde_json::to_value(self)?;
        document["digest"] = Value::String(digest_of(&document));
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    /// Reads a file's text, and checks everything that can be checked without AWS.
    ///
    /// # Errors
    ///
    /// Returns the reason why the plan cannot be applied.
    pub fn read(text: &str) -> Result<Self, Unusable> {
        let document: Value = serde_json::from_str(text).map_err(|error| match text.trim_start().starts_with('{') {
            true => Unusable::NotJson { line: error.line(), column: error.column() },
            false => Unusable::NotAPlan,
        })?;
        if !is_plan(&document) {
            return Err(Unusable::NotAPlan);
        }
        match document["format_version"].as_u64() {
            Some(found) if found == u64::from(FORMAT_VERSION) => {}
            found => return Err(Unusable::OtherFormat { found: found.unwrap_or(0) }),
        }
        match document["tool_version"].as_str() {
            Some(TOOL_VERSION) => {}
            found => return Err(Unusable::OtherVersion { found: found.unwrap_or("unknown").to_owned() }),
        }
        if document["digest"].as_str() != Some(&digest_of(&document)) {
            return Err(Unusable::Edited);
        }
        let mut file: Self =
            serde_json::from_value(document).map_err(|error| Unusable::Unreadable { why: error.to_string() })?;
        file.targets.iter_mut().for_each(SavedTarget::lay_out);
        file.verify().map_err(|why| Unusable::Impossible { why })?;
        Ok(file)
    }

    /// Returns whether a text is a saved plan of any version, which a new plan may replace.
    pub fn is_one(text: &str) -> bool {
        serde_json::from_str(text).is_ok_and(|document| is_plan(&document))
    }
}

fn is_plan(document: &Value) -> bool {
    document["kind"] == KIND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::Scope;
    use crate::resource::caller::Caller;
    use crate::resource::destination::Region;
    use crate::resource::names::{AccountId, AwsProfile, PolicyRoot, RegionName, RoleArn, UserId};

    /// Returns a file with one target and no resources.
    fn file() -> PlanFile {
        let caller = Caller {
            account: AccountId::new("111111111111"),
            arn: String::from("arn:aws:iam::111111111111:user/alice"),
            user_id: UserId::default(),
        };
        let region = Region { name: RegionName::new("us-east-1"), source: String::from("the manifest") };
        let target = Destination { caller: Some(caller), ..Destination::new(region, PolicyRoot::new("/s")) };
        let plan = Plan {
            target,
            scope: Scope::default(),
            resources: Vec::new(),
            unmanaged: Vec::new(),
            unlisted: Vec::new(),
            orphans: crate::reconcile::Orphans::default(),
            gates: Vec::new(),
        };
        let (connection, review) = (SavedConnection::default(), Review::default());
        let target = SavedTarget { connection, plan, desired: Vec::new(), review, review_inputs: None };
        let origin = Origin::of(&Source::new("sentinel.toml", "x"), Vec::new());
        PlanFile::new(origin, SavedReviewInputs::default(), vec![target])
    }

    #[test]
    fn a_plan_reads_back_regardless_of_formatting() {
        let text = file().to_text().unwrap();
        assert_eq!(PlanFile::read(&text), Ok(file()));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(PlanFile::read(&value.to_string()), Ok(file()));
        assert!(PlanFile::is_one(&text));
    }

    /// Users keep saved plans, so a new name of a field or of a value is a new format. After such a change, increase `FORMAT_VERSION` and
    /// replace the plan, with which fuzzing begins too.
    #[test]
    fn a_stored_plan_of_this_format_reads_back_unchanged() {
        let mut stored: Value = serde_json::from_str(include_str!("../fuzz/seeds/plan_file/plan.json")).unwrap();
        stored["tool_version"] = TOOL_VERSION.into();
        stored["digest"] = digest_of(&stored).into();
        let file = PlanFile::read(&stored.to_string()).unwrap();
        let again: Value = serde_json::from_str(&file.to_text().unwrap()).unwrap();
        assert_eq!(again, stored);
    }

    #[test]
    fn other_files_and_versions_are_distinguished() {
        let text = file().to_text().unwrap();
        let version = format!("\"tool_version\": \"{TOOL_VERSION}\"");
        let format_version = format!("\"format_version\": {FORMAT_VERSION}");
        assert_eq!(PlanFile::read("[aws]"), Err(Unusable::NotAPlan));
        assert_eq!(PlanFile::read("{}"), Err(Unusable::NotAPlan));
        assert_eq!(
            PlanFile::read(&text[..text.len() / 2]).unwrap_err().to_string().split(": ").next(),
            Some("it is not a complete JSON document")
        );
        for found in [1, u64::from(FORMAT_VERSION) + 1] {
            let other = text.replace(&format_version, &format!("\"format_version\": {found}"));
            assert_eq!(PlanFile::read(&other), Err(Unusable::OtherFormat { found }));
        }
        let other = text.replace(&version, "\"tool_version\": \"9.9.9\"");
        assert_eq!(PlanFile::read(&other), Err(Unusable::OtherVersion { found: String::from("9.9.9") }));
        assert_eq!(PlanFile::read(&text.replace("sentinel.toml", "other.toml")), Err(Unusable::Edited));
    }

    #[test]
    fn a_plan_with_an_inconsistent_destination_is_refused() {
        let why = |forge: &dyn Fn(&mut PlanFile)| {
            let mut forged = file();
            forge(&mut forged);
            match PlanFile::read(&forged.to_text().unwrap()) {
                Err(Unusable::Impossible { why }) => why,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(why(&|file| file.targets.clear()), "it has no target");
        assert!(why(&|file| file.targets[0].plan.target.caller = None).contains("does not name its account"));
        for root in ["", "/", "/a/b/../../c"] {
            assert!(
                why(&|file| file.targets[0].plan.target.policy_root = PolicyRoot::new(root)).contains("policy root")
            );
        }
        assert!(why(&|file| file.targets[0].plan.target.region.name = RegionName::new("x\n")).contains("region"));
        assert!(why(&|file| file.targets[0].plan.target.name = Some(String::from("../x"))).contains("target"));
        let account = |file: &mut PlanFile, account: &str| {
            file.targets[0].plan.target.caller.as_mut().unwrap().account = AccountId::new(account);
        };
        assert!(why(&|file| account(file, "1")).contains("account"));
        assert!(why(&|file| account(file, "222222222222")).contains("222222222222"));
        let role =
            |file: &mut PlanFile, role: &str| file.targets[0].connection.route.role_arn = Some(RoleArn::new(role));
        assert!(why(&|file| role(file, "admin")).contains("role"));
        assert!(why(&|file| role(file, "arn:aws:iam::222222222222:role/admin")).contains("222222222222"));
        assert!(
            why(&|file| file.targets[0].connection.route.aws_profile = Some(AwsProfile::new("")))
                .contains("AWS profile")
        );
        assert!(why(&|file| file.targets[0].connection.local = Some(PathBuf::from("x"))).contains("AWS emulator"));
        assert!(why(&|file| file.targets[0].plan.target.local = Some(PathBuf::from("x"))).contains("AWS emulator"));
        assert!(why(&|file| file.targets[0].plan.scope.prune = true).contains("ownership tag"));
        assert!(why(&|file| file.targets.push(file.targets[0].clone())).contains("target"));
    }

    #[test]
    fn a_plan_with_an_invalid_filter_is_refused() {
        for filters in ["only", "exclude"] {
            for pattern in ["[", "tables.[", "table.*", ""] {
                let mut document: Value = serde_json::from_str(&file().to_text().unwrap()).unwrap();
                document["targets"][0]["scope"][filters] = serde_json::json!([pattern]);
                document["digest"] = Value::String(digest_of(&document));
                let refused = PlanFile::read(&document.to_string()).unwrap_err();
                let Unusable::Unreadable { why } = refused else { panic!("{filters} {pattern}: {refused}") };
                assert!(why.contains(&format!("the filter \"{pattern}\" is not valid")), "{why}");
            }
        }
    }
}
