//! Tagged resources of all services, from one operation of the Resource Groups Tagging API.
//!
//! Its results are eventually consistent, so they may contain a resource that was just deleted or untagged. Sources: GetResources in the
//! Resource Groups Tagging API Reference; "Service quotas" in the Tag Editor User Guide.

use std::sync::Arc;

use aws_sdk_resourcegroupstagging::Client;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use aws_types::SdkConfig;

use super::OWNER;
use super::call::{CallError, Operation, operation};
use super::pacer::Pacer;

pub const GET_RESOURCES: Operation = operation!("tag", "GetResources", 15.0, 15.0);
/// The maximum number of resources of a page.
const PAGE: i32 = 100;

/// Lists tagged resources.
#[derive(Debug)]
pub struct TaggingApi {
    config: SdkConfig,
    pacer: Arc<Pacer>,
}

/// The first page of tagged resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaggedPage {
    pub arns: Vec<String>,
    /// Whether there are more pages.
    pub more: bool,
}

impl TaggingApi {
    /// Returns the client for a connection. Makes no call.
    pub fn new(config: &SdkConfig, pacer: &Arc<Pacer>) -> Self {
        Self { config: config.clone(), pacer: Arc::clone(pacer) }
    }

    /// Lists the resources of these types that carry the ownership tag with this key. Reads one page.
    pub async fn owned(&self, types: &[&str], key: &str) -> Result<TaggedPage, CallError> {
        // A run makes one call, so the client is not kept.
        let client = Client::new(&self.config);
        let filter = TagFilter::builder().key(key).values(OWNER).build();
        let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
        let call = || {
            let request = client.get_resources().tag_filters(filter.clone()).resources_per_page(PAGE);
            request.set_resource_type_filters(Some(types.clone())).send()
        };
        let answer = self.pacer.call(GET_RESOURCES, &[], call).await?;
        let more = answer.pagination_token.is_some_and(|token| !token.is_empty());
        let found = answer.resource_tag_mapping_list.unwrap_or_default().into_iter();
        // An emulator may not filter as AWS does.
        let owned = found.filter(|one| one.tags().iter().any(|tag| tag.key() == key && tag.value() == OWNER));
        Ok(TaggedPage { arns: owned.filter_map(|one| one.resource_arn).collect(), more })
    }
}
