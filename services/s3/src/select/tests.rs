use super::*;

fn request(expression: &str, csv: bool) -> api::SelectObjectContentInput {
    let mut input = api::SelectObjectContentInput {
        expression: expression.into(),
        expression_type: "SQL".into(),
        ..Default::default()
    };
    if csv {
        input.input_serialization.csv =
            Some(api::CSVInput { file_header_info: Some("USE".into()), ..Default::default() });
        input.output_serialization.csv = Some(api::CSVOutput::default());
    } else {
        input.input_serialization.json = Some(api::JSONInput { r#type: Some("DOCUMENT".into()) });
        input.output_serialization.json = Some(api::JSONOutput::default());
    }
    input
}

async fn run(expression: &str, csv: bool, body: &'static str) -> Result<String, String> {
    let plan = Plan::read(&request(expression, csv), body.len() as u64).map_err(|e| e.code().to_owned())?;
    let mut told = plan.run(ByteStream::from(Bytes::from_static(body.as_bytes())), 1_700_000_000_000);
    let mut out = Vec::new();
    while let Some(one) = told.recv().await {
        match one {
            Told::Records(bytes) => out.extend_from_slice(&bytes),
            Told::Failed(refused) => return Err(refused.code.to_owned()),
            Told::Progress(..) => {}
            Told::End(..) => return Ok(String::from_utf8(out).unwrap()),
        }
    }
    Err("no end".to_owned())
}

const PEOPLE: &str = "Name,City,Age\r\nAnna,\"Bonn, am Rhein\",30\nBen,Köln,7\n\n# a comment\nCleo,,\n";

#[tokio::test]
async fn csv_queries() {
    for (query, expected) in [
        ("SELECT * FROM S3Object", "Anna,\"Bonn, am Rhein\",30\nBen,Köln,7\nCleo,,\n"),
        ("select s.name from s3object s where s.age > 10", "Anna\n"),
        ("SELECT \"Name\" FROM S3Object WHERE _3 = 7", "Ben\n"),
        ("SELECT Name FROM S3Object WHERE City = '' LIMIT 1", "Cleo\n"),
        (
            "SELECT COUNT(*), MAX(CAST(Age AS INT)), AVG(CAST(Age AS FLOAT)) FROM S3Object WHERE Age <> ''",
            "2,30,18.5\n",
        ),
        ("SELECT COUNT(*) FROM S3Object WHERE Name = 'nobody'", "0\n"),
        ("SELECT UPPER(Name) || '!' FROM S3Object WHERE Name LIKE '_e%'", "BEN!\n"),
        ("SELECT Name FROM S3Object WHERE Name IN ('Ben', 'Cleo') AND NOT Name = 'Cleo'", "Ben\n"),
        ("SELECT SUBSTRING(Name, 2, 2), CHAR_LENGTH(Name) FROM S3Object LIMIT 1", "nn,4\n"),
        (
            "SELECT CASE WHEN Age BETWEEN 1 AND 10 THEN 'child' ELSE 'other' END FROM S3Object",
            "other\nchild\nother\n",
        ),
        ("SELECT TRIM(LEADING 'A' FROM Name), 1 + 2 * 3, 7 % 4 FROM S3Object LIMIT 1", "nna,7,3\n"),
        ("SELECT EXTRACT(YEAR FROM TO_TIMESTAMP('2007-02-23T')) FROM S3Object LIMIT 1", "2007\n"),
        ("SELECT DATE_DIFF(DAY, '2010-01-01T', '2010-01-31T') FROM S3Object LIMIT 1", "30\n"),
        ("SELECT COALESCE(NULL, Name), NULLIF(1, 1) FROM S3Object LIMIT 1", "Anna,\n"),
    ] {
        assert_eq!(run(query, true, PEOPLE).await.as_deref(), Ok(expected), "{query}");
    }
}

#[tokio::test]
async fn json_queries() {
    let body = r#"{"list": [{"a": 1, "b": {"c": "x"}}, {"a": 2.5, "d": [1, 2]}], "n": null}"#;
    for (query, expected) in [
        ("SELECT s.a FROM S3Object[*].list[*] s", "{\"a\":1}\n{\"a\":2.5}\n"),
        ("SELECT s.b.c AS deep FROM S3Object[*].list[*] s WHERE s.b IS NOT MISSING", "{\"deep\":\"x\"}\n"),
        ("SELECT s.d[1], SIZE(s.d) FROM S3Object.list[*] s WHERE s.a > 2", "{\"d\":2,\"_2\":2}\n"),
        ("SELECT SUM(s.a) AS total FROM S3Object.list[*] s", "{\"total\":3.5}\n"),
        ("SELECT s.n FROM S3Object s", "{\"n\":null}\n"),
        ("SELECT s.missing FROM S3Object s", "{}\n"),
    ] {
        assert_eq!(run(query, false, body).await.as_deref(), Ok(expected), "{query}");
    }
}

#[tokio::test]
async fn what_is_wrong_has_a_code() {
    for (query, code) in [
        ("UPDATE x", "ParseExpectedKeyword"),
        ("SELECT *", "ParseSelectMissingFrom"),
        ("SELECT * FROM S3Object WHERE", "ParseExpectedExpression"),
        ("SELECT * FROM S3Object 'x'", "ParseUnexpectedToken"),
        ("SELECT FROM S3Object", "ParseEmptySelect"),
        ("SELECT *, Name FROM S3Object", "ParseAsteriskIsNotAloneInSelectList"),
        ("SELECT Name, * FROM S3Object", "ParseAsteriskIsNotAloneInSelectList"),
        ("SELECT Name AS 1 FROM S3Object", "ParseExpectedIdentForAlias"),
        ("SELECT Name, FROM S3Object", "ParseUnExpectedKeyword"),
        ("SELECT * FROM S3Object s AT", "ParseMissingIdentAfterAt"),
        ("SELECT * FROM S3Object s AT x", "ParseUnsupportedSyntax"),
        ("SELECT * FROM S3Object JOIN x", "ParseMalformedJoin"),
        ("SELECT * FROM S3Object LIMIT x", "ParseExpectedNumber"),
        ("SELECT * FROM S3Object LIMIT -1", "EvaluatorNegativeLimit"),
        ("SELECT s.1 FROM S3Object s", "ParseInvalidPathComponent"),
        ("SELECT * FROM S3Object WHERE Name IN 'a'", "ParseExpectedLeftParenValueConstructor"),
        ("SELECT * FROM S3Object WHERE Name IN ('a' 'b')", "ParseExpectedArgumentDelimiter"),
        (
            "SELECT * FROM S3Object WHERE Name LIKE 'a' ESCAPE 'bc'",
            "EvaluatorLikePatternInvalidEscapeSequence",
        ),
        ("SELECT * FROM S3Object WHERE Name LIKE 'a' ESCAPE 1", "LikeInvalidInputs"),
        ("SELECT * FROM S3Object WHERE Name BETWEEN 1 OR 2", "ParseExpectedKeyword"),
        ("SELECT * FROM S3Object WHERE = 1", "ParseUnexpectedOperator"),
        ("SELECT * FROM S3Object WHERE (Name = 1", "ParseExpectedTokenType"),
        ("SELECT * FROM S3Object WHERE Name IN (SELECT 1)", "ParseUnsupportedSelect"),
        ("SELECT CAST Name AS INT FROM S3Object", "ParseExpectedLeftParenAfterCast"),
        ("SELECT CAST(Name, INT) FROM S3Object", "ParseCastArity"),
        ("SELECT CAST(Name AS) FROM S3Object", "ParseExpectedTypeName"),
        ("SELECT CAST(Name AS VARCHAR('x')) FROM S3Object", "ParseInvalidTypeParam"),
        ("SELECT TRIM Name FROM S3Object", "ParseExpectedLeftParenBuiltinFunctionCall"),
        ("SELECT LOWER(Name", "ParseExpectedRightParenBuiltinFunctionCall"),
        ("SELECT LOWER(Name, Name) FROM S3Object", "EvaluatorInvalidArguments"),
        ("SELECT SUM(*) FROM S3Object", "ParseUnsupportedCallWithStar"),
        ("SELECT MAX(Age, Name) FROM S3Object", "ParseNonUnaryAgregateFunctionCall"),
        ("SELECT COUNT() FROM S3Object", "ParseNonUnaryAgregateFunctionCall"),
        ("SELECT EXTRACT(WEEK FROM Name) FROM S3Object", "ParseExpectedDatePart"),
        ("SELECT CASE Name END FROM S3Object", "ParseExpectedWhenClause"),
        ("SELECT 1 ^ 2 FROM S3Object", "LexerInvalidOperator"),
        ("SELECT * FROM S3Object ORDER BY 1", "UnsupportedSyntax"),
        ("SELECT nothing FROM S3Object", "MissingHeaders"),
        ("SELECT FOO(1) FROM S3Object", "UnsupportedFunction"),
        ("SELECT 'a FROM S3Object", "LexerInvalidLiteral"),
        ("SELECT CAST(Name AS INT) FROM S3Object", "CastFailed"),
        ("SELECT 1/0 FROM S3Object", "DivideByZero"),
        ("SELECT CAST(1 AS BLOB) FROM S3Object", "InvalidDataType"),
        ("SELECT ? FROM S3Object", "LexerInvalidChar"),
    ] {
        assert_eq!(run(query, true, PEOPLE).await.unwrap_err(), code, "{query}");
    }
    for (query, answer) in [
        ("SELECT a FROM S3Object", Err("AmbiguousFieldName".to_owned())),
        ("SELECT \"A\" FROM S3Object", Ok("2\n".to_owned())),
        ("SELECT b FROM S3Object", Ok("3\n".to_owned())),
    ] {
        assert_eq!(run(query, true, "a,A,b\n1,2,3\n").await, answer, "{query}");
    }
    let deep = format!("SELECT {}1{} FROM S3Object", "(".repeat(500), ")".repeat(500));
    assert_eq!(Plan::read(&request(&deep, true), 1).err().unwrap().code(), "UnsupportedSyntax");
}
