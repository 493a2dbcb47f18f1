//! What S3 Select says of requests and expressions that it cannot take.
//! Source: S3 API Reference, "Error responses", SELECT Object Content error codes. Those that are not here cannot occur:
//! `docs/s3.md` says why.

use super::Refused;
use super::lex::Token;

/// The codes that mean one thing each.
pub(super) const WORDS: &[(&str, &str)] = &[
    (
        "AmbiguousFieldName",
        "The field name matches to multiple fields in the file. Check the SQL expression and the file, and try again.",
    ),
    (
        "CastFailed",
        "Attempt to convert from one data type to another using CAST failed in the SQL expression.",
    ),
    ("ColumnTooLong", "The length of a column in the result is greater than maxCharsPerColumn of 1 MB."),
    (
        "CSVEscapingRecordDelimiter",
        "Quoted record delimiter found in the file. To allow quoted record delimiters, set AllowQuotedRecordDelimiter to 'TRUE'.",
    ),
    ("CSVParsingError", "Encountered an error parsing the CSV file. Check the file and try again."),
    (
        "CSVUnescapedQuote",
        "Unescaped quote found while parsing the CSV. To allow quoted record delimiters, set AllowQuotedRecordDelimiter to 'TRUE'.",
    ),
    (
        "EvaluatorBindingDoesNotExist",
        "A column name or a path provided does not exist in the SQL expression.",
    ),
    (
        "EvaluatorInvalidArguments",
        "There is an incorrect number of arguments in the function call in the SQL expression.",
    ),
    (
        "EvaluatorInvalidTimestampFormatPattern",
        "Time stamp format pattern requires additional fields in the SQL expression.",
    ),
    (
        "EvaluatorInvalidTimestampFormatPatternSymbol",
        "Time stamp format pattern contains an invalid symbol in the SQL expression.",
    ),
    (
        "EvaluatorInvalidTimestampFormatPatternSymbolForParsing",
        "Time stamp format pattern contains a valid format symbol that cannot be applied to time stamp parsing in the SQL \
         expression.",
    ),
    (
        "EvaluatorInvalidTimestampFormatPatternToken",
        "Time stamp format pattern contains an invalid token in the SQL expression.",
    ),
    (
        "EvaluatorLikePatternInvalidEscapeSequence",
        "The escape sequence of the LIKE clause in the SQL expression is not valid.",
    ),
    ("EvaluatorNegativeLimit", "The LIMIT in the SQL expression must not be negative."),
    (
        "EvaluatorTimestampFormatPatternDuplicateFields",
        "Time stamp format pattern contains multiple format specifiers representing the time stamp field in the SQL \
         expression.",
    ),
    (
        "EvaluatorTimestampFormatPatternHourClockAmPmMismatch",
        "Time stamp format pattern contains a 12-hour hour of day format symbol but doesn't also contain an AM/PM field, or \
         it contains a 24-hour hour of day format specifier and contains an AM/PM field in the SQL expression.",
    ),
    (
        "EvaluatorUnterminatedTimestampFormatPatternToken",
        "Time stamp format pattern contains unterminated token in the SQL expression.",
    ),
    (
        "ExpressionTooLong",
        "The SQL expression is too long: The maximum byte-length for the SQL expression is 256 KB.",
    ),
    ("ExternalEvalException", "The query cannot be evaluated. Check the file and try again."),
    ("IllegalSqlFunctionArgument", "Illegal argument was used in the SQL function."),
    (
        "IncorrectSqlFunctionArgumentType",
        "Incorrect type of arguments in function call in the SQL expression.",
    ),
    ("IntegerOverflow", "Int overflow or underflow in the SQL expression."),
    (
        "InvalidCast",
        "Attempt to convert from one data type to another using CAST failed in the SQL expression.",
    ),
    (
        "InvalidColumnIndex",
        "The column index in the SQL expression is not valid. Check the service documentation and try again.",
    ),
    ("InvalidDataType", "The SQL expression contains an invalid data type."),
    ("InvalidKeyPath", "Key path in the SQL expression is invalid."),
    (
        "InvalidRequestParameter",
        "The value of a parameter in SelectRequest element is invalid. Check the service API documentation and try again.",
    ),
    ("InvalidScanRange", "The provided scan range is not valid."),
    ("InvalidTableAlias", "The SQL expression contains an invalid table alias."),
    ("InvalidTextEncoding", "Invalid encoding type. Only UTF-8 encoding is supported."),
    ("JSONParsingError", "Encountered an error parsing the JSON file. Check the file and try again."),
    ("LexerInvalidChar", "The SQL expression contains an invalid character."),
    // These three are as the reference has them.
    ("LexerInvalidIONLiteral", "The SQL expression contains an invalid operator."),
    ("LexerInvalidLiteral", "The SQL expression contains an invalid operator."),
    ("LexerInvalidOperator", "The SQL expression contains an invalid literal."),
    ("LikeInvalidInputs", "Invalid argument given to the LIKE clause in the SQL expression."),
    ("MissingHeaders", "Some headers in the query are missing from the file. Check the file and try again."),
    (
        "MissingRequiredParameter",
        "The SelectRequest entity is missing a required parameter. Check the service documentation and try again.",
    ),
    ("MultipleDataSourcesUnsupported", "Multiple data sources are not supported."),
    (
        "NumberFormatError",
        "Error while parsing a number. This error can be caused by underflow or overflow of integers.",
    ),
    (
        "ObjectSerializationConflict",
        "The SelectRequest entity can only contain one of CSV or JSON. Check the service documentation and try again.",
    ),
    (
        "ParseAsteriskIsNotAloneInSelectList",
        "Other expressions are not allowed in the SELECT list when '*' is used without dot notation in the SQL expression.",
    ),
    (
        "ParseCannotMixSqbAndWildcardInSelectList",
        "Cannot mix [] and * in the same expression in a SELECT list in the SQL expression.",
    ),
    ("ParseCastArity", "The SQL expression CAST has incorrect arity."),
    ("ParseEmptySelect", "The SQL expression contains an empty SELECT."),
    ("ParseExpected2TokenTypes", "Did not find the expected token in the SQL expression."),
    ("ParseExpectedArgumentDelimiter", "Did not find the expected argument delimiter in the SQL expression."),
    ("ParseExpectedDatePart", "Did not find the expected date part in the SQL expression."),
    ("ParseExpectedExpression", "Did not find the expected SQL expression."),
    (
        "ParseExpectedIdentForAlias",
        "Did not find the expected identifier for the alias in the SQL expression.",
    ),
    ("ParseExpectedIdentForAt", "Did not find the expected identifier for AT name in the SQL expression."),
    ("ParseExpectedIdentForGroupName", "GROUP is not supported in the SQL expression."),
    ("ParseExpectedKeyword", "Did not find the expected keyword in the SQL expression."),
    (
        "ParseExpectedLeftParenAfterCast",
        "Did not find the expected left parenthesis after CAST in the SQL expression.",
    ),
    (
        "ParseExpectedLeftParenBuiltinFunctionCall",
        "Did not find the expected left parenthesis in the SQL expression.",
    ),
    (
        "ParseExpectedLeftParenValueConstructor",
        "Did not find the expected left parenthesis in the SQL expression.",
    ),
    ("ParseExpectedMember", "The SQL expression contains unsupported use of MEMBER."),
    ("ParseExpectedNumber", "Did not find the expected number in the SQL expression."),
    (
        "ParseExpectedRightParenBuiltinFunctionCall",
        "Did not find the expected right parenthesis character in the SQL expression.",
    ),
    ("ParseExpectedTokenType", "Did not find the expected token in the SQL expression."),
    ("ParseExpectedTypeName", "Did not find the expected type name in the SQL expression."),
    (
        "ParseExpectedWhenClause",
        "Did not find the expected WHEN clause in the SQL expression. CASE is not supported.",
    ),
    ("ParseInvalidContextForWildcardInSelectList", "Invalid use of * in SELECT list in the SQL expression."),
    ("ParseInvalidPathComponent", "The SQL expression contains an invalid path component."),
    ("ParseInvalidTypeParam", "The SQL expression contains an invalid parameter value."),
    ("ParseMalformedJoin", "JOIN is not supported in the SQL expression."),
    (
        "ParseMissingIdentAfterAt",
        "Did not find the expected identifier after the @ symbol in the SQL expression.",
    ),
    (
        "ParseNonUnaryAgregateFunctionCall",
        "Only one argument is supported for aggregate functions in the SQL expression.",
    ),
    ("ParseSelectMissingFrom", "The SQL expression contains a missing FROM after SELECT list."),
    ("ParseUnExpectedKeyword", "The SQL expression contains an unexpected keyword."),
    ("ParseUnexpectedOperator", "The SQL expression contains an unexpected operator."),
    ("ParseUnexpectedTerm", "The SQL expression contains an unexpected term."),
    ("ParseUnknownOperator", "The SQL expression contains an invalid operator."),
    ("ParseUnsupportedAlias", "The SQL expression contains an unsupported use of ALIAS."),
    (
        "ParseUnsupportedCallWithStar",
        "Only COUNT with (*) as a parameter is supported in the SQL expression.",
    ),
    ("ParseUnsupportedCaseClause", "The SQL expression contains an unsupported use of CASE."),
    ("ParseUnsupportedLiteralsGroupBy", "The SQL expression contains an unsupported use of GROUP BY."),
    ("ParseUnsupportedSelect", "The SQL expression contains an unsupported use of SELECT."),
    ("ParseUnsupportedSyntax", "The SQL expression contains unsupported syntax."),
    ("ParseUnsupportedToken", "The SQL expression contains an unsupported token."),
    (
        "TruncatedInput",
        "Object decompression failed. Check that the object is properly compressed using the format specified in the \
         request.",
    ),
    ("UnsupportedFunction", "Encountered an unsupported SQL function."),
    ("UnsupportedScanRangeInput", "Scan range queries are not supported on this type of object."),
    ("UnsupportedSqlOperation", "Encountered an unsupported SQL operation."),
    ("UnsupportedSqlStructure", "Encountered an unsupported SQL structure. Check the SQL Reference."),
    (
        "UnsupportedTypeForQuerying",
        "Your query contains an unsupported type for comparison (e.g. verifying that a Parquet INT96 column type is greater \
         than 0).",
    ),
    ("ValueParseFailure", "Time stamp parse failure in the SQL expression."),
];

/// The refusal of this code.
pub(super) fn refused(code: &'static str) -> Refused {
    let known = WORDS.iter().find(|(known, _)| *known == code);
    Refused::new(code, known.map_or("Encountered invalid syntax.", |(_, words)| *words))
}

/// What is said of a token that cannot stand where it does.
pub(super) fn unexpected(token: Option<&Token>) -> Refused {
    let what = match token {
        None => "the end".to_owned(),
        Some(Token::Word(word) | Token::Name(word)) => word.clone(),
        Some(Token::Text(text)) => format!("'{text}'"),
        Some(Token::Number(number)) => number.clone(),
        Some(Token::Literal(value)) => format!("`{}`", value.shown()),
        Some(Token::Symbol(symbol)) => (*symbol).to_owned(),
    };
    Refused::new("ParseUnexpectedToken", format!("Unexpected token found {what}"))
}

/// What is said of a token that begins no expression.
pub(super) fn no_expression(token: Option<&Token>) -> Refused {
    match token {
        None | Some(Token::Symbol(")" | "," | ";")) => refused("ParseExpectedExpression"),
        Some(Token::Symbol("]" | "}" | "." | ":")) => refused("ParseUnexpectedTerm"),
        Some(Token::Symbol("<<" | ">>")) => refused("ParseUnsupportedToken"),
        Some(Token::Symbol("(" | "[" | "{" | "*")) => unexpected(token),
        Some(Token::Symbol(_)) => refused("ParseUnexpectedOperator"),
        _ => unexpected(token),
    }
}
