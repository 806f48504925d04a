//! DynamoDB's rules for attributes and indexes.

use crate::resource::Invalid;

/// The most global secondary indexes of a table. Source: "Quotas in Amazon DynamoDB".
pub const INDEX_LIMIT: usize = 20;
/// The most local secondary indexes of a table. Source: as above.
pub const LOCAL_INDEX_LIMIT: usize = 5;
/// The most attributes of each part of the key of a global index. Source: "Multi-attribute keys pattern" in the Amazon DynamoDB
/// Developer Guide.
pub const KEY_LIMIT: usize = 4;
/// The most attributes that the `include` projections of a table name, all indexes together. Source: as above.
pub const INCLUDE_LIMIT: usize = 100;

/// Checks the name of a key attribute.
pub fn check_attribute(name: &str) -> Result<(), Invalid> {
    if !(1..=255).contains(&name.len()) {
        return Err(Invalid::new(
            format!("\"{name}\" is not an attribute name DynamoDB takes"),
            "a key or TTL attribute's name has 1 to 255 bytes",
        ));
    }
    Ok(())
}
