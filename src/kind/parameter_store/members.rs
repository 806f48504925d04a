//! The members of Parameter Store's types for a parameter, and how each is handled.

use crate::kind::members::Handling::{self, Managed, NotCompared, Shown};
use crate::kind::members::Members;

/// The members of the responses that describe a parameter, and of the request that writes one.
pub(in crate::kind) const ALL: &[Members] = &[
    Members { of: "Parameter", members: PARAMETER },
    Members { of: "ParameterMetadata", members: METADATA },
    Members { of: "PutParameterInput", members: PUT },
];

type List = &'static [(&'static str, Handling)];

const PARAMETER: List = &[
    ("Name", Managed),
    ("Type", Managed),
    ("Value", Managed),
    ("Version", Shown),
    ("Selector", NotCompared),
    ("SourceResult", NotCompared),
    ("LastModifiedDate", Shown),
    ("ARN", Shown),
    ("DataType", Managed),
];

const METADATA: List = &[
    ("Name", Managed),
    ("ARN", NotCompared),
    ("Type", Managed),
    ("KeyId", Managed),
    ("LastModifiedDate", NotCompared),
    ("LastModifiedUser", Shown),
    ("Description", Managed),
    ("AllowedPattern", Managed),
    ("Version", NotCompared),
    ("Tier", Managed),
    ("Policies", Managed),
    ("DataType", Managed),
];

const PUT: List = &[
    ("Name", Managed),
    ("Description", Managed),
    ("Value", Managed),
    ("Type", Managed),
    ("KeyId", Managed),
    ("Overwrite", Shown),
    ("AllowedPattern", Managed),
    ("Tags", Managed),
    ("Tier", Managed),
    ("Policies", Managed),
    ("DataType", Managed),
];

#[cfg(test)]
mod tests {
    use aws_sdk_ssm::operation::put_parameter::PutParameterInput;
    use aws_sdk_ssm::types as sdk;

    use super::*;
    use crate::kind::members::{fields_of, listed};

    /// The SDK's types may get new fields with each release, and the list must contain all of them.
    #[test]
    fn every_member_of_the_sdk_types_is_listed() {
        let of_the_sdk = [
            fields_of(&sdk::Parameter::builder().build()),
            fields_of(&sdk::ParameterMetadata::builder().build()),
            fields_of(&PutParameterInput::builder().build().unwrap()),
        ];
        for (members, fields) in ALL.iter().zip(of_the_sdk) {
            assert!(fields.len() > 1, "{fields:?}");
            assert_eq!(listed(members), fields, "{}", members.of);
        }
    }
}
