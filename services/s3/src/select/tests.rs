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
        ("SELECT EXTRACT(TIMEZONE_HOUR FROM `2017-01-02T03:04:05+07:08`) FROM S3Object LIMIT 1", "7\n"),
        ("SELECT EXTRACT(month FROM `2010T`), TO_TIMESTAMP('2007T') FROM S3Object LIMIT 1", "1,2007T\n"),
        (
            "SELECT DATE_ADD(month, 13, `2010T`), DATE_ADD(hour, 1, `2017T`) FROM S3Object LIMIT 1",
            "2011-02T,2017-01-01T01:00-00:00\n",
        ),
        (
            "SELECT TO_STRING(`1969-07-20T20:18Z`, 'y-MM-dd''T''H:m:ssX') FROM S3Object LIMIT 1",
            "1969-07-20T20:18:00Z\n",
        ),
        ("SELECT TO_TIMESTAMP('July 20, 1969', 'MMMM d, y') FROM S3Object LIMIT 1", "1969-07-20\n"),
        ("SELECT UTCNOW() FROM S3Object LIMIT 1", "2023-11-14T22:13:20.000Z\n"),
        (
            "SELECT CAST('2007-04-05T14:30Z' AS TIMESTAMP), CAST(0.456 AS FLOAT) FROM S3Object LIMIT 1",
            "2007-04-05T14:30Z,0.456\n",
        ),
        (
            "SELECT SUBSTRING('123456789', 0), SUBSTRING('123456789', -4), SUBSTRING('123456789', 1, 5) FROM S3Object LIMIT 1",
            "123456789,123456789,12345\n",
        ),
        (
            "SELECT SUBSTRING('123456789', 0, 999), SUBSTRING('123456789' FROM 2 FOR 3) FROM S3Object LIMIT 1",
            "123456789,234\n",
        ),
        (
            "SELECT TRIM('  foobar  '), TRIM(BOTH '12' FROM '1112211foobar22211122'), TRIM(TRAILING FROM ' a ') FROM S3Object LIMIT 1",
            "foobar,foobar, a\n",
        ),
        ("SELECT CHAR_LENGTH(''), CHARACTER_LENGTH('é€'), LOWER('AbÉ') FROM S3Object LIMIT 1", "0,2,abé\n"),
        (
            "SELECT NULLIF(1, 1.0), NULLIF(1, 'foo'), NULLIF([1], [1]), NULLIF(NULL, 1), COALESCE(NULL, MISSING) FROM S3Object LIMIT 1",
            ",1,,,\n",
        ),
        ("SELECT 2 + 3 * 4 - 6 / 2 % 2, -(2 + 3), 7.0 / 2 FROM S3Object LIMIT 1", "13,-5,3.5\n"),
        (
            "SELECT Name FROM S3Object WHERE NOT Age = '30' AND Age IS NOT NULL OR Name = 'Anna' LIMIT 2",
            "Anna\nBen\n",
        ),
        ("SELECT Name FROM S3Object WHERE Age NOT BETWEEN 8 AND 99 AND Age <> ''", "Ben\n"),
        ("SELECT Name FROM S3Object WHERE Name NOT IN ('Anna', 'Ben')", "Cleo\n"),
        ("SELECT Name FROM S3Object WHERE Name NOT LIKE '%n%'", "Cleo\n"),
        ("SELECT CASE Name WHEN 'Ben' THEN 1 WHEN 'Anna' THEN 2 END FROM S3Object", "2\n1\n\n"),
        ("SELECT Name FROM S3Object LIMIT 0", ""),
        (
            "SELECT 0.1 + 0.2, 1.10, 10 / 4, 10 / 4.0, CAST('1.50' AS DECIMAL(10, 2)) * 3, CAST(2.7 AS INT) FROM S3Object LIMIT 1",
            "0.3,1.10,2,2.5,4.50,2\n",
        ),
        (
            "SELECT AVG(CAST(Age AS INT)), SUM(CAST(Age AS DECIMAL) / 10) FROM S3Object WHERE Age <> ''",
            "18.5,3.7\n",
        ),
        ("SELECT s.\"Name\" AS n FROM S3Object AS s WHERE s.\"Age\" = `30`", "Anna\n"),
        (
            "SELECT MIN(CAST(Age AS INT)), SUM(CAST(Age AS INT)), COUNT(Name) FROM S3Object WHERE Age <> ''",
            "7,37,2\n",
        ),
        ("SELECT AVG(CAST(Age AS INT)) FROM S3Object WHERE Name = 'nobody'", "\n"),
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
        // The guide's own examples of paths that lead nowhere.
        ("SELECT d FROM S3Object[*].list[*].d", "{}\n{\"d\":[1,2]}\n"),
        ("SELECT d FROM S3Object[*].list[*].d WHERE d IS NOT MISSING", "{\"d\":[1,2]}\n"),
        ("SELECT * FROM S3Object[*].none", "{}\n"),
        ("SELECT _1.n, _1.list[0].a FROM S3Object[*]", "{\"n\":null,\"a\":1}\n"),
        ("SELECT s.* FROM S3Object.list[1] s", "{\"a\":2.5,\"d\":[1,2]}\n"),
        ("SELECT s.LIST[1].A FROM S3Object s", "{\"A\":2.5}\n"),
        ("SELECT s.\"LIST\" FROM S3Object s", "{}\n"),
        (
            "SELECT s.n IS NULL AS a, s.n IS MISSING AS b, s.x IS NULL AS c, s.x IS MISSING AS d FROM S3Object s",
            "{\"a\":true,\"b\":false,\"c\":true,\"d\":true}\n",
        ),
        ("SELECT s.list[0].b['c'] FROM S3Object s", "{\"c\":\"x\"}\n"),
        ("SELECT COUNT(*) FROM S3Object[*].list[*] s WHERE s.a > 1", "{\"_1\":1}\n"),
    ] {
        assert_eq!(run(query, false, body).await.as_deref(), Ok(expected), "{query}");
    }
}

/// Queries over [`PEOPLE`] that cannot be, and what is said of them.
const REFUSED: &[(&str, &str)] = &[
    ("UPDATE x", "ParseExpectedKeyword"),
    ("SELECT *", "ParseSelectMissingFrom"),
    ("SELECT * FROM S3Object WHERE", "ParseExpectedExpression"),
    ("SELECT * FROM S3Object 'x'", "ParseUnexpectedToken"),
    ("SELECT FROM S3Object", "ParseEmptySelect"),
    ("SELECT *, Name FROM S3Object", "ParseAsteriskIsNotAloneInSelectList"),
    ("SELECT Name, * FROM S3Object", "ParseAsteriskIsNotAloneInSelectList"),
    ("SELECT Name AS 1 FROM S3Object", "ParseExpectedIdentForAlias"),
    ("SELECT Name, FROM S3Object", "ParseUnExpectedKeyword"),
    ("SELECT * FROM S3Object s AT", "ParseExpectedIdentForAt"),
    ("SELECT * FROM S3Object s AT x", "ParseUnsupportedSyntax"),
    ("SELECT * FROM S3Object JOIN x", "ParseMalformedJoin"),
    ("SELECT * FROM S3Object LIMIT x", "ParseExpectedNumber"),
    ("SELECT * FROM S3Object LIMIT -1", "EvaluatorNegativeLimit"),
    ("SELECT s.1 FROM S3Object s", "ParseInvalidPathComponent"),
    ("SELECT * FROM S3Object WHERE Name IN 'a'", "ParseExpectedLeftParenValueConstructor"),
    ("SELECT * FROM S3Object WHERE Name IN ('a' 'b')", "ParseExpectedArgumentDelimiter"),
    ("SELECT * FROM S3Object WHERE Name LIKE 'a' ESCAPE 'bc'", "EvaluatorLikePatternInvalidEscapeSequence"),
    ("SELECT * FROM S3Object WHERE Name LIKE 'a' ESCAPE 1", "LikeInvalidInputs"),
    ("SELECT * FROM S3Object WHERE 1 LIKE 'a'", "LikeInvalidInputs"),
    ("SELECT * FROM S3Object WHERE Name LIKE 'a!b' ESCAPE '!'", "EvaluatorLikePatternInvalidEscapeSequence"),
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
    ("SELECT 1/0 FROM S3Object", "ExternalEvalException"),
    ("SELECT CAST(1 AS BLOB) FROM S3Object", "InvalidDataType"),
    ("SELECT ? FROM S3Object", "LexerInvalidChar"),
    ("SELECT * FROM @x", "EvaluatorBindingDoesNotExist"),
    ("SELECT t.Name FROM S3Object s", "EvaluatorBindingDoesNotExist"),
    ("SELECT * FROM S3Object WHERE @", "ParseMissingIdentAfterAt"),
    ("SELECT TO_TIMESTAMP('1', 'M') FROM S3Object", "EvaluatorInvalidTimestampFormatPattern"),
    ("SELECT TO_STRING(UTCNOW(), 'Q') FROM S3Object", "EvaluatorInvalidTimestampFormatPatternSymbol"),
    (
        "SELECT TO_TIMESTAMP('1', 'y MMMMM') FROM S3Object",
        "EvaluatorInvalidTimestampFormatPatternSymbolForParsing",
    ),
    ("SELECT TO_STRING(UTCNOW(), 'yyyyy') FROM S3Object", "EvaluatorInvalidTimestampFormatPatternToken"),
    ("SELECT TO_TIMESTAMP('1', 'y y') FROM S3Object", "EvaluatorTimestampFormatPatternDuplicateFields"),
    (
        "SELECT TO_TIMESTAMP('1', 'y M d h') FROM S3Object",
        "EvaluatorTimestampFormatPatternHourClockAmPmMismatch",
    ),
    ("SELECT TO_STRING(UTCNOW(), 'y ''T') FROM S3Object", "EvaluatorUnterminatedTimestampFormatPatternToken"),
    ("SELECT SUBSTRING(Name, 1, -1) FROM S3Object", "IllegalSqlFunctionArgument"),
    ("SELECT DATE_ADD(year, 9999, UTCNOW()) FROM S3Object", "IllegalSqlFunctionArgument"),
    ("SELECT LOWER(1) FROM S3Object", "IncorrectSqlFunctionArgumentType"),
    ("SELECT Name + 1 FROM S3Object", "IncorrectSqlFunctionArgumentType"),
    ("SELECT 9223372036854775807 + 1 FROM S3Object", "IntegerOverflow"),
    ("SELECT CAST(UTCNOW() AS INT) FROM S3Object", "InvalidCast"),
    ("SELECT CAST(TRUE AS TIMESTAMP) FROM S3Object", "InvalidCast"),
    ("SELECT s.Name[0] FROM S3Object s", "InvalidKeyPath"),
    ("SELECT s.Name.x FROM S3Object s", "InvalidKeyPath"),
    ("SELECT * FROM Table1", "InvalidTableAlias"),
    ("SELECT `[1` FROM S3Object", "LexerInvalidIONLiteral"),
    ("SELECT 12ab FROM S3Object", "LexerInvalidLiteral"),
    ("SELECT * FROM S3Object, S3Object", "MultipleDataSourcesUnsupported"),
    ("SELECT 9223372036854775808 FROM S3Object", "NumberFormatError"),
    ("SELECT * FROM S3Object LIMIT 9223372036854775808", "NumberFormatError"),
    ("SELECT s.a[0].* FROM S3Object s", "ParseCannotMixSqbAndWildcardInSelectList"),
    ("SELECT Name IS 1 FROM S3Object", "ParseExpected2TokenTypes"),
    ("SELECT SUBSTRING(Name 1) FROM S3Object", "ParseExpectedArgumentDelimiter"),
    ("SELECT COUNT(*) FROM S3Object GROUP BY Name", "ParseExpectedIdentForGroupName"),
    ("SELECT COUNT(*) FROM S3Object GROUP BY 1", "ParseUnsupportedLiteralsGroupBy"),
    ("SELECT {1} FROM S3Object", "ParseExpectedMember"),
    ("SELECT {'a': 1} FROM S3Object", "ParseUnsupportedSyntax"),
    ("SELECT s.*.a FROM S3Object s", "ParseInvalidContextForWildcardInSelectList"),
    ("SELECT s.a[*] FROM S3Object s", "ParseInvalidContextForWildcardInSelectList"),
    ("SELECT * FROM S3Object s WHERE s.a[*] = 1", "ParseInvalidPathComponent"),
    ("SELECT * FROM S3Object s WHERE ] = 1", "ParseUnexpectedTerm"),
    ("SELECT * FROM S3Object WHERE Name == 1", "ParseUnknownOperator"),
    ("SELECT * AS x FROM S3Object", "ParseUnsupportedAlias"),
    ("SELECT CASE WHEN TRUE THEN 1 ELSE 2 WHEN FALSE THEN 3 END FROM S3Object", "ParseUnsupportedCaseClause"),
    ("SELECT << 1 >> FROM S3Object", "ParseUnsupportedToken"),
    ("SELECT COUNT(*) FROM S3Object HAVING 1 = 1", "UnsupportedSqlStructure"),
    ("SELECT DISTINCT Name FROM S3Object", "UnsupportedSqlStructure"),
    ("SELECT Name, COUNT(*) FROM S3Object", "UnsupportedSqlStructure"),
    ("SELECT * FROM S3Object WHERE COUNT(*) > 1", "UnsupportedSqlOperation"),
    ("SELECT SUM(COUNT(*)) FROM S3Object", "UnsupportedSqlOperation"),
    ("SELECT * FROM S3Object UNION SELECT * FROM S3Object", "UnsupportedSqlOperation"),
    ("SELECT * FROM S3Object WHERE [1] > 0", "UnsupportedTypeForQuerying"),
    ("SELECT TO_TIMESTAMP('yesterday') FROM S3Object", "ValueParseFailure"),
];

#[tokio::test]
async fn what_is_wrong_has_a_code() {
    for (query, code) in REFUSED {
        assert_eq!(run(query, true, PEOPLE).await.unwrap_err(), *code, "{query}");
    }
    for (query, answer) in [
        ("SELECT a FROM S3Object", Err("AmbiguousFieldName".to_owned())),
        ("SELECT \"A\" FROM S3Object", Ok("2\n".to_owned())),
        ("SELECT b FROM S3Object", Ok("3\n".to_owned())),
    ] {
        assert_eq!(run(query, true, "a,A,b\n1,2,3\n").await, answer, "{query}");
    }
    let both = |json: bool| {
        let mut input = request("SELECT a FROM S3Object", !json);
        input.input_serialization.csv = Some(api::CSVInput::default());
        input
    };
    let mut conflict = both(true);
    assert_eq!(Plan::read(&conflict, 1).err().unwrap().code(), "ObjectSerializationConflict");
    conflict = both(false);
    conflict.output_serialization.json = Some(api::JSONOutput::default());
    assert_eq!(Plan::read(&conflict, 1).err().unwrap().code(), "ObjectSerializationConflict");
    let twice = r#"{"a": 1, "A": 2}"#;
    assert_eq!(run("SELECT s.a FROM S3Object s", false, twice).await.unwrap_err(), "AmbiguousFieldName");
    assert_eq!(run("SELECT s.\"A\" FROM S3Object s", false, twice).await.unwrap(), "{\"A\":2}\n");
    assert_eq!(
        run("SELECT * FROM S3Object WHERE _1 > 0", false, "[1]").await.unwrap_err(),
        "UnsupportedTypeForQuerying"
    );
    assert_eq!(run("SELECT * FROM S3Object", false, "{").await.unwrap_err(), "JSONParsingError");
    for (body, code) in [("a\n\"b\nc\"\n", "CSVEscapingRecordDelimiter"), ("a\n\"b", "CSVUnescapedQuote")] {
        assert_eq!(run("SELECT * FROM S3Object", true, body).await.unwrap_err(), code);
    }
    let wide: &'static str = Box::leak(format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 19)).into_boxed_str());
    for (query, code) in [
        ("SELECT s.a || s.a || 'x' FROM S3Object s", "ColumnTooLong"),
        ("SELECT s.a, s.a AS b, s.a AS c FROM S3Object s", "OverMaxRecordSize"),
    ] {
        assert_eq!(run(query, false, wide).await.unwrap_err(), code);
    }
    let deep = format!("SELECT {}1{} FROM S3Object", "(".repeat(500), ")".repeat(500));
    assert_eq!(Plan::read(&request(&deep, true), 1).err().unwrap().code(), "UnsupportedSyntax");
}

/// Codes of requests and of files, which other tests reach: here, and with boto3.
const ELSEWHERE: [&str; 15] = [
    "AmbiguousFieldName",
    "CSVEscapingRecordDelimiter",
    "CSVParsingError",
    "CSVUnescapedQuote",
    "ColumnTooLong",
    "ExpressionTooLong",
    "InvalidColumnIndex",
    "InvalidRequestParameter",
    "InvalidScanRange",
    "InvalidTextEncoding",
    "JSONParsingError",
    "MissingRequiredParameter",
    "ObjectSerializationConflict",
    "TruncatedInput",
    "UnsupportedScanRangeInput",
];

#[test]
fn every_code_is_reached() {
    for (code, _) in words::WORDS {
        let reached = REFUSED.iter().any(|(_, reached)| reached == code) || ELSEWHERE.contains(code);
        assert!(reached, "{code}");
    }
}

#[tokio::test]
async fn quoted_records_are_asked_for() {
    let mut input = request("SELECT * FROM S3Object", true);
    if let Some(csv) = &mut input.input_serialization.csv {
        csv.allow_quoted_record_delimiter = Some(true);
    }
    let body = "a,b\n\"x\ny\",2\n";
    let plan = Plan::read(&input, body.len() as u64).unwrap();
    let mut told = plan.run(ByteStream::from(Bytes::from_static(body.as_bytes())), 0);
    assert!(matches!(told.recv().await, Some(Told::Records(rows)) if rows == "\"x\ny\",2\n"));
}

#[tokio::test]
async fn long_queries_are_no_deep_ones() {
    for (more, times, rows) in [
        (" AND 1=1", 30_000, 3),
        (" OR 1=2", 32_000, 3),
        ("+1", 100_000, 0),
        ("||'a'", 40_000, 0),
        (" AND NOT NOT 1=1", 15_000, 3),
        ("*1", 100_000, 3),
    ] {
        let query = format!("SELECT Name FROM S3Object WHERE 1=1{}", more.repeat(times));
        let answer = run(&query, true, PEOPLE).await;
        assert_eq!(answer.map(|rows| rows.lines().count()), Ok(rows), "{more}");
    }
    let far = format!("SELECT * FROM S3Object{}", "[*]".repeat(80_000));
    assert_eq!(run(&far, false, "{}").await.unwrap_err(), "ParseInvalidPathComponent");
}

/// Reads a list that never ends, of which a query takes some.
#[test]
fn documents_are_read_as_they_come() {
    struct Endless(usize);
    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            const ITEM: &[u8] = b"{\"n\":1,\"x\":[1,2,3]},";
            for byte in out.iter_mut() {
                *byte = if self.0 == 0 { b'[' } else { ITEM[(self.0 - 1) % ITEM.len()] };
                self.0 += 1;
            }
            Ok(out.len())
        }
    }
    let mut seen = 0;
    let read = document::each(
        BufReader::new(Endless(0)),
        &[Step::All, Step::Name("n".into(), false)],
        &mut |record| {
            assert!(matches!(record, record::Record::Json(json) if json == 1));
            seen += 1;
            Ok(seen < 10_000)
        },
    );
    assert!(read.is_ok() && seen == 10_000);
    // What would have to be held whole is too long.
    let whole = document::each(BufReader::new(Endless(0)), &[], &mut |_| Ok(true));
    assert_eq!(whole.unwrap_err().code, "OverMaxRecordSize");
    let never: &[u8] = b"[1, 2, {\"a\": [5, 6]} , \"x\", null] {\"a\": 1} 7";
    for (steps, count, missing) in [
        (vec![], 3, 0),
        (vec![Step::All], 7, 0),
        (vec![Step::All, Step::Name("A".into(), false)], 7, 5),
        (vec![Step::Index(2), Step::Name("a".into(), true), Step::Index(1)], 3, 2),
        (vec![Step::Index(9)], 3, 3),
        (vec![Step::All, Step::All], 7, 0),
    ] {
        let (mut all, mut none) = (0, 0);
        let read = document::each(never, &steps, &mut |record| {
            all += 1;
            none += usize::from(matches!(record, record::Record::Missing));
            Ok(true)
        });
        assert!(read.is_ok());
        assert_eq!((all, none), (count, missing), "{steps:?}");
    }
    for bad in ["[1,", "{\"a\":", "[1 2]", "x", "{\"a\" 1}", "[1]]"] {
        let read = document::each(bad.as_bytes(), &[Step::All], &mut |_| Ok(true));
        assert_eq!(read.unwrap_err().code, "JSONParsingError", "{bad}");
    }
}
