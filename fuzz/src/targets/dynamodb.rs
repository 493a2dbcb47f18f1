//! DynamoDB's expressions and PartiQL statements, and the items they are held against.

use super::{Target, seen, seen_message, texts};
use cloudlet_api_dynamodb::AttributeValue;
use cloudlet_dynamodb::expression::{KeySchema, Parameters};
use cloudlet_dynamodb::partiql::Plan;
use cloudlet_dynamodb::value::{Item, Kind, Value};
use std::collections::BTreeMap;

pub(super) static TARGET: Target =
    Target { name: "dynamodb", run, seeds, words: WORDS, longest: 16 << 10, ..Target::DEFAULT };

/// The first letter says what the text is.
fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "C#a = :n AND (b[1].c <> :s OR NOT attribute_exists(m.x)) AND size(l) >= :n",
        "Ca BETWEEN :n AND :n OR begins_with(s, :s) AND contains(l, :n) AND a IN (:n, :s)",
        "Cattribute_type(a, :t) AND attribute_not_exists(nope)",
        "USET a = a + :n, l[0] = if_not_exists(q, :n), l = list_append(l, :l) REMOVE m.x ADD n :n DELETE ss :ss",
        "Kpk = :s AND sk BETWEEN :n AND :n",
        "Ppk, #a, m.x, l[1], l[0]",
        "QSELECT pk, m.x, l[0] FROM \"t\".\"i\" WHERE pk IN ['a', ?] AND sk > 5 ORDER BY sk DESC",
        "QUPDATE t SET a = a + 1, l = list_append(l, [1, {'x': <<'a'>>}]) REMOVE m.x WHERE pk = ? AND sk = 1 RETURNING ALL OLD *",
        "QINSERT INTO t VALUE {'pk': ?, 'n': -1.5e3, 'b': true, 'z': NULL}",
        "QDELETE FROM t WHERE pk = 'it''s' AND sk = 1 AND a IS NOT MISSING -- end",
        "QEXISTS(SELECT * FROM t WHERE pk = 'a' AND sk = 1)",
        "N-000123.4560e-12",
    ])
}

const WORDS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "[0]",
    ".",
    ",",
    ":n",
    ":s",
    ":l",
    ":ss",
    ":t",
    "#a",
    "a",
    "l",
    "m.x",
    "=",
    "<>",
    "<",
    "<=",
    "+",
    "-",
    " AND ",
    " OR ",
    " NOT ",
    " IN (",
    " BETWEEN ",
    "size(",
    "contains(",
    "begins_with(",
    "attribute_exists(",
    "attribute_type(",
    "if_not_exists(",
    "list_append(",
    "SET ",
    " REMOVE ",
    " ADD ",
    " DELETE ",
    "SELECT ",
    " FROM ",
    " WHERE ",
    "INSERT INTO ",
    " VALUE ",
    "UPDATE ",
    " RETURNING ",
    "ALL NEW *",
    " IS MISSING",
    "{'a':",
    "}",
    "<<",
    ">>",
    "'",
    "\"",
    "''",
    "?",
    "`",
    "--",
    "/*",
    ";",
    "1e126",
    "99999999999999999999999999999999999999",
    "4294967295",
    "\u{e9}",
];

fn item() -> Item {
    let number = |n: i64| Value::N(n.into());
    [
        ("a", number(1)),
        ("n", number(5)),
        ("s", Value::S("text".into())),
        ("l", Value::L(vec![number(1), Value::M([("c".to_owned(), number(2))].into())])),
        ("m", Value::M([("x".to_owned(), Value::Null)].into())),
        ("ss", Value::SS(["a".to_owned()].into())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn run(input: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(input) else { return 0 };
    let Some((kind, text)) = text.split_at_checked(1) else { return 0 };
    let values = || -> BTreeMap<String, AttributeValue> {
        [
            (":n", Value::N(1i64.into())),
            (":s", Value::S("t".into())),
            (":t", Value::S("S".into())),
            (":l", Value::L(Vec::new())),
            (":ss", Value::SS(["a".to_owned()].into())),
        ]
        .map(|(name, value)| (name.to_owned(), value.into_api()))
        .into()
    };
    let names = BTreeMap::from([("#a".to_owned(), "a".to_owned())]);
    let Ok(mut parameters) = Parameters::new(Some(&names), Some(&values())) else { return 1 };
    let schema = KeySchema { hash: &[("pk", Kind::S)], range: &[("sk", Kind::N)] };
    let mut item = item();
    let outcome = match kind {
        "C" => parameters.condition(text).map(|condition| seen(&condition.matches(&item))),
        "U" => parameters.update(text).and_then(|update| {
            update.apply(&mut item)?;
            Ok(seen(&(item.len(), update.updated(&item).len())))
        }),
        "K" => parameters
            .key_condition(text)
            .and_then(|condition| condition.resolve(schema))
            .map(|query| seen(&query.range.len())),
        "P" => parameters.projection(text).map(|projection| seen(&projection.project(&item).len())),
        "N" => {
            return match text.parse::<cloudlet_dynamodb::value::Number>() {
                Ok(number) => {
                    let mut bytes = Vec::new();
                    number.order_bytes(&mut bytes);
                    seen(&(bytes.len(), number.to_string().len().min(40)))
                }
                Err(error) => seen_message("", &error.to_string()),
            };
        }
        _ => {
            let parameter = [Value::S("a".into()).into_api(), Value::N(1i64.into()).into_api()];
            Plan::parse(text, Some(&parameter)).map(|plan| match plan {
                Plan::Select(select) => {
                    let access = select.access(schema);
                    seen(&(select.matches(&item), select.project(&item).len(), access.is_ok()))
                }
                Plan::Update(change) | Plan::Delete(change) => {
                    seen(&(change.key(schema).is_ok(), change.update.is_some()))
                }
                Plan::Exists(exists) => seen(&exists.key(schema).is_ok()),
                Plan::Insert(insert) => seen(&insert.item.len().min(8)),
            })
        }
    };
    outcome.unwrap_or_else(|error| seen_message("", error.message()))
}
