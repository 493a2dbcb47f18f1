//! S3 Select: a query of any text over an object of any bytes. The first byte says what the object is, the query ends with a zero.

use super::{Target, seen};
use cloudlet_api_s3 as api;

pub(super) static TARGET: Target = Target {
    name: "select",
    run,
    seeds,
    words: &[
        "SELECT ",
        " FROM S3Object",
        "[*]",
        " s WHERE ",
        " LIMIT ",
        " AND ",
        " OR ",
        " NOT ",
        "CASE WHEN ",
        " THEN ",
        " ELSE ",
        " END",
        " BETWEEN ",
        " IN (",
        " LIKE ",
        " ESCAPE ",
        " IS NULL",
        " IS MISSING",
        "CAST(",
        " AS INT)",
        "COUNT(*)",
        "SUM(",
        "AVG(",
        "SUBSTRING(",
        "TRIM(LEADING ",
        "EXTRACT(YEAR FROM ",
        "DATE_ADD(day, ",
        "TO_STRING(",
        "TO_TIMESTAMP(",
        "UTCNOW()",
        "COALESCE(",
        "`2007T`",
        "`2007-02-23T12:14Z`",
        "s.a",
        "s._1",
        "\"a\"",
        "'a'",
        "9223372036854775807",
        "1e308",
        "||",
        "\0",
        "{\"a\":",
        "[1,2]",
        "a,b\n",
    ],
    // Beyond what the records and the rows of a small object come to.
    memory: 48 << 20,
    longest: 16 << 10,
    ..Target::DEFAULT
};

fn run(input: &[u8]) -> u64 {
    let Some((kind, rest)) = input.split_first() else { return 0 };
    let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
    let (query, object) = (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default());
    let mut request = api::SelectObjectContentInput {
        expression: String::from_utf8_lossy(query).into_owned(),
        expression_type: "SQL".into(),
        ..Default::default()
    };
    let info = ["NONE", "USE", "IGNORE"].get(usize::from(kind >> 2) % 3).map(|info| (*info).to_owned());
    match kind % 4 {
        0 | 1 => {
            let allow_quoted_record_delimiter = Some(kind % 4 == 1);
            request.input_serialization.csv = Some(api::CSVInput {
                file_header_info: info,
                allow_quoted_record_delimiter,
                ..Default::default()
            });
            request.output_serialization.csv = Some(api::CSVOutput::default());
        }
        kind => {
            let kind = if kind == 2 { "LINES" } else { "DOCUMENT" };
            request.input_serialization.json = Some(api::JSONInput { r#type: Some(kind.to_owned()) });
            request.output_serialization.json = Some(api::JSONOutput::default());
        }
    }
    match cloudlet_s3::select(&request, object) {
        Ok(rows) => seen(&(kind % 4, rows.len())),
        Err(refused) => seen(&(kind % 4, refused.code())),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let csv = "Name,Age\nAnna,30\n\"Be\"\"n\",7\n";
    let json = "{\"list\": [{\"a\": 1, \"b\": {\"c\": \"x\"}}, {\"a\": 2.5, \"d\": [1, 2]}], \"n\": null}";
    [
        (4, "SELECT s.Name, CAST(s.Age AS INT) + 1 FROM S3Object s WHERE s.Age BETWEEN 1 AND 30 LIMIT 5", csv),
        (5, "SELECT COUNT(*), AVG(CAST(Age AS FLOAT)), MAX(Age) FROM S3Object WHERE Name LIKE '%n!%' ESCAPE '!' OR Name IN ('Anna')", csv),
        (0, "SELECT CASE _1 WHEN 'Anna' THEN 1 ELSE 2 END, SUBSTRING(_1 FROM 2 FOR 3), TRIM(BOTH 'A' FROM _1) FROM S3Object", csv),
        (0, "SELECT TO_STRING(DATE_ADD(month, 1, `2010-01-31T`), 'MMMM d, y h:m a'), DATE_DIFF(day, `2010T`, UTCNOW()) FROM S3Object", csv),
        (0, "SELECT TO_TIMESTAMP('July 20, 1969', 'MMMM d, y'), EXTRACT(YEAR FROM `2007T`), COALESCE(NULL, NULLIF(1, 1)) FROM S3Object", csv),
        (3, "SELECT s.a, s.b.c AS deep, s.d[1] FROM S3Object[*].list[*] s WHERE s.b IS NOT MISSING AND NOT s.a = 2", json),
        (2, "SELECT s.*, -s.n || 'x' FROM S3Object s", json),
        (3, "SELECT _1.list[0].\"a\" FROM S3Object[*] WHERE [1] = [2]", json),
    ]
    .map(|(kind, query, object)| [&[kind], query.as_bytes(), b"\0", object.as_bytes()].concat())
    .into()
}
