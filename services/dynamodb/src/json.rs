//! Items as DynamoDB JSON: `{"pk": {"S": "a"}, "n": {"N": "1"}}`, for exports and imports.
//! Source: Developer Guide, "DynamoDB table export output format", "DynamoDB import format quotas and validation".

use crate::value::{Item, MAX_DEPTH, Value, base64};
use base64::Engine;
use cloudlet_api_dynamodb as api;
use serde_json::{Map, Value as Json, json};

/// An item as JSON.
pub(crate) fn write(item: &Item) -> Json {
    Json::Object(item.iter().map(|(name, value)| (name.clone(), value_out(value))).collect())
}

fn value_out(value: &Value) -> Json {
    let inner = match value {
        Value::S(text) => json!(text),
        Value::N(number) => json!(number.to_string()),
        Value::B(bytes) => json!(base64(bytes)),
        Value::Bool(value) => json!(value),
        Value::Null => json!(true),
        Value::SS(set) => json!(set),
        Value::NS(set) => json!(set.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Value::BS(set) => json!(set.iter().map(|bytes| base64(bytes)).collect::<Vec<_>>()),
        Value::L(list) => Json::Array(list.iter().map(value_out).collect()),
        Value::M(map) => write(map),
    };
    json!({ value.type_name(): inner })
}

/// An item out of JSON; `None` for what is none.
pub(crate) fn read(json: &Json) -> Option<Item> {
    let item = json.as_object()?;
    let one =
        |(name, value): (&String, &Json)| Some((name.clone(), Value::from_api(&value_in(value, 1)?).ok()?));
    item.iter().map(one).collect()
}

fn value_in(json: &Json, depth: usize) -> Option<api::AttributeValue> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut out = api::AttributeValue::default();
    let object: &Map<String, Json> = json.as_object()?;
    let texts = |json: &Json| {
        json.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    let bytes = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok().map(api::Blob::new);
    for (kind, inner) in object {
        match kind.as_str() {
            "S" => out.s = Some(inner.as_str()?.to_owned()),
            "N" => out.n = Some(inner.as_str()?.to_owned()),
            "B" => out.b = Some(bytes(inner.as_str()?)?),
            "BOOL" => out.bool = Some(inner.as_bool()?),
            "NULL" => out.null = Some(inner.as_bool()?),
            "SS" => out.ss = Some(texts(inner)?),
            "NS" => out.ns = Some(texts(inner)?),
            "BS" => out.bs = Some(texts(inner)?.iter().map(|text| bytes(text)).collect::<Option<_>>()?),
            "L" => {
                let all = inner.as_array()?.iter().map(|one| value_in(one, depth + 1));
                out.l = Some(all.collect::<Option<_>>()?);
            }
            "M" => {
                let all = inner.as_object()?.iter();
                let one = |(name, value): (&String, &Json)| Some((name.clone(), value_in(value, depth + 1)?));
                out.m = Some(all.map(one).collect::<Option<_>>()?);
            }
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back() {
        let text = r#"{"pk":{"S":"a"},"n":{"N":"1.5"},"b":{"B":"AAE="},"m":{"M":{"l":{"L":[{"BOOL":true},{"NULL":true}]}}},"ss":{"SS":["x"]}}"#;
        let item = read(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(read(&write(&item)).unwrap(), item);
        assert!(read(&json!({ "pk": { "X": "a" } })).is_none());
        assert!(read(&json!({ "pk": "a" })).is_none());
    }
}
