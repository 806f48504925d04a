//! DynamoDB's rules for attributes and indexes.

use crate::kind::section::Home;
use crate::resource::Invalid;

/// The maximum number of global secondary indexes of a table. Source: "Quotas in Amazon DynamoDB".
pub const INDEX_LIMIT: usize = 20;
/// The maximum number of local secondary indexes of a table. Source: as above.
pub const LOCAL_INDEX_LIMIT: usize = 5;
/// The maximum number of attributes of each part of a global index's key. Source: "Multi-attribute keys pattern" in the Amazon DynamoDB
/// Developer Guide.
pub const KEY_LIMIT: usize = 4;
/// The maximum number of attributes in the `include` projections of all indexes of a table. Source: as above.
pub const INCLUDE_LIMIT: usize = 100;

/// Checks the name of a key attribute.
pub fn check_attribute(name: &str) -> Result<(), Invalid> {
    if !(1..=255).contains(&name.len()) {
        return Err(Invalid::new(
            format!("\"{name}\" is not a valid DynamoDB attribute name"),
            "a key or TTL attribute's name has 1 to 255 bytes",
        ));
    }
    Ok(())
}

/// Checks that a stream is in the account and region of its table, as far as these are known. Source: "Using Kinesis Data Streams to
/// capture changes to DynamoDB" in the Amazon DynamoDB Developer Guide.
pub(super) fn check_home(stream: &str, home: &Home) -> Result<(), Invalid> {
    let mut parts = stream.split(':').skip(3);
    let (region, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    for (what, own, of_table) in [("region", region, &home.region), ("account", account, &home.account)] {
        if let Some(of_table) = of_table.as_deref().filter(|of_table| *of_table != own) {
            let problem = format!("the Kinesis stream is in {what} {own}, but the table is in {of_table}");
            return Err(Invalid::new(
                problem,
                format!("name a stream in {what} {of_table}: DynamoDB accepts no other"),
            ));
        }
    }
    Ok(())
}
