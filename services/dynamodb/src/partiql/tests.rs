//! Statements and what AWS makes of them.

use super::*;
use crate::expression::tests::{item, value};
use crate::expression::{Comparator, KeyPredicate, KeyQuery, KeySchema};
use crate::value::Kind;
use proptest::prelude::*;

fn plan(statement: &str, parameters: &[&str]) -> Result<Plan, String> {
    let parameters: Vec<AttributeValue> = parameters.iter().map(|p| value(p).into_api()).collect();
    Plan::parse(statement, Some(&parameters)).map_err(|error| error.message().to_owned())
}

/// As [`plan`], with as many of the parameters as the statement has places for.
fn planned(statement: &str, parameters: &[&str]) -> Result<Plan, String> {
    plan(statement, &parameters[..statement.matches('?').count().min(parameters.len())])
}

fn select(statement: &str) -> Select {
    match planned(statement, &["'p", "7"]).unwrap_or_else(|e| panic!("{statement}: {e}")) {
        Plan::Select(select) => select,
        _ => panic!("{statement}"),
    }
}

const SCHEMA: KeySchema<'static> = KeySchema { hash: &[("pk", Kind::S)], range: &[("sk", Kind::N)] };

#[test]
fn statements_that_are_not_well_formed() {
    for (statement, message) in [
        ("", "Unexpected term"),
        ("SLECT * FROM t WHERE pk = 'a'", "Expected data manipulation"),
        ("UPDATE Payment-t SET active=? WHERE id=?", "Expected data manipulation"),
        ("garbage", "Expected data manipulation"),
        ("SELECT * FROM", "Unexpected term"),
        ("SELECT * t", "Expected FROM after SELECT list"),
        ("SELECT FROM t", "Expected data manipulation"),
        (
            "SELECT a, * FROM t",
            "Other expressions may not be present in the select list when '*' is used without dot notation.",
        ),
        ("SELECT * FROM t WHERE", "Unexpected term"),
        ("SELECT * FROM t WHERE a =", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM t WHERE a BETWEEN 1 AND", "Expected expression after AND"),
        ("SELECT * FROM t WHERE a BETWEEN 1 OR 2", "Expected AND keyword"),
        ("SELECT * FROM t WHERE a IN (1, 2", "Expected RIGHT_PAREN"),
        ("SELECT * FROM t WHERE a IN [1, 2", "Expected RIGHT_BRACKET"),
        ("SELECT * FROM t WHERE a IS 5", "Expected type name"),
        ("SELECT * FROM t WHERE user = 1", "Unexpected keyword"),
        ("SELECT a. FROM t", "Invalid path dot component"),
        ("INSERT INTO urls (key, target) VALUES (?, ?)", "Unexpected keyword"),
        ("INSERT t VALUE {'a':1}", "Unexpected keyword"),
        ("INSERT INTO 't' VALUE {'a':1}", "Expected identifier for simple path"),
        ("INSERT INTO t VALUE {'a' 1}", "Expected COLON"),
        ("INSERT INTO t VALUE {'a':1", "Expected RIGHT_CURLY"),
        ("DELETE t WHERE a = 1", "Expected FROM after DELETE"),
        ("DELETE FROM WHERE pk = 'a'", "Expected identifier for simple path"),
        ("UPDATE t WHERE pk = 'a'", "Expected data manipulation"),
        ("UPDATE t SET a WHERE pk = 'a'", "Expected '='"),
        ("UPDATE t SET a = 1 WHERE pk = 'a' garbage", "Unexpected token after expression"),
        (
            "UPDATE t SET a = 1 WHERE pk = 'a' RETURNING *",
            "Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element.",
        ),
        (
            "SELECT * FROM t; SELECT * FROM t",
            "Unexpected token after semicolon. (Only one query is allowed.)",
        ),
    ] {
        let expected = format!("Statement wasn't well formed, can't be processed: {message}");
        assert_eq!(planned(statement, &["1", "1"]).unwrap_err(), expected, "{statement}");
    }
}

#[test]
fn parameters_are_as_many_as_their_places() {
    let refusal = "Number of parameters in request and statement don't match.";
    for parameters in [&[][..], &["'p", "7"]] {
        assert_eq!(plan("SELECT * FROM t WHERE pk = ?", parameters).unwrap_err(), refusal);
    }
    plan("SELECT * FROM t WHERE pk = ?", &["'p"]).unwrap();
}

#[test]
fn statements_that_dynamodb_does_not_have() {
    for (statement, message) in [
        ("SELECT * FROM t WHERE pk = ?", "Number of parameters in request and statement don't match."),
        ("SELECT * FROM t LIMIT 5", "Unsupported clause: LIMIT at 1:17:5"),
        ("SELECT DISTINCT a FROM t", "Unsupported clause: DISTINCT at 1:8:8"),
        ("SELECT a FROM t GROUP BY a", "Unsupported clause: GROUP BY at 1:17:5"),
        ("SELECT * FROM t AS x WHERE x.a = 1", "Aliasing is not supported"),
        ("SELECT * FROM t, u", "Only select from a single table or index is supported."),
        ("SELECT * FROM t JOIN u ON t.a = u.a", "Only select from a single table or index is supported."),
        ("SELECT * FROM (SELECT * FROM t) AS u", "Aliasing is not supported"),
        ("SELECT * FROM t.i.x", "A path may contain at most 2 components in the FROM clause"),
        ("SELECT l[-1] FROM t", "List index is not within the allowable range; index: [-1] at 1:11:1"),
        ("SELECT * FROM t ORDER BY a", "Must have WHERE clause in the statement when using ORDER BY clause."),
        (
            "SELECT * FROM t WHERE a < true",
            "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
        ),
        ("SELECT * FROM t WHERE a = MISSING", "MISSING must be compared using IS operator"),
        (
            "SELECT * FROM t WHERE a = a",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]",
        ),
        (
            "SELECT * FROM t WHERE a IN []",
            "IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq with at least one member",
        ),
        ("SELECT * FROM t WHERE nope(a)", "Unrecognized function: nope"),
        (
            "SELECT * FROM t WHERE size(a)",
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "SELECT * FROM t WHERE begins_with(a, 1)",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        ("SELECT * FROM t WHERE EXISTS(SELECT * FROM t)", EXISTS_NEEDS_TRANSACTION),
        (
            "SELECT * FROM t WHERE a = 1e200",
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        ("INSERT INTO t VALUE {'a': <<>>}", "Empty bags are not supported"),
        (
            "INSERT INTO t VALUE {'a': <<1, 'b'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ),
        (
            "INSERT INTO t VALUE {'a': <<1, 1.0>>}",
            "One or more parameter values were invalid: Input collection [1, 1] contains duplicates! under root",
        ),
        ("INSERT INTO t VALUE {'a': 1, 'a': 2}", "Duplicate keys in tuple. Key: a under root"),
        (
            "INSERT INTO t VALUE {a: 1}",
            "Tuple keys must be of type String. Actual type: VariableReference under root",
        ),
        ("INSERT INTO t VALUE {'a': 1} RETURNING ALL OLD *", "RETURNING is not supported in INSERT"),
        ("SELECT * FROM t.\"\"", "Path component cannot be an empty string"),
        ("UPDATE t.i SET a = 1 WHERE pk = 'a'", "This operation is not supported on an index"),
        (
            "DELETE FROM t WHERE pk = 'a' RETURNING MODIFIED NEW *",
            "Invalid returning clause: RETURNING MODIFIED NEW *. Only RETURNING ALL OLD * is allowed in DELETE statements.",
        ),
        (
            "UPDATE t SET a = set_add(b, <<1>>) WHERE pk = 'a'",
            "The first argument to SET_ADD must equal the assignment value at 1:18:7",
        ),
        (
            "UPDATE t SET a = set_delete(a, 'x') WHERE pk = 'a'",
            "The second argument to SET_DELETE must be a value with type SET at 1:29:1",
        ),
        ("SELECT * FROM t WHERE a = 1 + 1", "Unsupported operator in Condition Expression. Operator: +"),
        ("SELECT * FROM t WHERE a LIKE 'x'", "Unsupported operator in Condition Expression. Operator: LIKE"),
        (
            "SELECT * FROM t WHERE a = -b",
            "Incorrect number of operands for operator or function; operator or function: -, number of operands: 1",
        ),
        (
            "SELECT * FROM t WHERE a IS TIMESTAMP",
            "Unsupported data type for IS operator: TIMESTAMP. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]",
        ),
        (
            "SELECT * FROM t WHERE (a = 1) > true",
            "Incorrect operand type for operator or function; operator or function: >, operand type: BOOL",
        ),
        (
            "INSERT INTO t VALUE 5",
            "Unsupported format in item expression. Please use struct format {...} to express item values for insert statement.",
        ),
        (
            "INSERT INTO t.i VALUE {'a':1}",
            "FROM clause may only contain a single table name in data manipulation statements at 1:13:1",
        ),
        (
            "UPDATE t SET a = 1, a = 2 WHERE pk = 'a'",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]",
        ),
        (
            "UPDATE t SET a = 1 WHERE pk = 'a' RETURNING ALL OLD a",
            "Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause",
        ),
        (
            "UPDATE t SET a = 'x' + 1 WHERE pk = 'a'",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S",
        ),
    ] {
        assert_eq!(planned(statement, &[]).unwrap_err(), message, "{statement}");
    }
    let in_list = |count: usize| format!("SELECT * FROM t WHERE a IN [{}]", vec!["1"; count].join(","));
    plan(&in_list(100), &[]).unwrap();
    assert_eq!(
        plan(&in_list(101), &[]).unwrap_err(),
        "The IN operator is provided with too many operands; number of operands: 101"
    );
    let nested = |levels: usize| {
        format!("UPDATE t SET d = {}1{} WHERE pk = 'a'", "{'a':".repeat(levels), "}".repeat(levels))
    };
    plan(&nested(31), &[]).unwrap();
    assert_eq!(
        plan(&nested(32), &[]).unwrap_err(),
        format!("Nesting Levels have exceeded supported limits under root{}", ".a".repeat(32))
    );
    assert_eq!(
        plan("INSERT INTO t VALUE {'pk': ?, 'l': [?]}", &["'p", "1"]).unwrap_err(),
        "Unsupported data type: Parameter under key root.l[0] at 1:37:1"
    );
    // What a parameter says is looked at before the statement.
    let twice = AttributeValue { ss: Some(vec!["a".into(), "a".into()]), ..Default::default() };
    assert_eq!(
        Plan::parse("UPDATE t SET WHERE", Some(&[twice])).unwrap_err().message(),
        "One or more parameter values were invalid: Input collection [a, a] contains duplicates."
    );
}

#[test]
fn conditions_of_statements() {
    let whole = item("pk:'p n:7 s:'it's z:null l:[1 {x:2}] ss:<'a 'b> a.b:1 user:'u yes:true no:false");
    for (condition, expected) in [
        ("pk = ? AND n = ?", true),
        ("n > 6 and not n >= 8", true),
        ("n BETWEEN 1 AND 7 AND s = 'it''s'", true),
        ("n NOT BETWEEN 1 AND 7", false),
        ("n IN [1, 7] AND n IN (7) AND n NOT IN [1]", true),
        ("nope IS MISSING AND n IS NOT MISSING", true),
        ("z IS NULL AND n IS NOT NULL", true),
        ("begins_with(s, 'it') AND contains(ss, 'a') AND attribute_type(z, 'NULL')", true),
        ("size(l) = 2 AND l[1].x = 2 AND \"l\"[0] = 1", true),
        ("\"a.b\" = 1 AND \"user\" = 'u'", true),
        ("n = 1 OR n = 7 AND pk = 'x' OR s <> 'y'", true),
        ("(n = 1 OR n = 7) AND pk = 'x'", false),
        ("n != 7", false),
        ("n = -7", false),
        ("7 = n -- a comment\n AND /* another */ 6 < n", true),
        ("ss = <<'b', 'a'>> AND l = [1, {'x': 2}]", true),
        ("NOT begins_with(s, 'x') AND true = true", true),
        (
            "attribute_exists(nope) = false AND true = attribute_exists(n) AND attribute_exists(n) <> false",
            true,
        ),
        ("(n = 7) = (pk = 'p') AND (n = 7) = yes AND (n = 1) = \"no\"", true),
        ("(n = 7) = n OR (n = 1) IN [true] OR attribute_exists(n) = 1", false),
        ("n IS NUMERIC AND l IS LIST AND s IS STRING AND yes IS BOOLEAN AND n IS NOT STRUCT", true),
    ] {
        assert_eq!(
            select(&format!("SELECT * FROM t WHERE {condition}")).matches(&whole),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn selects() {
    let read = select("SELECT pk, m.a, m.l[0], \"m\".\"b\" FROM \"my.table\".\"by-date\" WHERE pk = ?;");
    assert_eq!((read.table.as_str(), read.index.as_deref()), ("my.table", Some("by-date")));
    assert_eq!(read.project(&item("pk:'p m:{a:1 l:[5]} x:1")), item("pk:'p a:1 l[0]:5"));
    assert_eq!(select("SELECT * FROM t").columns, None);

    let equal = |v: &str| KeyQuery { hash: vec![value(v)], range: vec![], last: None };
    let item_at = |v: &str, r: &str| KeyQuery { hash: vec![value(v)], range: vec![value(r)], last: None };
    let queries = |list: Vec<KeyQuery>| Ok((Access::Queries(list), false));
    for (condition, access) in [
        ("pk = 'a'", queries(vec![equal("'a")])),
        ("'a' = pk AND x = 1", queries(vec![equal("'a")])),
        ("pk = 'a' AND sk = 1", queries(vec![item_at("'a", "1")])),
        (
            "pk = 'a' AND sk > 1 AND sk < 5",
            queries(vec![KeyQuery { last: Some(KeyPredicate::Compare(Comparator::Greater, value("1"))), ..equal("'a") }]),
        ),
        ("pk IN ['a', 'b']", queries(vec![equal("'a"), equal("'b")])),
        ("pk = 'a' AND sk IN [1, 2]", queries(vec![item_at("'a", "1"), item_at("'a", "2")])),
        (
            "pk = 'a' AND (sk = 1 OR sk > 5)",
            queries(vec![
                item_at("'a", "1"),
                KeyQuery {
                    last: Some(KeyPredicate::Compare(Comparator::Greater, value("5"))),
                    ..equal("'a")
                },
            ]),
        ),
        (
            "pk = 'a' AND (sk = 5 OR sk >= 5)",
            Err("Overlapping conditions with range keys are not supported in where clause".to_owned()),
        ),
        ("pk = 'a' AND (pk = 'b') = true", queries(vec![equal("'a")])),
        ("pk = 'a' OR pk = 'b' AND sk = 1", queries(vec![equal("'a"), item_at("'b", "1")])),
        ("pk = 'a' OR x = 1", Ok((Access::Scan, false))),
        ("pk > 'a'", Ok((Access::Scan, false))),
        ("NOT pk = 'a'", Ok((Access::Scan, false))),
        ("pk = 'a' ORDER BY sk DESC", Ok((Access::Queries(vec![equal("'a")]), true))),
        ("pk = 'a' ORDER BY pk DESC, sk ASC", queries(vec![equal("'a")])),
        ("pk IN ['b', 'c', 'a'] ORDER BY pk", queries(vec![equal("'a"), equal("'b"), equal("'c")])),
        (
            "pk IN ['b', 'c', 'a'] ORDER BY pk DESC",
            Ok((Access::Queries(vec![equal("'c"), equal("'b"), equal("'a")]), true)),
        ),
        ("pk = 'a' ORDER BY x", Err("Variable reference x in ORDER BY clause must be part of the primary key".to_owned())),
        (
            "x = 1 ORDER BY sk",
            Err("Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.".to_owned()),
        ),
        ("pk = 1", Err("Key attribute's data type should match its data type in table's schema: Key pk".to_owned())),
    ] {
        let found = select(&format!("SELECT * FROM t WHERE {condition}")).access(SCHEMA);
        assert_eq!(found.map_err(|error| error.message().to_owned()), access, "{condition}");
    }
    let list = |count: usize| (0..count).map(|i| format!("'{i}'")).collect::<Vec<_>>().join(",");
    let many =
        |count: usize| select(&format!("SELECT * FROM t WHERE pk IN [{}]", list(count))).access(SCHEMA);
    many(50).unwrap();
    assert_eq!(many(51).unwrap_err().message(), "Too many decomposed read operations for a given query.");
    assert_eq!(
        select(&format!("SELECT * FROM t WHERE pk IN [{}] OR x = 1", list(51))).access(SCHEMA).unwrap().0,
        Access::Scan
    );
}

#[test]
fn inserts() {
    let Plan::Insert(insert) = plan(
        "INSERT INTO \"t\" VALUE {'pk': ?, 'n': -1.50, 'l': [1, 'x', {'k': true}], 's': <<1, 2>>, 'z': NULL, 'e': {}}",
        &["'p"],
    )
    .unwrap() else {
        panic!()
    };
    assert_eq!(insert.item, item("pk:'p n:-1.5 l:[1 'x {k:true}] s:<1 2> z:null e:{}"));
    assert!(!insert.or_nothing);
}

#[test]
fn changes() {
    let change = |statement: &str| match planned(statement, &["'p", "7"])
        .unwrap_or_else(|e| panic!("{statement}: {e}"))
    {
        Plan::Update(change) | Plan::Delete(change) => change,
        _ => panic!(),
    };
    for (operations, after) in [
        ("SET a = 2", "a:2 l:[1] m:{x:1} ss:<'a>"),
        ("SET a = a + 1 SET b = 5 REMOVE m", "a:2 b:5 l:[1] ss:<'a>"),
        ("SET a = a - 1, m.y = 'z' REMOVE l[0] REMOVE ss", "a:0 l:[] m:{x:1 y:'z}"),
        ("SET l = list_append(l, [2]), ss = set_add(ss, <<'b'>>)", "a:1 l:[1 2] m:{x:1} ss:<'a 'b>"),
        ("SET ss = SET_DELETE(ss, <<'a'>>) SET m['y'] = l", "a:1 l:[1] m:{x:1 y:[1]}"),
        ("SET a = if_not_exists(q, 9)", "a:9 l:[1] m:{x:1} ss:<'a>"),
    ] {
        let mut before = item("a:1 l:[1] m:{x:1} ss:<'a>");
        change(&format!("UPDATE t {operations} WHERE pk = 'p' AND sk = 7"))
            .update
            .unwrap()
            .apply(&mut before)
            .unwrap();
        assert_eq!(before, item(after), "{operations}");
    }
    let key = |statement: &str| change(statement).key(SCHEMA).map_err(|error| error.message().to_owned());
    assert_eq!(key("DELETE FROM t WHERE pk = ? AND sk = ?"), Ok((item("pk:'p sk:7"), None)));
    let (found, rest) = key("FROM t WHERE 7 = sk AND (x = 1 AND pk = 'p') SET a = 1").unwrap();
    assert_eq!(found, item("pk:'p sk:7"));
    assert!(rest.unwrap().matches(&item("x:1")));
    for (statement, message) in [
        (
            "DELETE FROM t WHERE pk = 'a'",
            "Where clause does not contain a mandatory equality on all key attributes",
        ),
        ("DELETE FROM t", "Where clause does not contain a mandatory equality on all key attributes"),
        (
            "DELETE FROM t WHERE pk = 'a' OR sk = 7",
            "Where clause does not contain a mandatory equality on all key attributes",
        ),
        (
            "DELETE FROM t WHERE pk = 'a' AND sk > 7",
            "Where clause does not contain a mandatory equality on all key attributes",
        ),
        (
            "DELETE FROM t WHERE pk = 'a' AND sk = 'x'",
            "Key attribute's data type should match its data type in table's schema: Key sk",
        ),
        ("DELETE FROM t WHERE pk = 'a' AND pk = 'b' AND sk = 7", "Multiple conditions on same key"),
    ] {
        assert_eq!(key(statement).unwrap_err(), message, "{statement}");
    }
    assert_eq!(
        change("UPDATE t SET a = 1 WHERE pk = 'p' RETURNING MODIFIED NEW *").returning,
        Some(Returning::ModifiedNew)
    );
    assert_eq!(change("DELETE FROM t WHERE pk = 'p' RETURNING ALL OLD *").returning, Some(Returning::AllOld));
    let Plan::Exists(exists) =
        plan("EXISTS(SELECT * FROM \"t\" WHERE pk = 'p' AND sk = 7 AND a IS MISSING)", &[]).unwrap()
    else {
        panic!()
    };
    assert_eq!(exists.key(SCHEMA).unwrap().0, item("pk:'p sk:7"));
}

/// Texts made of the words of the language, so that they get past the first.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("SELECT"),
        Just("*"),
        Just("FROM"),
        Just("t"),
        Just("WHERE"),
        Just("a"),
        Just("="),
        Just("1"),
        Just("'x'"),
        Just("AND"),
        Just("OR"),
        Just("NOT"),
        Just("IN"),
        Just("["),
        Just("]"),
        Just("("),
        Just(")"),
        Just("{"),
        Just("}"),
        Just(":"),
        Just(","),
        Just("<<"),
        Just(">>"),
        Just("?"),
        Just("-"),
        Just("+"),
        Just("UPDATE"),
        Just("SET"),
        Just("REMOVE"),
        Just("DELETE"),
        Just("INSERT INTO"),
        Just("VALUE"),
        Just("BETWEEN"),
        Just("IS"),
        Just("MISSING"),
        Just("."),
        Just("size("),
        Just("list_append("),
        Just("RETURNING"),
        Just("ALL OLD"),
        Just("\"q\""),
        Just(";"),
        Just("ORDER BY"),
        Just("EXISTS("),
        Just("ä"),
        Just("`x`"),
    ];
    proptest::collection::vec(word, 0..30).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_statement_panics(text in prop_oneof![words(), words().prop_map(|w| format!("SELECT * FROM t WHERE {w}")), ".{0,60}"]) {
        if let Ok(Plan::Select(select)) = planned(&text, &["1", "'a", "[1]"]) {
            let _ = select.access(SCHEMA);
            select.matches(&item("a:1"));
        }
    }
}

#[test]
fn nothing_recurses_with_the_text() {
    let texts = [
        "(".repeat(8000),
        "- ".repeat(4000),
        "NOT ".repeat(2000),
        format!("SELECT * FROM t WHERE {}", "[".repeat(8000)),
        format!("INSERT INTO t VALUE {}", "{'a':".repeat(1600)),
        format!("SELECT * FROM t WHERE a = {}1", "1 + ".repeat(2000)),
        format!("SELECT * FROM t WHERE a = 1{}", " AND a = 1".repeat(800)),
        "f(".repeat(4000),
        "a[".repeat(4000),
        "SELECT (".repeat(1000),
        "EXISTS(".repeat(1000),
        "FROM ".repeat(1600),
    ];
    // In half of what a thread usually has, unoptimized.
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let run = move || texts.iter().for_each(|text| drop(plan(text, &[]).unwrap_err()));
    small.spawn(run).unwrap().join().unwrap();
}
