//! Between the wire's shapes and ours.

use crate::errors::Result;
use crate::value::{self, Item, Value};
use cloudlet_api_dynamodb as api;
use std::collections::BTreeMap;

/// An item as the wire has it.
pub(crate) fn item_out(item: Item) -> BTreeMap<String, api::AttributeValue> {
    value::into_api(item)
}

/// An item or a key from the wire.
pub(crate) fn item_in(item: &BTreeMap<String, api::AttributeValue>) -> Result<Item> {
    value::from_api(item)
}

/// Values by their placeholder, from the wire.
pub(crate) fn value_out(value: Value) -> api::AttributeValue {
    value.into_api()
}
