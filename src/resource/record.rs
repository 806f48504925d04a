//! Records: the items of a table, and the calls that read and write them.

use std::collections::{BTreeMap, HashMap};

pub use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Get, Put, TransactGetItem, TransactWriteItem, Update};

use crate::resource::call::{
    CallError, Class, GET_ITEM, Operation, PUT_ITEM, QUERY, TRANSACT_GET_ITEMS, TRANSACT_WRITE_ITEMS, UPDATE_ITEM,
};
use crate::resource::pacer::Pacer;

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// A number, in its digits: seconds with their decimals pass through unrounded.
    Number(String),
}

impl Value {
    /// Returns a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a number.
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

/// One record: its attributes by name. Attributes of other types than ours are left out when one is read.
pub type Item = BTreeMap<String, Value>;

/// The most records that are read in one call. Source: Amazon DynamoDB API Reference, "TransactGetItems".
pub const AT_ONCE: usize = 100;

/// The attribute that is every record's key.
pub const ID: &str = "id";

/// What must hold of a record, as it stands, for a write to happen or for a query to return it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Absent(&'static str),
    /// The attribute is missing, or holds something other than a text.
    NotText(&'static str),
    Is(&'static str, Value),
    IsNot(&'static str, Value),
    Above(&'static str, Value),
    UpTo(&'static str, Value),
    Either(Box<Self>, Box<Self>),
}

/// A change of one record, made whole or not at all.
#[derive(Debug, Clone)]
pub enum Write {
    /// Puts a record, in the place of the one with its id if there is one.
    Put { item: Item, when: Vec<Test> },
    /// Sets attributes of a record.
    Set { id: String, set: Vec<(&'static str, Value)>, when: Vec<Test> },
}

/// Records under one value of an index's partition key, newest first.
#[derive(Debug, Clone)]
pub struct Query {
    pub index: &'static str,
    pub key: (&'static str, Value),
    /// Those from this value of the sort key on.
    pub from: Option<(&'static str, Value)>,
    pub filter: Vec<Test>,
}

/// A page of a query's answer.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub items: Vec<Item>,
    /// Where the next page begins.
    pub next: Option<Start>,
}

/// Where a page begins.
#[derive(Debug, Clone)]
pub struct Start(HashMap<String, AttributeValue>);

impl Start {
    /// Returns what tells it from another one.
    pub fn token(&self) -> Vec<(String, String)> {
        let mut parts: Vec<_> = self.0.iter().map(|(name, value)| (name.clone(), format!("{value:?}"))).collect();
        parts.sort();
        parts
    }
}

/// The most pages of one query: AWS reads 1 MB for each.
pub const PAGES: usize = 500;

/// Returns about how many bytes an item takes.
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

/// Names and values that an expression speaks of through placeholders, so that no text of ours is ever parsed as one.
#[derive(Debug, Default)]
struct Places {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Places {
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

    /// Returns all of them in one expression, if there are any.
    fn tests(&mut self, tests: &[Test]) -> Option<String> {
        let tests: Vec<String> = tests.iter().map(|test| self.test(test)).collect();
        (!tests.is_empty()).then(|| tests.join(" AND "))
    }

    fn set(&mut self, set: &[(&'static str, Value)]) -> String {
        let set: Vec<String> = set.iter().map(|(name, value)| self.compare(name, "=", value)).collect();
        format!("SET {}", set.join(", "))
    }

    /// Returns the names; an empty map is not allowed.
    fn names(&self) -> Option<HashMap<String, String>> {
        Some(self.names.clone()).filter(|names| !names.is_empty())
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }
}

impl<'a> Records<'a> {
    /// Returns the records of a table.
    pub fn new(client: &'a Client, pacer: &'a Pacer, table: &'a str) -> Self {
        Self { client, pacer, table }
    }

    /// Returns the table's name.
    pub fn table(&self) -> &'a str {
        self.table
    }

    /// Reads a record as it is now, not as it may have been a moment ago.
    pub async fn get(&self, id: &str) -> Result<Option<Item>, CallError> {
        let key = AttributeValue::S(id.to_owned());
        let call = || {
            let request = self.client.get_item().table_name(self.table);
            request.key(ID, key.clone()).consistent_read(true).send()
        };
        let answer = self.pacer.call(GET_ITEM, &[], call).await?;
        Ok(answer.item.map(from_sdk))
    }

    /// Reads up to [`AT_ONCE`] records as they are at one moment, in the order of their IDs. Together they may have 4 MB.
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
        // AWS may say of a record that is not there that it has no attributes.
        let mut found: Vec<Option<Item>> = found.map(|item| item.filter(|item| !item.is_empty())).collect();
        found.resize(ids.len(), None);
        Ok(found)
    }

    /// Makes one change; [`Class::ConditionFailed`] is its error when what it takes does not hold.
    ///
    /// A call whose answer was lost is made again, and may then fail on what it did itself the first time: whoever
    /// cares looks at the record.
    pub async fn write(&self, write: &Write) -> Result<(), CallError> {
        let mut places = Places::default();
        match write {
            Write::Put { item, when } => {
                let condition = places.tests(when);
                let call = || {
                    let request = self.client.put_item().table_name(self.table).set_item(Some(to_sdk(item)));
                    let request = request.set_condition_expression(condition.clone());
                    request
                        .set_expression_attribute_names(places.names())
                        .set_expression_attribute_values(places.values())
                        .send()
                };
                self.pacer.call(PUT_ITEM, &[], call).await.map(drop)
            }
            Write::Set { id, set, when } => {
                let update = places.set(set);
                let condition = places.tests(when);
                let call = || {
                    let request = self.client.update_item().table_name(self.table);
                    let request = request.key(ID, AttributeValue::S(id.clone())).update_expression(&update);
                    let request = request.set_condition_expression(condition.clone());
                    request
                        .set_expression_attribute_names(places.names())
                        .set_expression_attribute_values(places.values())
                        .send()
                };
                self.pacer.call(UPDATE_ITEM, &[], call).await.map(drop)
            }
        }
    }

    /// Makes several changes, all or none. The token makes a repetition of the call, within ten minutes, no second one.
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
        let mut places = Places::default();
        let part = TransactWriteItem::builder();
        Ok(match write {
            Write::Put { item, when } => {
                let put = Put::builder().table_name(self.table).set_item(Some(to_sdk(item)));
                let put = put.set_condition_expression(places.tests(when));
                let put = put.set_expression_attribute_names(places.names());
                part.put(put.set_expression_attribute_values(places.values()).build()?)
            }
            Write::Set { id, set, when } => {
                let update = Update::builder().table_name(self.table).key(ID, AttributeValue::S(id.clone()));
                let update = update.update_expression(places.set(set)).set_condition_expression(places.tests(when));
                let update = update.set_expression_attribute_names(places.names());
                part.update(update.set_expression_attribute_values(places.values()).build()?)
            }
        }
        .build())
    }

    /// Reads one page of a query. A page may be empty, and there may be more all the same.
    pub async fn page(&self, query: &Query, limit: Option<i32>, start: Option<Start>) -> Result<Page, CallError> {
        let mut places = Places::default();
        let mut condition = places.compare(query.key.0, "=", &query.key.1);
        if let Some((name, from)) = &query.from {
            condition = format!("{condition} AND {}", places.compare(name, ">=", from));
        }
        let filter = places.tests(&query.filter);
        let start = start.map(|Start(key)| key);
        let call = || {
            let request = self.client.query().table_name(self.table).index_name(query.index);
            let request = request.key_condition_expression(&condition).set_filter_expression(filter.clone());
            let request = request.set_expression_attribute_names(places.names());
            let request = request.set_expression_attribute_values(places.values());
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
    fn conditions_speak_through_placeholders_only() {
        let mut places = Places::default();
        let free = Test::Either(Box::new(Test::Absent("id")), Box::new(Test::UpTo("expires_at", Value::number(5))));
        let text = places.tests(&[Test::Is("status", Value::text("a OR b")), free]);
        assert_eq!(text.as_deref(), Some("#status = :v0 AND (attribute_not_exists(#id) OR #expires_at <= :v1)"));
        assert_eq!(places.values[":v0"], AttributeValue::S(String::from("a OR b")));
        assert_eq!(places.names["#status"], "status");
    }
}
