//! What S3 Select says of expressions that it cannot take.
//! Source: S3 API Reference, "Error responses", SELECT Object Content error codes.

use super::Refused;
use super::lex::Token;

/// The codes that mean one thing each.
const WORDS: &[(&str, &str)] = &[
    (
        "AmbiguousFieldName",
        "The field name matches to multiple fields in the file. Check the SQL expression and the file, and try again.",
    ),
    (
        "EvaluatorInvalidArguments",
        "There is an incorrect number of arguments in the function call in the SQL expression.",
    ),
    (
        "EvaluatorLikePatternInvalidEscapeSequence",
        "The escape sequence of the LIKE clause in the SQL expression is not valid.",
    ),
    ("EvaluatorNegativeLimit", "The LIMIT in the SQL expression must not be negative."),
    ("LexerInvalidOperator", "The SQL expression contains an operator that is not valid."),
    ("LikeInvalidInputs", "The argument given to the LIKE clause in the SQL expression is not valid."),
    (
        "ParseAsteriskIsNotAloneInSelectList",
        "Other expressions are not allowed in the SELECT list when * is used without dot notation in the SQL expression.",
    ),
    ("ParseCastArity", "The SQL expression CAST has incorrect arity."),
    ("ParseEmptySelect", "The SQL expression contains an empty SELECT clause."),
    ("ParseExpectedArgumentDelimiter", "Did not find the expected argument delimiter in the SQL expression."),
    ("ParseExpectedDatePart", "Did not find the expected date part in the SQL expression."),
    ("ParseExpectedExpression", "Did not find the expected SQL expression."),
    (
        "ParseExpectedIdentForAlias",
        "Did not find the expected identifier for the alias in the SQL expression.",
    ),
    ("ParseExpectedKeyword", "Did not find the expected keyword in the SQL expression."),
    (
        "ParseExpectedLeftParenAfterCast",
        "Did not find the expected left parenthesis after CAST in the SQL expression.",
    ),
    (
        "ParseExpectedLeftParenBuiltinFunctionCall",
        "Did not find the expected left parenthesis of a function call in the SQL expression.",
    ),
    (
        "ParseExpectedLeftParenValueConstructor",
        "Did not find the expected left parenthesis of a list in the SQL expression.",
    ),
    ("ParseExpectedNumber", "Did not find the expected number in the SQL expression."),
    (
        "ParseExpectedRightParenBuiltinFunctionCall",
        "Did not find the expected right parenthesis of a function call in the SQL expression.",
    ),
    ("ParseExpectedTokenType", "Did not find the expected token in the SQL expression."),
    ("ParseExpectedTypeName", "Did not find the expected type name in the SQL expression."),
    ("ParseExpectedWhenClause", "Did not find the expected WHEN clause in the SQL expression."),
    ("ParseInvalidPathComponent", "The SQL expression contains an invalid path component."),
    ("ParseInvalidTypeParam", "The SQL expression contains an invalid parameter value of a type."),
    ("ParseMalformedJoin", "JOIN is not supported in the SQL expression."),
    (
        "ParseMissingIdentAfterAt",
        "Did not find the expected identifier after the AT symbol in the SQL expression.",
    ),
    (
        "ParseNonUnaryAgregateFunctionCall",
        "Only one argument is supported for aggregate functions in the SQL expression.",
    ),
    ("ParseSelectMissingFrom", "The SQL expression contains a missing FROM after the SELECT list."),
    ("ParseUnExpectedKeyword", "The SQL expression contains an unexpected keyword."),
    ("ParseUnexpectedOperator", "The SQL expression contains an unexpected operator."),
    (
        "ParseUnsupportedCallWithStar",
        "Only COUNT with (*) as a parameter is supported in the SQL expression.",
    ),
    ("ParseUnsupportedSelect", "The SQL expression contains an unsupported use of SELECT."),
    ("ParseUnsupportedSyntax", "The SQL expression contains unsupported syntax."),
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
        Some(Token::Symbol(symbol)) => (*symbol).to_owned(),
    };
    Refused::new("ParseUnexpectedToken", format!("Unexpected token found {what}"))
}

/// What is said of a token that begins no expression.
pub(super) fn no_expression(token: Option<&Token>) -> Refused {
    match token {
        None | Some(Token::Symbol(")" | "," | ";")) => refused("ParseExpectedExpression"),
        Some(Token::Symbol("(" | "[" | "]" | "{" | "}" | "." | "*")) => unexpected(token),
        Some(Token::Symbol(_)) => refused("ParseUnexpectedOperator"),
        _ => unexpected(token),
    }
}
