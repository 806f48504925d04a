//! Records: the items of a table, and the operations on them.

use std::collections::{BTreeMap, HashMap};

pub use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Get, Put, TransactGetItem, TransactWriteItem, Update};

use crate::resource::call::{
    CallError, Class, GET_ITEM, Operation, PUT_ITEM, QUERY, TRANSACT_GET_ITEMS, TRANSACT_WRITE_ITEMS, UPDATE_ITEM,
};
use crate::resource::pacer::Pacer;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// A number as decimal digits, so that fractions of seconds are not rounded.
    Number(String),
}

impl Value {
    /// Returns a text value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a number value.
    pub fn number(number: impl std::fmt::Display) -> Self {
        Self::Number(number.to_string())
    }

    fn to_sdk(&self) -> AttributeValue {
        match self {
            Self::Text(text) => AttributeValue::S(text.clone()),
            Self::Number(digits) => AttributeValue::N(digits.clone()),
        }
    }
}

/// One record: its attributes by name. Reading omits attributes of other types.
pub type Item = BTreeMap<String, Value>;

/// The maximum number of records in one read. Source: Amazon DynamoDB API Reference, "TransactGetItems".
pub const AT_ONCE: usize = 100;

/// The key attribute of every record.
pub const ID: &str = "id";

/// A condition on a stored record, for a write or for a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Absent(&'static str),
    /// The attribute is missing, or is not a text.
    NotText(&'static str),
    Is(&'static str, Value),
    IsNot(&'static str, Value),
    Above(&'static str, Value),
    UpTo(&'static str, Value),
    Either(Box<Self>, Box<Self>),
}

/// An atomic change of one record.
#[derive(Debug, Clone)]
pub enum Write {
    /// Writes a record, and replaces the one with the same ID.
    Put { item: Item, when: Vec<Test> },
    /// Sets attributes of a record.
    Set { id: String, set: Vec<(&'static str, Value)>, when: Vec<Test> },
}

/// A query for the records of one partition of an index, newest first.
#[derive(Debug, Clone)]
pub struct Query {
    pub index: &'static str,
    pub key: (&'static str, Value),
    /// Only records from this value of the sort key on.
    pub from: Option<(&'static str, Value)>,
    pub filter: Vec<Test>,
}

/// A page of a query's results.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub items: Vec<Item>,
    /// The start of the next page.
    pub next: Option<Start>,
}

/// The start of a page.
#[derive(Debug, Clone)]
pub struct Start(HashMap<String, AttributeValue>);

impl Start {
    /// Returns a value that identifies it.
    pub fn token(&self) -> Vec<(String, String)> {
        let mut parts: Vec<_> = self.0.iter().map(|(name, value)| (name.clone(), format!("{value:?}"))).collect();
        parts.sort();
        parts
    }
}

/// The maximum number of pages of one query. AWS reads 1 MB for each.
pub const PAGES: usize = 500;

/// Returns the approximate size of an item in bytes.
pub fn size(item: &Item) -> usize {
    let part = |(name, value): (&String, &Value)| match value {
        Value::Text(text) | Value::Number(text) => 100 + name.len() + text.len(),
    };
    item.iter().map(part).sum()
}

/// The records of one table.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    client: &'a Client,
    pacer: &'a Pacer,
    table: &'a str,
}

/// Placeholders for the names and values of an expression, so that no text from outside is parsed as an expression.
#[derive(Debug, Default)]
struct Placeholders {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Placeholders {
    fn name(&mut self, name: &str) -> String {
        let place = format!("#{name}");
        self.names.insert(place.clone(), name.to_owned());
        place
    }

    fn value(&mut self, value: &Value) -> String {
        let place = format!(":v{}", self.values.len());
        self.values.insert(place.clone(), value.to_sdk());
        place
    }

    fn compare(&mut self, name: &str, sign: &str, value: &Value) -> String {
        format!("{} {sign} {}", self.name(name), self.value(value))
    }

    fn test(&mut self, test: &Test) -> String {
        match test {
            Test::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            Test::NotText(name) => {
                let (name, text) = (self.name(name), self.value(&Value::text("S")));
                format!("(NOT attribute_type({name}, {text}))")
            }
            Test::Is(name, value) => self.compare(name, "=", value),
            Test::IsNot(name, value) => self.compare(name, "<>", value),
            Test::Above(name, value) => self.compare(name, ">", value),
            Test::UpTo(name, value) => self.compare(name, "<=", value),
            Test::Either(one, other) => format!("({} OR {})", self.test(one), self.test(other)),
        }
    }

    /// Returns one expression for all tests, if there are any.
    fn tests(&mut self, tests: &[Test]) -> Option<String> {
        let tests: Vec<String> = tests.iter().map(|test| self.test(test)).collect();
        (!tests.is_empty()).then(|| tests.join(" AND "))
    }

    fn set(&mut self, set: &[(&'static str, Value)]) -> String {
        let set: Vec<String> = set.iter().map(|(name, value)| self.compare(name, "=", value)).collect();
        format!("SET {}", set.join(", "))
    }

    /// Returns the names; AWS does not accept an empty map.
    fn names(&self) -> Option<HashMap<String, String>> {
        Some(self.names.clone()).filter(|names| !names.is_empty())
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }
}

impl<'a> Records<'a> {
    pub fn new(client: &'a Client, pacer: &'a Pacer, table: &'a str) -> Self {
        Self { client, pacer, table }
    }

    /// Returns the table's name.
    pub fn table(&self) -> &'a str {
        self.table
    }

    /// Reads a record with strong consistency.
    pub async fn get(&self, id: &str) -> Result<Option<Item>, CallError> {
        let key = AttributeValue::S(id.to_owned());
        let call = || {
            let request = self.client.get_item().table_name(self.table);
            request.key(ID, key.clone()).consistent_read(true).send()
        };
        let answer = self.pacer.call(GET_ITEM, &[], call).await?;
        Ok(answer.item.map(from_sdk))
    }

    /// Reads up to [`AT_ONCE`] records in one transaction, in the order of their IDs. Their total size is limited to 4 MB.
    pub async fn get_all(&self, ids: &[String]) -> Result<Vec<Option<Item>>, CallError> {
        let get = |id: &String| {
            let get = Get::builder().table_name(self.table).key(ID, AttributeValue::S(id.clone())).build()?;
            Ok(TransactGetItem::builder().get(get).build())
        };
        let parts: Result<Vec<TransactGetItem>, BuildError> = ids.iter().map(get).collect();
        let parts = parts.map_err(|error| unbuilt(TRANSACT_GET_ITEMS, &error))?;
        let call = || self.client.transact_get_items().set_transact_items(Some(parts.clone())).send();
        let answer = self.pacer.call(TRANSACT_GET_ITEMS, &[], call).await?;
        let found = answer.responses.unwrap_or_default().into_iter().map(|response| response.item.map(from_sdk));
        // AWS may return a missing record as one without attributes.
        let mut found: Vec<Option<Item>> = found.map(|item| item.filter(|item| !item.is_empty())).collect();
        found.resize(ids.len(), None);
        Ok(found)
    }

    /// Makes one change. The error class is [`Class::ConditionFailed`] if its condition is false.
    ///
    /// A retry after a lost response may fail on the effect of the first attempt, so callers that need to know must read the record.
    pub async fn write(&self, write: &Write) -> Result<(), CallError> {
        let mut placeholders = Placeholders::default();
        match write {
            Write::Put { item, when } => {
                let condition = placeholders.tests(when);
                let call = || {
                    let request = self.client.put_item().table_name(self.table).set_item(Some(to_sdk(item)));
                    let request = request.set_condition_expression(condition.clone());
                    request
                        .set_expression_attribute_names(placeholders.names())
                        .set_expression_attribute_values(placeholders.values())
                        .send()
                };
                self.pacer.call(PUT_ITEM, &[], call).await.map(drop)
            }
            Write::Set { id, set, when } => {
                let update = placeholders.set(set);
                let condition = placeholders.tests(when);
                let call = || {
                    let request = self.client.update_item().table_name(self.table);
                    let request = request.key(ID, AttributeValue::S(id.clone())).update_expression(&update);
                    let request = request.set_condition_expression(condition.clone());
                    request
                        .set_expression_attribute_names(placeholders.names())
                        .set_expression_attribute_values(placeholders.values())
                        .send()
                };
                self.pacer.call(UPDATE_ITEM, &[], call).await.map(drop)
            }
        }
    }

    /// Makes several changes in one transaction. With the same token, a repetition within ten minutes has no effect.
    pub async fn write_all(&self, writes: &[Write], token: &str) -> Result<(), CallError> {
        let parts: Result<Vec<TransactWriteItem>, BuildError> = writes.iter().map(|write| self.part(write)).collect();
        let parts = parts.map_err(|error| unbuilt(TRANSACT_WRITE_ITEMS, &error))?;
        let call = || {
            let request = self.client.transact_write_items().set_transact_items(Some(parts.clone()));
            request.client_request_token(token).send()
        };
        self.pacer.call(TRANSACT_WRITE_ITEMS, &[], call).await.map(drop)
    }

    fn part(&self, write: &Write) -> Result<TransactWriteItem, BuildError> {
        let mut placeholders = Placeholders::default();
        let part = TransactWriteItem::builder();
        Ok(match write {
            Write::Put { item, when } => {
                let put = Put::builder().table_name(self.table).set_item(Some(to_sdk(item)));
                let put = put.set_condition_expression(placeholders.tests(when));
                let put = put.set_expression_attribute_names(placeholders.names());
                part.put(put.set_expression_attribute_values(placeholders.values()).build()?)
            }
            Write::Set { id, set, when } => {
                let update = Update::builder().table_name(self.table).key(ID, AttributeValue::S(id.clone()));
                let update =
                    update.update_expression(placeholders.set(set)).set_condition_expression(placeholders.tests(when));
                let update = update.set_expression_attribute_names(placeholders.names());
                part.update(update.set_expression_attribute_values(placeholders.values()).build()?)
            }
        }
        .build())
    }

    /// Reads one page of a query. An empty page may be followed by others.
    pub async fn page(&self, query: &Query, limit: Option<i32>, start: Option<Start>) -> Result<Page, CallError> {
        let mut placeholders = Placeholders::default();
        let mut condition = placeholders.compare(query.key.0, "=", &query.key.1);
        if let Some((name, from)) = &query.from {
            condition = format!("{condition} AND {}", placeholders.compare(name, ">=", from));
        }
        let filter = placeholders.tests(&query.filter);
        let start = start.map(|Start(key)| key);
        let call = || {
            let request = self.client.query().table_name(self.table).index_name(query.index);
            let request = request.key_condition_expression(&condition).set_filter_expression(filter.clone());
            let request = request.set_expression_attribute_names(placeholders.names());
            let request = request.set_expression_attribute_values(placeholders.values());
            let request = request.scan_index_forward(false).set_limit(limit);
            request.set_exclusive_start_key(start.clone()).send()
        };
        let answer = self.pacer.call(QUERY, &[], call).await?;
        let items = answer.items.unwrap_or_default().into_iter().map(from_sdk).collect();
        Ok(Page { items, next: answer.last_evaluated_key.filter(|key| !key.is_empty()).map(Start) })
    }
}

fn unbuilt(operation: Operation, error: &BuildError) -> CallError {
    CallError::new(operation, Class::Rejected, error.to_string())
}

fn to_sdk(item: &Item) -> HashMap<String, AttributeValue> {
    item.iter().map(|(name, value)| (name.clone(), value.to_sdk())).collect()
}

fn from_sdk(item: HashMap<String, AttributeValue>) -> Item {
    let value = |value| match value {
        AttributeValue::S(text) => Some(Value::Text(text)),
        AttributeValue::N(digits) => Some(Value::Number(digits)),
        _ => None,
    };
    item.into_iter().filter_map(|(name, found)| Some((name, value(found)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_use_only_placeholders() {
        let mut placeholders = Placeholders::default();
        let free = Test::Either(Box::new(Test::Absent("id")), Box::new(Test::UpTo("expires_at", Value::number(5))));
        let text = placeholders.tests(&[Test::Is("status", Value::text("a OR b")), free]);
        assert_eq!(text.as_deref(), Some("#status = :v0 AND (attribute_not_exists(#id) OR #expires_at <= :v1)"));
        assert_eq!(placeholders.values[":v0"], AttributeValue::S(String::from("a OR b")));
        assert_eq!(placeholders.names["#status"], "status");
    }
}
