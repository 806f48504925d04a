//! The JSON schemas are correct: every plan of the tests is valid under its schema, and the schema of a manifest matches the parser.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use sentinel::diagnostic::{Faults, Source};
use sentinel::kind::KindId;
use sentinel::manifest;
use serde_json::{Value, json};

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Returns a schema that accepts no undescribed field. The published schema accepts them, because fields are only ever added and readers
/// must ignore new ones.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(strict);
            let combines = ["oneOf", "anyOf", "allOf"].iter().any(|key| map.contains_key(*key));
            if map.contains_key("properties") && !map.contains_key("additionalProperties") && !combines {
                map.insert("unevaluatedProperties".into(), json!(false));
            } else if map.contains_key("properties") && combines {
                // Its own fields count together with those of the combined schemas.
                map.insert("unevaluatedProperties".into(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strict),
        _ => {}
    }
}

/// Relaxes the schema of a part that others extend.
fn parts_are_open(schema: &mut Value) {
    for name in ["plan", "error"] {
        schema["$defs"][name].as_object_mut().unwrap().remove("unevaluatedProperties");
    }
    for branch in schema["oneOf"].as_array_mut().unwrap() {
        branch.as_object_mut().unwrap().remove("unevaluatedProperties");
    }
}

static PLAN: LazyLock<Validator> = LazyLock::new(|| {
    let mut schema = schema("plan.schema.json");
    strict(&mut schema);
    parts_are_open(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
});

static MANIFEST: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema("sentinel.schema.json")).unwrap());

/// Checks a document of `plan` or `show` against the schema, without undescribed fields.
#[track_caller]
pub fn check_plan(document: &Value) {
    let errors: Vec<String> =
        PLAN.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\nin {document:#}");
}

#[test]
fn an_undescribed_field_is_detected() {
    let plan =
        json!({ "format_version": 1, "command": "plan", "error": { "message": "m", "hint": null, "faults": [] } });
    check_plan(&plan);
    for place in ["", "/error"] {
        let mut other = plan.clone();
        other.pointer_mut(place).unwrap()["extra"] = json!(1);
        assert!(!PLAN.is_valid(&other), "{other}");
    }
}

/// Returns the faults of a manifest.
fn faults(text: &str) -> Vec<sentinel::diagnostic::Fault> {
    let mut faults = Faults::default();
    manifest::parse(&Source::new("sentinel.toml", text), &mut faults);
    faults.into_sorted()
}

fn as_json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

/// The parser lists the known keys in its error for an unknown one.
#[test]
fn the_manifest_schema_has_the_keys_of_the_parser() {
    let schema = schema("sentinel.schema.json");
    // A section of each kind, by the definition that the schema uses for any name.
    let kinds: Vec<(String, String)> = KindId::ALL
        .iter()
        .map(|kind| {
            let section = kind.section();
            let place = schema["properties"][section]["additionalProperties"]["$ref"].as_str().unwrap();
            (format!("[{section}.x]"), place.trim_start_matches('#').to_owned())
        })
        .collect();
    let kinds = kinds.iter().map(|(head, place)| (head.as_str(), place.as_str()));
    let sections = [
        ("", ""),
        ("[aws]", "/properties/aws"),
        ("[policies]", "/properties/policies"),
        ("[targets.t]", "/$defs/target"),
        ("[tables.approvals.partition_key]", "/$defs/attribute"),
        ("[tables.approvals.indexes.an-index]", "/$defs/index"),
        ("[topics.t]", "/$defs/topic"),
        ("[topics.t.subscriptions.s]\nprotocol = \"email\"\nendpoint = \"ops@example.com\"", "/$defs/subscription"),
    ];
    for (head, place) in sections.into_iter().chain(kinds) {
        let found = faults(&format!("{head}\nqqqqqqqq = 1\n"));
        let fault = found.iter().find(|fault| fault.message.contains("unknown key `qqqqqqqq`")).unwrap();
        let help = fault.help.clone().unwrap();
        let listed: Vec<&str> = help.strip_prefix("valid keys are: ").unwrap().split(", ").collect();
        let known: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(known.len(), listed.len(), "a key is listed twice: {help}");
        let described = schema.pointer(place).unwrap()["properties"].as_object().unwrap();
        assert_eq!(known, described.keys().map(String::as_str).collect(), "{head}");
    }
}

#[test]
fn every_example_is_valid_under_the_schema_and_has_a_description_for_each_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = std::fs::read_dir(root.join("examples")).unwrap();
    let mut paths: Vec<_> = folders.map(|entry| entry.unwrap().path().join("sentinel.toml")).collect();
    paths.retain(|path| path.is_file());
    paths.push(root.join("sentinel.toml.example"));
    for path in paths {
        let manifest = as_json(&std::fs::read_to_string(&path).unwrap());
        let errors: Vec<String> = MANIFEST.iter_errors(&manifest).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
    // An editor shows these.
    let schema = schema("sentinel.schema.json");
    let all = schema["$defs"].as_object().unwrap().iter().chain(schema["properties"].as_object().unwrap());
    for (name, described) in all {
        for (key, value) in described["properties"].as_object().into_iter().flatten() {
            let described = value.get("description").is_some() || value.get("$ref").is_some();
            assert!(described, "{name}: {key} is not described");
        }
    }
}

const MATRIX: &str = "[targets.a]\naccounts = [\"111111111111\"]\nrole_arn = \"arn:aws:iam::{account}:role/r\"\n";

const MAIL: &str = "protocol = \"email\"\nendpoint = \"ops@example.com\"\n";

#[test]
fn the_schema_and_the_parser_refuse_the_same_manifests() {
    let key = "partition_key = { name = \"id\", type = \"S\" }";
    let manifests = [
        ("[aws]\nregion = 1\n".to_owned(), false),
        ("[aws]\naccount_id = \"12\"\n".to_owned(), false),
        ("[aws]\nownership_tag = true\n".to_owned(), false),
        ("[aws]\nownership_tag = false\ntags = { a = \"b\" }\n".to_owned(), true),
        ("[aws]\nregion = \"useast1\"\n".to_owned(), false),
        ("[profiles.dev]\ntier = \"basic\"\n".to_owned(), false),
        ("[profiles.dev]\ntier = \"advanced\"\n".to_owned(), true),
        ("[tables.approvals]\nname = \"x\"\n".to_owned(), false),
        ("[tables.approvals]\nttl_attribute = true\n".to_owned(), false),
        ("[tables.approvals]\nttl_attribute = false\n".to_owned(), true),
        ("[tables.audit]\nname = \"audit\"\n".to_owned(), false),
        (format!("[tables.audit]\nname = \"audit\"\n{key}\n"), true),
        ("[tables.approvals]\nread_capacity = 1\n".to_owned(), false),
        ("[tables.approvals]\nbilling_mode = \"PROVISIONED\"\n".to_owned(), true),
        ("[tables.approvals]\nbilling_mode = \"PROVISIONED\"\ncapacity = \"external\"\n".to_owned(), true),
        ("[tables.approvals]\ncapacity = \"external\"\n".to_owned(), false),
        ("[tables.approvals]\nrecovery_days = 36\n".to_owned(), false),
        ("[tables.approvals]\nkinesis = { stream = \"x\" }\n".to_owned(), false),
        ("[tables.approvals]\ncontributor_insights = true\n".to_owned(), false),
        ("[tables.approvals]\nautoscaling = { read = { min = 1 } }\n".to_owned(), false),
        ("[tables.approvals]\nbilling_mode = \"PROVISIONED\"\nread_capacity = 1\n".to_owned(), false),
        (
            "[tables.approvals]\nbilling_mode = \"PROVISIONED\"\nread_capacity = 1\nwrite_capacity = 0\n".to_owned(),
            false,
        ),
        (
            "[tables.approvals]\nbilling_mode = \"PROVISIONED\"\nread_capacity = 1\nwrite_capacity = 2\n".to_owned(),
            true,
        ),
        ("[tables.approvals]\nencryption = \"kms\"\n".to_owned(), false),
        ("[tables.approvals]\nencryption = \"alias/app\"\n".to_owned(), true),
        ("[tables.approvals]\nencryption = \"alias/aws/dynamodb\"\n".to_owned(), false),
        ("[tables.approvals]\nencryption = { key = \"k\" }\n[keys.k]\n".to_owned(), true),
        ("[tables.approvals]\nencryption = { topic = \"k\" }\n".to_owned(), false),
        ("[keys.k]\nalias = \"alias/a/b_c-1\"\nrotation = false\nmulti_region = true\n".to_owned(), true),
        ("[keys.k]\nalias = \"k\"\n".to_owned(), false),
        ("[keys.k]\nalias = \"alias/aws/k\"\n".to_owned(), false),
        ("[keys.\"a b\"]\n".to_owned(), false),
        ("[keys.\"aws/k\"]\n".to_owned(), false),
        ("[keys.\"app/k\"]\n".to_owned(), true),
        ("[keys.\"a b\"]\nalias = \"alias/a\"\n".to_owned(), true),
        ("[topics.\"a b\"]\n".to_owned(), false),
        ("[topics.\"a.fifo\"]\n".to_owned(), true),
        ("[topics.\"a b\"]\nname = \"a\"\n".to_owned(), true),
        ("[keys.k]\nrotation_days = 90\n".to_owned(), true),
        ("[keys.k]\nrotation_days = 89\n".to_owned(), false),
        ("[keys.k]\nrotation_days = 2561\n".to_owned(), false),
        ("[keys.k]\nrotation = true\nrotation_days = 180\n".to_owned(), false),
        ("[tables.approvals]\ntable_class = \"STANDARD\"\n".to_owned(), true),
        (format!("[tables.approvals.indexes.an-index]\n{key}\nprojection = {{ include = [] }}\n"), false),
        (format!("[tables.approvals.indexes.an-index]\n{key}\nprojection = {{ include = [\"a\"] }}\n"), true),
        ("[tables.approvals.indexes.an-index]\n".to_owned(), false),
        ("[targets.a]\nprofile = \"p\"\nrole_arn = \"arn:aws:iam::123456789012:role/r\"\n".to_owned(), false),
        ("[targets.\"a b\"]\n".to_owned(), false),
        ("[targets.a]\nregion = \"eu-central-1\"\n".to_owned(), true),
        (format!("{MATRIX}regions = [\"us-east-1\"]\n"), true),
        (format!("{MATRIX}region = \"us-east-1\"\n"), true),
        (format!("{MATRIX}regions = []\n"), false),
        (format!("{MATRIX}regions = [\"us-east-1\", \"us-east-1\"]\n"), false),
        (format!("{MATRIX}region = \"us-east-1\"\nregions = [\"us-east-1\"]\n"), false),
        (format!("{MATRIX}region = \"us-east-1\"\naccount_id = \"111111111111\"\n"), false),
        (format!("{MATRIX}region = \"us-east-1\"\n[targets.a.override.x]\n"), false),
        (
            format!(
                "{MATRIX}region = \"us-east-1\"\n[targets.a.override.tables.t]\nname = \"t-{{account}}\"\n[tables.t]\nname = \"tt-{{region}}\"\n{key}\n"
            ),
            true,
        ),
        ("[topics.t]\nname = \"a.b\"\n".to_owned(), false),
        ("[topics.t]\nname = \"a.fifo\"\n".to_owned(), true),
        ("[topics.t]\nkey = \"records\"\n".to_owned(), false),
        ("[topics.t]\nkey = true\n".to_owned(), false),
        ("[topics.t]\nkey = false\nsubscriptions = {}\n".to_owned(), true),
        ("[topics.t.subscriptions.s]\nprotocol = \"email\"\n".to_owned(), false),
        (format!("[topics.t.subscriptions.s]\n{MAIL}filter_policy = {{ a = [\"x\"] }}\n"), true),
        (format!("[topics.t.subscriptions.s]\n{MAIL}filter_policy = []\n"), false),
        (format!("[topics.t.subscriptions.s]\n{MAIL}raw = true\n"), false),
        (format!("[topics.t.subscriptions.s]\n{MAIL}role = \"arn:aws:iam::123456789012:role/r\"\n"), false),
    ];
    for (text, valid) in manifests {
        assert_eq!(faults(&text).is_empty(), valid, "the parser:\n{text}");
        assert_eq!(MANIFEST.is_valid(&as_json(&text)), valid, "the schema:\n{text}");
    }
}

/// The output for the examples is valid under the schema.
#[test]
fn the_plan_of_every_example_is_valid_under_its_schema() {
    let world = crate::world::World::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let manifest = entry.unwrap().path().join("sentinel.toml");
        if manifest.is_file() {
            let local = format!("--local={}", world.folder.path().join(seen.to_string()).display());
            let manifest = manifest.to_str().unwrap();
            let words =
                [&["plan", "--json", "-f", manifest, &local], crate::tools::without_provider(manifest)].concat();
            check_plan(&crate::world::finish(world.command(&words).spawn().unwrap()).expect(0).json());
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen}");
}
