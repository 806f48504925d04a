//! Parameters: storage, names, and presentation.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::policies;
use crate::local::Region;
use crate::local::answer::Failure;

/// A version of a parameter.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) version: i64,
    pub(super) value: String,
    pub(super) modified: i64,
    pub(super) settings: Settings,
}

/// The settings of a version other than its value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) kind: String,
    pub(super) tier: String,
    pub(super) description: Option<String>,
    /// As given: an alias, an ID or an ARN.
    pub(super) key_id: Option<String>,
    pub(super) allowed_pattern: Option<String>,
    pub(super) data_type: String,
    pub(super) policies: Option<String>,
    pub(super) labels: Vec<String>,
    /// The ARN of the identity that wrote the version. A store of an earlier release lacks it.
    #[serde(default)]
    pub(super) author: Option<String>,
}

impl Settings {
    /// Returns the key that encrypts it; empty if it is not secret.
    pub(super) fn key(&self) -> &str {
        self.key_id.as_deref().unwrap_or_default()
    }
}

/// The versions of a parameter to read, oldest first.
pub(super) struct VersionPage {
    pub(super) after: i64,
    pub(super) size: usize,
}

impl VersionPage {
    pub(super) const fn first(size: usize) -> Self {
        Self { after: 0, size }
    }
}

/// The form in which a request names a parameter.
pub(super) enum Reference<'a> {
    Name(&'a str),
    /// The part after `parameter` in an ARN: `/dev/key`. Both `key` and `/key` have the ARN `…:parameter/key`.
    Arn(&'a str),
}

impl<'a> Reference<'a> {
    /// Returns the parameter and the version of a request: `/dev/key`, `/dev/key:3`, `/dev/key:label`, or the same with an ARN. Source:
    /// "Name" of GetParameter in the Systems Manager API Reference.
    pub(super) fn parse(region: &Region, asked: &'a str) -> (Self, Option<&'a str>) {
        let own = region.arn("ssm", "parameter");
        // A second slash would name a parameter for which IAM was not checked.
        let path = asked.strip_prefix(&own).filter(|path| path.starts_with('/') && !path.starts_with("//"));
        // An ARN of another region or account matches no parameter.
        let whole = path.unwrap_or(asked);
        let (name, selector) = match whole.split_once(':') {
            Some((name, selector)) if path.is_some() || !asked.starts_with("arn:") => (name, Some(selector)),
            _ => (whole, None),
        };
        (if path.is_some() { Self::Arn(name) } else { Self::Name(name) }, selector)
    }

    /// Returns the name, with a slash if both forms are possible.
    pub(super) fn name(&self) -> &'a str {
        match self {
            Self::Name(name) | Self::Arn(name) => name,
        }
    }

    /// Returns the newest version of the parameter.
    pub(super) fn latest(&self, store: &Connection) -> rusqlite::Result<Option<Stored>> {
        let found = Stored::latest(store, self.name())?;
        match (self, found) {
            (Self::Arn(path), None) => Stored::latest(store, path.trim_start_matches('/')),
            (_, found) => Ok(found),
        }
    }
}

const COLUMNS: &str = "name, version, value, modified, settings";

impl Stored {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let settings: String = row.get(4)?;
        let settings = serde_json::from_str(&settings)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error.into()))?;
        Ok(Self { name: row.get(0)?, version: row.get(1)?, value: row.get(2)?, modified: row.get(3)?, settings })
    }

    pub(super) fn save(&self, store: &Connection) -> Result<(), Failure> {
        let settings = serde_json::to_string(&self.settings).map_err(|error| Failure::internal(&error.to_string()))?;
        let query = format!("INSERT OR REPLACE INTO parameters ({COLUMNS}) VALUES (?, ?, ?, ?, ?)");
        store.prepare_cached(&query)?.execute(params![self.name, self.version, self.value, self.modified, settings])?;
        Ok(())
    }

    pub(super) fn remove(&self, store: &Connection) -> rusqlite::Result<usize> {
        store.execute("DELETE FROM parameters WHERE name = ? AND version = ?", params![self.name, self.version])
    }

    pub(super) fn latest(store: &Connection, name: &str) -> rusqlite::Result<Option<Self>> {
        let query = format!("SELECT {COLUMNS} FROM parameters WHERE name = ?1 ORDER BY version DESC LIMIT 1");
        store.prepare_cached(&query)?.query_row([name], Self::from_row).optional()
    }

    pub(super) fn version(store: &Connection, name: &str, version: i64) -> rusqlite::Result<Option<Self>> {
        let query = format!("SELECT {COLUMNS} FROM parameters WHERE name = ?1 AND version = ?2");
        store.prepare_cached(&query)?.query_row(params![name, version], Self::from_row).optional()
    }

    pub(super) fn versions(store: &Connection, name: &str, page: &VersionPage) -> Result<Vec<Self>, Failure> {
        let query = format!("SELECT {COLUMNS} FROM parameters WHERE name = ? AND version > ? ORDER BY version LIMIT ?");
        let mut statement = store.prepare_cached(&query)?;
        let rows = statement.query_map(params![name, page.after, page.size], Self::from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the newest version of every parameter, by name.
    pub(super) fn latest_of_all(store: &Connection) -> Result<Vec<Self>, Failure> {
        let query = format!(
            "SELECT {COLUMNS} FROM parameters AS one WHERE version = \
             (SELECT max(version) FROM parameters WHERE name = one.name) ORDER BY name"
        );
        let mut statement = store.prepare_cached(&query)?;
        let rows = statement.query_map([], Self::from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the version of a selector: a number, a label, or the newest version without one.
    pub(super) fn selected(self, store: &Connection, selector: Option<&str>) -> Result<Option<Self>, Failure> {
        let Some(selector) = selector else { return Ok(Some(self)) };
        match selector.parse::<i64>() {
            Ok(version) => Ok(Self::version(store, &self.name, version)?),
            Err(_) => Self::labeled(store, &self.name, selector),
        }
    }

    /// Returns the version that has a label.
    pub(super) fn labeled(store: &Connection, name: &str, label: &str) -> Result<Option<Self>, Failure> {
        let all = Self::versions(store, name, &VersionPage::first(super::HISTORY))?;
        Ok(all.into_iter().find(|one| one.settings.labels.iter().any(|own| own == label)))
    }

    pub(super) fn parameter(&self, region: &Region, selector: Option<&str>, decrypt: bool) -> Value {
        let mut shown = json!({
            "Name": self.name,
            "Type": self.settings.kind,
            "Value": self.shown_value(decrypt),
            "Version": self.version,
            "LastModifiedDate": seconds(self.modified),
            "ARN": arn(region, &self.name),
            "DataType": self.settings.data_type,
        });
        if let Some(selector) = selector {
            shown["Selector"] = json!(format!(":{selector}"));
        }
        shown
    }

    /// A secret is returned as ciphertext unless decryption is requested.
    fn shown_value(&self, decrypt: bool) -> String {
        if self.settings.kind == "SecureString" && !decrypt {
            format!("kms:{}", "*".repeat(12))
        } else {
            self.value.clone()
        }
    }

    pub(super) fn metadata(&self, region: &Region) -> Value {
        let settings = &self.settings;
        let anyone = || format!("arn:aws:iam::{}:user/local", region.account);
        let mut metadata = json!({
            "Name": self.name,
            "ARN": arn(region, &self.name),
            "Type": settings.kind,
            "LastModifiedDate": seconds(self.modified),
            "LastModifiedUser": settings.author.clone().unwrap_or_else(anyone),
            "Version": self.version,
            "Tier": settings.tier,
            "Policies": policies::shown(settings.policies.as_deref()),
            "DataType": settings.data_type,
        });
        let optional = [
            ("Description", &settings.description),
            ("KeyId", &settings.key_id),
            ("AllowedPattern", &settings.allowed_pattern),
        ];
        for (field, text) in optional {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                metadata[field] = json!(text);
            }
        }
        metadata
    }

    /// Returns it as an entry of the history.
    pub(super) fn past(&self, region: &Region, decrypt: bool) -> Value {
        let mut shown = self.metadata(region);
        shown["Value"] = json!(self.shown_value(decrypt));
        shown["Labels"] = json!(self.settings.labels);
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("ARN");
        }
        shown
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double for 285,000 years")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

pub(super) fn arn(region: &Region, name: &str) -> String {
    region.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}
