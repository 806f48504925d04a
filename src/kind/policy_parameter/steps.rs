//! The steps of a policy parameter, with their names in a plan.

use serde::{Deserialize, Serialize};

use crate::change::Consent;
use crate::kind::parameter_store::{Create, Delete, Label, Overwrite, Tag, Untag, Write, steps};
use crate::kind::{KindStep, NewDocument};
use crate::resource::call::Operation;

steps! {
    /// One call that changes a policy parameter.
    PolicyStep {
        "create_parameter", "overwrite_parameter", "label_parameter", "tag_parameter", "untag_parameter",
        "delete_parameter"
    }
}
