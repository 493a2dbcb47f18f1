//! Conditions: what cannot be read, and what an item meets.

use super::*;

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(condition(text).unwrap_err(), format!("Invalid ConditionExpression: {message}"), "{text}");
}

#[test]
fn syntax_errors_name_the_token_and_what_is_around() {
    for (text, token, near) in [
        ("foo", "<EOF>", "foo"),
        ("a =", "<EOF>", "="),
        ("a = = :one", "=", "= = :one"),
        ("a b", "b", "a b"),
        ("= :one", "=", "= :one"),
        ("a = :one AND", "<EOF>", "AND"),
        ("AND a = :one", "AND", "AND a"),
        ("a AND b = :one", "AND", "a AND b"),
        ("a = :one OR OR b = :two", "OR", "OR OR b"),
        ("(a = :one", "<EOF>", ":one"),
        ("a = :one)", ")", ":one)"),
        ("a = :one and __typename = :s", "_", "and __"),
        ("a = : one", ":", "= : one"),
        ("a = \"x\"", "\"x\"", "= \"x\""),
        ("a = 'x y' AND", "'x y'", "= 'x y' AND"),
        ("a = 5", "5", "= 5"),
        ("a[b] = :one", "b", "[b]"),
        ("a[-1] = :one", "-", "[-1"),
        ("a[01] = :one", "1", "01]"),
        ("a. = :one", "=", ". = :one"),
        ("a.1 = :one", "1", ".1 ="),
        ("a IN :one", ":one", "IN :one"),
        ("a IN ()", ")", "()"),
        ("a IN (:one", "<EOF>", ":one"),
        ("a BETWEEN :one", "<EOF>", ":one"),
        ("a BETWEEN :one OR :two", "OR", ":one OR :two"),
        ("attribute_exists()", ")", "()"),
        ("attribute_exists(a, )", ")", ", )"),
        ("NOT", "<EOF>", "NOT"),
        ("NOT a", "<EOF>", "a"),
        ("(NOT a)", ")", "a)"),
        ("(a)", "<EOF>", ")"),
        ("a = :one AND b", "<EOF>", "b"),
        ("a + b = :one", "+", "a + b"),
        ("a = !!", "!", "= !!"),
        ("a == :one", "=", "== :one"),
        ("a != :one", "!", "a !="),
        (" ", "<EOF>", ""),
        ("#", "#", "#"),
        ("a = #", "#", "= #"),
        ("ä = :one", "ä", "ä ="),
        ("a <> = :one", "=", "<> = :one"),
        ("(a = :one) = :two", "=", ") = :two"),
        ("a = (b = :one)", "=", "b = :one"),
        ("a in (:one, b = :two)", "=", "b = :two"),
    ] {
        refused(text, &format!("Syntax error; token: \"{token}\", near: \"{near}\""));
    }
    refused("", "The expression can not be empty;");
}

#[test]
fn what_is_wrong_before_names_and_values_are_known() {
    for text in [
        "((a = :one))",
        "((a)) = :one",
        "a = ((:one))",
        "( ( a = :one ) )",
        "((attribute_exists(a)))",
        "(((a = :one)))",
        "a IN (((b)))",
        "NOT ((a = :one))",
    ] {
        refused(text, "The expression has redundant parentheses;");
    }
    for text in [
        "(a = :one) AND (b = :two)",
        "(a) = (:one)",
        "((a) = :one)",
        "((a = :one) OR (b = :two))",
        "(size(a)) > :one",
        "((size(a)) > :one)",
        "NOT (a = :one)",
        "NOT NOT a = :one",
        "(attribute_exists(a))",
    ] {
        condition(text).unwrap();
    }
    for (text, message) in [
        ("foo(a)", "Invalid function name; function: foo"),
        ("Size(a) = :one", "Invalid function name; function: Size"),
        ("foo(bar(a)) = :one", "Invalid function name; function: bar"),
        (
            "if_not_exists(a, :one) = :one",
            "The function is not allowed in a condition expression; function: if_not_exists",
        ),
        ("size(a)", "The function is not allowed to be used this way in an expression; function: size"),
        ("NOT size(a)", "The function is not allowed to be used this way in an expression; function: size"),
        (
            "begins_with(a, :s) = :yes",
            "The function is not allowed to be used this way in an expression; function: begins_with",
        ),
        (
            "size(contains(a, :s)) = :one",
            "The function is not allowed to be used this way in an expression; function: contains",
        ),
        (
            "contains(a, begins_with(b, :s))",
            "The function is not allowed to be used this way in an expression; function: begins_with",
        ),
        ("name = :one", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("a.Status = :one", "Attribute name is a reserved keyword; reserved keyword: Status"),
        (
            "a = :one AND begins_with(hash, :s)",
            "Attribute name is a reserved keyword; reserved keyword: hash",
        ),
        // Each of these before everything that needs names or values.
        ("((foo(name) = :nope))", "The expression has redundant parentheses;"),
        ("foo(name) = :nope", "Invalid function name; function: foo"),
        (
            "size(contains(name, :nope)) = :one",
            "The function is not allowed to be used this way in an expression; function: contains",
        ),
        ("name = :nope", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("a[4294967295] = :one", "List index is not within the allowable range; index: [4294967295]"),
    ] {
        refused(text, message);
    }
    let error = parameters(VALUES).filter("list_append(a, :list) = :one").unwrap_err();
    assert_eq!(
        error.message(),
        "Invalid FilterExpression: The function is not allowed in a filter expression; function: list_append"
    );
}

#[test]
fn what_is_wrong_with_names_and_values() {
    let undefined_name = |name: &str| {
        format!(
            "An expression attribute name used in the document path is not defined; attribute name: {name}"
        )
    };
    let undefined_value = |name: &str| {
        format!("An expression attribute value used in expression is not defined; attribute value: {name}")
    };
    let wrong_type = |name: &str, kind: &str| {
        format!(
            "Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"
        )
    };
    let wrong_count = |name: &str, count: usize| {
        format!(
            "Incorrect number of operands for operator or function; operator or function: {name}, number of operands: {count}"
        )
    };
    for (text, message) in [
        ("#x = :one", undefined_name("#x")),
        ("a.#x = :nope", undefined_name("#x")),
        ("a = :nope", undefined_value(":nope")),
        ("a = :nope AND #x = :one", undefined_value(":nope")),
        ("size(a, b) = :nope", undefined_value(":nope")),
        ("size(a, b) = :one", wrong_count("size", 2)),
        ("attribute_exists(a, b)", wrong_count("attribute_exists", 2)),
        ("begins_with(a)", wrong_count("begins_with", 1)),
        ("contains(a, b, c)", wrong_count("contains", 3)),
        ("attribute_exists(:one)", "Operator or function requires a document path; operator or function: attribute_exists".to_owned()),
        ("attribute_not_exists(size(a))", "Operator or function requires a document path; operator or function: attribute_not_exists".to_owned()),
        ("begins_with(a, :one)", wrong_type("begins_with", "N")),
        ("begins_with(:list, a)", wrong_type("begins_with", "L")),
        ("begins_with(size(a), :s)", wrong_type("begins_with", "N")),
        ("size(:one) = :one", wrong_type("size", "N")),
        ("size(size(a)) = :one", wrong_type("size", "N")),
        ("size(:yes) = :one", wrong_type("size", "BOOL")),
        ("size(:no) = :one", wrong_type("size", "NULL")),
        ("attribute_type(a, b)", wrong_type("attribute_type", "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}")),
        ("attribute_type(a, :one)", wrong_type("attribute_type", "N")),
        ("attribute_type(a, :odd)", "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}".to_owned()),
        ("a < :yes", wrong_type("<", "BOOL")),
        (":map >= a", wrong_type(">=", "M")),
        ("a BETWEEN :list AND :one", wrong_type("BETWEEN", "L")),
        ("a = a", "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]".to_owned()),
        ("a[1].b <> #a[1].#b", "The first operand must be distinct from the remaining operands for this operator or function; operator: <>, first operand: [a, [1], b]".to_owned()),
        ("contains(a, #a)", "The first operand must be distinct from the remaining operands for this operator or function; operator: contains, first operand: [a]".to_owned()),
        ("a BETWEEN :s AND :one", "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:a}, upper bound operand: AttributeValue: {N:1}".to_owned()),
        ("a BETWEEN :two AND :one", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}".to_owned()),
    ] {
        refused(text, &message);
    }
    // A placeholder is one name, whatever is in it.
    assert_eq!(condition("#dot.c = :one").unwrap().paths()[0].to_string(), "[a.b, c]");
}

#[test]
fn limits() {
    let many = |n: usize, join: &str| vec!["a = :one"; n].join(join);
    refused(
        &format!("{} ", many(151, " AND  ")),
        "The expression contains too many operators; operator count: 301",
    );
    condition(&many(150, " OR ")).unwrap();
    refused(
        &format!("{}a = :one", "NOT ".repeat(301)),
        "The expression contains too many operators; operator count: 301",
    );
    let list = |n: usize| format!("a IN ({})", vec![":one"; n].join(","));
    condition(&list(100)).unwrap();
    refused(&list(101), "The IN operator is provided with too many operands; number of operands: 101");
    refused(
        &format!("{} = :one", "a".repeat(4090)),
        "Expression size has exceeded the maximum allowed size; expression size: 4097",
    );
    condition(&format!("{} = :one", "a".repeat(4089))).unwrap();
    condition(&format!("a{} = :one", ".b".repeat(31))).unwrap();
    refused(
        &format!("a{} = :one", ".b".repeat(32)),
        "The document path has too many nesting elements; nesting levels: 33",
    );
    // What nests as deep as the operators allow takes half of what a thread usually has, unoptimized.
    let deep = || {
        let mixed = (0..149).fold("a = :one".to_owned(), |inner, i| {
            format!("({inner}) {} b = :two", if i % 2 == 0 { "AND" } else { "OR" })
        });
        for text in [
            format!("{}a = :one", "NOT ".repeat(299)),
            mixed,
            format!("{}a{} = :one", "size(".repeat(250), ")".repeat(250)),
        ] {
            if let Ok(condition) = condition(&text) {
                condition.matches(&item("a:1 b:2"));
                assert!(condition.paths().len() < 200);
            }
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(deep).unwrap().join().unwrap();
    // Nothing recurses with the text.
    for text in [
        "(".repeat(4000),
        "NOT ".repeat(1000),
        "NOT(".repeat(1000),
        "size(".repeat(800),
        "f((".repeat(1300),
        "a = ".to_owned() + &"(".repeat(4000),
        "a[".repeat(2000),
    ] {
        condition(&text).unwrap_err();
    }
    refused(
        &format!("{}a = :one{}", "(".repeat(2000), ")".repeat(2000)),
        "The expression has redundant parentheses;",
    );
}

#[test]
fn conditions_on_an_item() {
    let item = item(
        "n:5 s:'abc b:~xyz t:true z:null l:[1 'x {k:'v}] m:{a:{b:[10 20]} e:{}} ss:<'a 'b> ns:<1 2> big:10 u:'äö empty:'",
    );
    let values = "five:5 ten:10 one:1 abc:'abc ab:'ab x:'x a:'a t:true z:null xy:~xy set:<'b 'a> S:'S N:'N M:'M two:2 three:3 m:{k:'v}";
    for (text, expected) in [
        ("n = :five", true),
        ("n <> :five", false),
        ("n < :ten", true),
        ("n >= :five", true),
        ("n > :five", false),
        ("n <= big", true),
        ("n = :abc", false),
        ("n <> :abc", true),
        ("n < :abc", false),
        ("n > :abc", false),
        // What is not there equals nothing, and differs from everything.
        ("nope = :five", false),
        ("nope <> :five", true),
        ("nope < :five", false),
        ("NOT nope = :five", true),
        ("nope <> nope2", true),
        ("nope = nope2", false),
        ("n BETWEEN :one AND :ten", true),
        ("n BETWEEN :five AND :five", true),
        ("big BETWEEN :one AND :five", false),
        ("s BETWEEN :a AND :x", true),
        ("s BETWEEN :one AND :ten", false),
        ("n IN (:one, :five)", true),
        ("n IN (:one)", false),
        ("s IN (:five, :abc)", true),
        ("nope IN (:one)", false),
        ("attribute_exists(s)", true),
        ("attribute_exists(nope)", false),
        ("attribute_not_exists(m.a.c)", true),
        ("attribute_exists(m.a.b[1])", true),
        ("attribute_exists(m.a.b[2])", false),
        ("attribute_exists(l[2].k)", true),
        ("attribute_exists(s.x)", false),
        ("attribute_exists(z)", true),
        ("attribute_exists(l.k)", false),
        ("attribute_exists(m[0])", false),
        ("attribute_type(s, :S)", true),
        ("attribute_type(n, :S)", false),
        ("attribute_type(m.a, :M)", true),
        ("attribute_type(nope, :S)", false),
        ("begins_with(s, :ab)", true),
        ("begins_with(s, :x)", false),
        ("begins_with(b, :xy)", true),
        ("begins_with(n, :ab)", false),
        ("begins_with(nope, :ab)", false),
        ("contains(s, :ab)", true),
        ("contains(ss, :a)", true),
        ("contains(ss, :ab)", false),
        ("contains(ns, :one)", true),
        ("contains(l, :x)", true),
        ("contains(l, :m)", true),
        ("contains(l, :a)", false),
        ("contains(n, :five)", false),
        ("contains(b, :xy)", true),
        ("NOT contains(nope, :a)", true),
        ("size(s) = :three", true),
        ("size(l) = :three", true),
        ("size(m) = :two", true),
        ("size(ss) = :two", true),
        ("size(b) = :three", true),
        ("size(u) = :two", true),
        ("size(n) = :one", false),
        ("size(nope) < :ten", false),
        ("size(m.e) < :one", true),
        ("ss = :set", true),
        ("t = :t", true),
        ("z = :z", true),
        ("l[2] = :m", true),
        ("n = :five AND s = :abc OR nope = :one", true),
        ("nope = :one AND n = :five OR s = :abc", true),
        ("nope = :one AND (n = :five OR s = :abc)", false),
        ("NOT n = :five OR s = :abc", true),
        ("NOT (n = :five OR s = :abc)", false),
        ("NOT n = :five AND nope = :one", false),
        ("not n = :one aNd s = :abc", true),
        ("n = :one OR n = :five AND s = :x", false),
        (":five = n", true),
        (":five = :five", true),
        ("begins_with(:abc, :ab)", true),
        ("size(:abc) = :three", true),
    ] {
        let values: BTreeMap<String, AttributeValue> =
            into_api(super::tests::item(values)).into_iter().map(|(k, v)| (format!(":{k}"), v)).collect();
        let condition = Parameters::new(None, Some(&values))
            .unwrap()
            .condition(text)
            .unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(condition.matches(&item), expected, "{text}");
    }
}
