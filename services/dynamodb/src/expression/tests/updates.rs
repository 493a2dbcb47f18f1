//! Updates and projections.

use super::*;

#[test]
fn updates_that_cannot_be_read() {
    for (text, token, near) in [
        ("INVALID SYNTAX HERE", "INVALID", "INVALID SYNTAX"),
        ("SET", "<EOF>", "SET"),
        ("SET a", "<EOF>", "a"),
        ("SET a = :one,", "<EOF>", ","),
        ("SET a = :one SET", "<EOF>", "SET"),
        ("SET a = :one b = :two", "b", ":one b ="),
        ("ADD hits : incr", ":", "hits : incr"),
        ("ADD a b", "b", "a b"),
        ("ADD a = :one", "=", "a = :one"),
        ("DELETE a", "<EOF>", "a"),
        ("REMOVE a b", "b", "a b"),
        ("REMOVE :one", ":one", "REMOVE :one"),
        ("SET a = :one + :two + :ten", "+", ":two + :ten"),
        ("SET a = (:one + :two) + :ten", "+", ") + :ten"),
        ("SET a = VALUE 1", "1", "VALUE 1"),
        ("SET set = :one", "set", "SET set ="),
        ("SET a = :one AND b = :two", "AND", ":one AND b"),
        ("SET (a) = :one", "(", "SET (a"),
        ("SET a = (:one", "<EOF>", ":one"),
        ("SET a == :one", "=", "== :one"),
        ("SET a[:one] = :one", ":one", "[:one]"),
    ] {
        assert_eq!(
            update(text).unwrap_err(),
            format!("Invalid UpdateExpression: Syntax error; token: \"{token}\", near: \"{near}\""),
            "{text}"
        );
    }
    for (text, message) in [
        ("", "The expression can not be empty;"),
        ("SET a = ((:one))", "The expression has redundant parentheses;"),
        ("SET a = ((:one + :two))", "The expression has redundant parentheses;"),
        ("SET name = :nope", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("SET a = foo(name)", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("SET a = foo(b)", "Invalid function name; function: foo"),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        ("SET a = :one SET b = :two", "The \"SET\" section can only be used once in an update expression;"),
        (
            "ADD x :one SET a = :s add y :one",
            "The \"ADD\" section can only be used once in an update expression;",
        ),
        (
            "SET #x = :nope",
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        (
            "SET a = :nope, #x = :one",
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        (
            "SET a = :nope, a = :one",
            "An expression attribute value used in expression is not defined; attribute value: :nope",
        ),
        (
            "SET a = :one, a = :two",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]",
        ),
        (
            "SET a = :one REMOVE #a.b[1]",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b, [1]]",
        ),
        (
            "SET a.b = :one, a[1] = :two",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]",
        ),
        (
            "SET a.b = :one, a[1] = :two, c = :one REMOVE c",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [c], path two: [c]",
        ),
        (
            "ADD a :s",
            "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "ADD a :list",
            "Incorrect operand type for operator or function; operator: ADD, operand type: LIST, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "DELETE a :one",
            "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
        (
            "SET a = if_not_exists(b) DELETE c :map",
            "Incorrect operand type for operator or function; operator: DELETE, operand type: MAP, typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
        (
            "SET a = if_not_exists(b)",
            "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1",
        ),
        (
            "SET a = if_not_exists(:one, b)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        (
            "SET a = list_append(b, :one)",
            "Incorrect operand type for operator or function; operator or function: list_append, operand type: N",
        ),
        (
            "SET a = b + :s",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S",
        ),
        (
            "SET a = :map - b",
            "Incorrect operand type for operator or function; operator or function: -, operand type: M",
        ),
        (
            "SET a = list_append(list_append(b, :list), :list)",
            "The function is not allowed to be used this way in an expression; function: list_append",
        ),
    ] {
        assert_eq!(update(text).unwrap_err(), format!("Invalid UpdateExpression: {message}"), "{text}");
    }
}

#[test]
fn updates_of_an_item() {
    let before = "n:5 s:'x l:[1 2 3] m:{a:1 b:{c:[1 2]}} ss:<'a 'b> z:null";
    let refers = "The provided expression refers to an attribute that does not exist in the item";
    let path = "The document path provided in the update expression is invalid for update";
    let operand = "An operand in the update expression has an incorrect data type";
    for (text, after) in [
        ("SET n = :one", Ok("n:1 s:'x l:[1 2 3] m:{a:1 b:{c:[1 2]}} ss:<'a 'b> z:null")),
        ("SET n = n + :one, k = n", Ok("n:6 k:5 s:'x l:[1 2 3] m:{a:1 b:{c:[1 2]}} ss:<'a 'b> z:null")),
        ("SET n = :one - n REMOVE s, z, nope", Ok("n:-4 l:[1 2 3] m:{a:1 b:{c:[1 2]}} ss:<'a 'b>")),
        (
            "SET n = if_not_exists(n, :one), k = if_not_exists(k, :one)",
            Ok("n:5 k:1 s:'x l:[1 2 3] m:{a:1 b:{c:[1 2]}} ss:<'a 'b> z:null"),
        ),
        ("SET k = if_not_exists(k, if_not_exists(j, :s)) REMOVE l, m", Ok("n:5 k:'a s:'x ss:<'a 'b> z:null")),
        ("SET k = if_not_exists(k, :ten) + :one REMOVE l, m", Ok("n:5 k:11 s:'x ss:<'a 'b> z:null")),
        ("SET l = list_append(l, :list) REMOVE m", Ok("n:5 s:'x l:[1 2 3 1 2] ss:<'a 'b> z:null")),
        ("SET l = list_append(:list, l) REMOVE m", Ok("n:5 s:'x l:[1 2 1 2 3] ss:<'a 'b> z:null")),
        (
            "SET k = list_append(if_not_exists(k, :list), :list) REMOVE m, l",
            Ok("n:5 s:'x k:[1 2 1 2] ss:<'a 'b> z:null"),
        ),
        ("SET l[0] = :ten, l[9] = :s, l[5] = :t REMOVE m", Ok("n:5 s:'x l:[10 2 3 'b 'a] ss:<'a 'b> z:null")),
        ("REMOVE l[0], l[1], m", Ok("n:5 s:'x l:[3] ss:<'a 'b> z:null")),
        ("REMOVE l[0], l[7], m SET l[1] = :ten", Ok("n:5 s:'x l:[10 3] ss:<'a 'b> z:null")),
        ("SET m.b.c[1] = :s, m.d = :one REMOVE l", Ok("n:5 s:'x m:{a:1 d:1 b:{c:[1 'a]}} ss:<'a 'b> z:null")),
        ("REMOVE m.b.c[0], m.a, l", Ok("n:5 s:'x m:{b:{c:[2]}} ss:<'a 'b> z:null")),
        ("ADD n :two, k :one, ss :ss, j :ns REMOVE l, m", Ok("n:7 k:1 s:'x ss:<'a 'b> j:<1 2> z:null")),
        ("ADD l[0] :ten, l[3] :one REMOVE m", Ok("n:5 s:'x l:[11 2 3 1] ss:<'a 'b> z:null")),
        ("DELETE ss :ss, nope :ss REMOVE l, m", Ok("n:5 s:'x z:null")),
        ("SET k = nope", Err(refers)),
        ("SET k = nope + :one", Err(refers)),
        ("SET k = l[3]", Err(refers)),
        ("SET k = s + :one", Err(operand)),
        ("SET k = list_append(s, :list)", Err(operand)),
        ("ADD s :one", Err(operand)),
        ("ADD n :ss", Err(operand)),
        ("DELETE ss :ns", Err(operand)),
        ("SET nope.a = :one", Err(path)),
        ("SET m.x.y = :one", Err(path)),
        ("SET s.a = :one", Err(path)),
        ("SET m[0] = :one", Err(path)),
        ("SET l.a = :one", Err(path)),
        ("REMOVE nope.a", Err(path)),
        ("REMOVE s[0]", Err(path)),
        ("ADD nope.a :one", Err(path)),
        ("DELETE nope.a :ss", Err(path)),
    ] {
        let mut changed = item(before);
        let result = update(text).unwrap_or_else(|e| panic!("{text}: {e}")).apply(&mut changed);
        match after {
            Ok(after) => {
                result.unwrap_or_else(|e| panic!("{text}: {e}"));
                assert_eq!(changed, item(after), "{text}");
            }
            Err(message) => {
                assert_eq!(result.unwrap_err().message(), message, "{text}");
                assert_eq!(changed, item(before), "{text}");
            }
        }
    }
    let mut deep = item("m:{}");
    let value = (0..31).fold("1".to_owned(), |inner, _| format!("[{inner}]"));
    let update = parameters(&format!("v:{value}")).update("SET m.x = :v").unwrap();
    assert_eq!(
        update.apply(&mut deep).unwrap_err().message(),
        "Nesting Levels have exceeded supported limits"
    );
}

#[test]
fn updated_parts() {
    for (text, old, new) in [
        ("SET n = :one, m.a = :two", "n:5 m:{a:1}", "n:1 m:{a:2}"),
        ("SET l[1] = :ten, k = :one REMOVE s", "l:[2] s:'x", "l:[10] k:1"),
        ("SET l[7] = :ten", "", ""),
        ("ADD ss :ss DELETE nope :ss", "ss:<'z>", "ss:<'a 'b 'z>"),
    ] {
        let mut changed = item("n:5 s:'x l:[1 2 3] m:{a:1 b:2} ss:<'z>");
        let update = update(text).unwrap();
        assert_eq!(update.updated(&changed), item(old), "{text}");
        update.apply(&mut changed).unwrap();
        assert_eq!(update.updated(&changed), item(new), "{text}");
    }
    let update = update("SET a.b = :one, n = :two").unwrap();
    assert_eq!(
        update.check_keys(["pk", "a"]).unwrap_err().message(),
        "One or more parameter values were invalid: Cannot update attribute a. This attribute is part of the key"
    );
    assert_eq!(
        check_nested_keys(update.targets(), ["pk"], ["a"]).unwrap_err().message(),
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: a"
    );
}

#[test]
fn projections() {
    let whole = item("a:1 b:{c:{d:1 e:2} f:3} l:[1 {x:1 y:2} 3] name:'n");
    for (text, expected) in [
        ("a", "a:1"),
        ("#n, nope, b.f", "name:'n b:{f:3}"),
        ("b.c.d, b.f", "b:{c:{d:1} f:3}"),
        ("l[2], l[0]", "l:[1 3]"),
        ("l[1].x, l[0]", "l:[1 {x:1}]"),
        ("l[9], b.nope, a.x", ""),
        ("b[0], l.x", ""),
    ] {
        let projection = parameters("").projection(text).unwrap();
        assert_eq!(projection.project(&whole), item(expected), "{text}");
    }
    for (text, message) in [
        ("", "The expression can not be empty;"),
        ("a,", "Syntax error; token: \"<EOF>\", near: \",\""),
        ("a b", "Syntax error; token: \"b\", near: \"a b\""),
        ("(a)", "Syntax error; token: \"(\", near: \"(a\""),
        (
            "a, a.b",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]",
        ),
        (
            "a.b, a[0]",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [0]]",
        ),
        ("name", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("#x", "An expression attribute name used in the document path is not defined; attribute name: #x"),
        ("a, select", "Attribute name is a reserved keyword; reserved keyword: select"),
    ] {
        let error = parameters("").projection(text).unwrap_err();
        assert_eq!(error.message(), format!("Invalid ProjectionExpression: {message}"), "{text}");
    }
}
