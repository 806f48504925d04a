//! The settings that tables and indexes have in common, in `[tables.NAME.indexes.INDEX]`.

use serde_json::Value;

use super::autoscaling::{self, Autoscaling};
use super::insights::{self, Insights, Tracking};
use super::scales::Scales;
use super::setting::Settings;
use crate::document::write::line;
use crate::document::{Fields, Reader};

/// The table settings in the section of an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexSettings {
    pub contributor_insights: Option<Tracking>,
    pub autoscaling: Option<Scales>,
}

impl IndexSettings {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let insights = fields.get(insights::KEY).and_then(|entry| Tracking::read(reader, &entry.node));
        let autoscaling = fields.get(autoscaling::KEY).and_then(|entry| Scales::read(reader, &entry.node));
        Self { contributor_insights: insights, autoscaling }
    }

    pub(super) fn write(self, section: &mut String) {
        line(section, insights::KEY, self.contributor_insights.map(Tracking::write));
        line(section, autoscaling::KEY, self.autoscaling.map(Scales::write));
    }

    /// Returns the JSON Schema of each key.
    pub(super) fn schema() -> [(&'static str, Value); 2] {
        [(insights::KEY, Tracking::schema()), (autoscaling::KEY, Scales::schema())]
    }

    pub(super) fn of(settings: &Settings, index: &str) -> Self {
        let insights = settings.contributor_insights.as_ref();
        let autoscaling = settings.autoscaling.as_ref();
        Self {
            contributor_insights: insights.and_then(|all| all.indexes.get(index)).copied(),
            autoscaling: autoscaling.and_then(|all| all.indexes.get(index)).copied(),
        }
    }

    /// Adds the settings of an index to those of its table.
    pub(super) fn add_to(self, settings: &mut Settings, index: &str) {
        if let Some(tracking) = self.contributor_insights {
            let all = settings.contributor_insights.get_or_insert_with(Insights::default);
            all.indexes.insert(index.to_owned(), tracking);
        }
        if let Some(scales) = self.autoscaling {
            let all = settings.autoscaling.get_or_insert_with(Autoscaling::default);
            all.indexes.insert(index.to_owned(), scales);
        }
    }

    /// Returns the settings of a table without those of its indexes, which have separate sections.
    pub(super) fn split(mut settings: Settings) -> Settings {
        if let Some(all) = &mut settings.contributor_insights {
            all.indexes.clear();
        }
        if let Some(all) = &mut settings.autoscaling {
            all.indexes.clear();
        }
        settings.contributor_insights = settings.contributor_insights.filter(|all| all.table.is_some());
        settings.autoscaling = settings.autoscaling.filter(|all| all.table != Scales::default());
        settings
    }

    #[cfg(test)]
    pub(super) fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::option::of;
        use proptest::strategy::Strategy;
        (of(Tracking::any()), of(Scales::any()))
            .prop_map(|(contributor_insights, autoscaling)| Self { contributor_insights, autoscaling })
    }
}
