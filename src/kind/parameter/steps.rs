//! The steps of a parameter, with their names in a plan.

use serde::{Deserialize, Serialize};

use crate::change::Consent;
use crate::kind::parameter_store::{Create, Delete, Label, Overwrite, Tag, Untag, Write, steps};
use crate::kind::{KindStep, NewDocument};
use crate::resource::call::Operation;

steps! {
    /// One call that changes a parameter.
    ParameterStep {
        "create_ssm_parameter", "overwrite_ssm_parameter", "label_ssm_parameter", "tag_ssm_parameter",
        "untag_ssm_parameter", "delete_ssm_parameter"
    }
}
