//! The binary, end to end: every command, every exit code.

mod access;
mod answers;
mod apply;
mod broker;
mod calls;
mod errors;
mod export;
mod fail_on;
mod fmt;
mod iam;
mod iam_roles;
mod import;
mod includes;
mod init;
mod keys;
mod kill;
mod kinds;
mod observe;
mod orphans;
mod parameters;
mod paths;
mod plan;
mod policy;
mod prune;
mod removal;
mod repair;
mod replicas;
mod roles;
mod saved;
mod scaling;
mod settings;
mod status;
mod tables;
mod targets;
mod topics;
mod trust;
mod trust_indirect;
mod trust_roles;
mod validate;
mod values;
mod versions;
mod wizard;

/// A manifest with two profiles and three tables, and the policy it names.
pub const MANIFEST: &str = r#"[aws]
region = "us-east-1"

[profiles.dev]
policy = "policies/dev.yaml"

[profiles.staging]

[tables.approvals]

[tables.sessions]
name = "acme-sessions"
point_in_time_recovery = true
deletion_protection = true
tags = { team = "security" }

[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
sort_key = { name = "at", type = "N" }
ttl_attribute = "expires_at"
[tables.audit.indexes.actor-index]
partition_key = { name = "actor", type = "S" }
sort_key = { name = "at", type = "N" }
projection = { include = ["action", "outcome"] }
"#;

pub const POLICY: &str = r#"version: "1"
credentials: { role_arn: ["arn:aws:iam::123456789012:role/dev"] }
rules:
  - name: developers
    effect: allow
    conditions:
      profiles: [dev]
      users: [alice, bob]
  - name: rest
    effect: deny
"#;

/// Returns a world with the manifest and its policy.
pub fn project() -> crate::world::World {
    let world = crate::world::World::new();
    world.write("sentinel.toml", MANIFEST).write("policies/dev.yaml", POLICY);
    world
}
