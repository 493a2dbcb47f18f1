//! The `Condition` element: operators, set qualifiers, `IfExists`.
//!
//! Rules on keys the request does not carry: a plain operator is false, its negation true, `IfExists` true,
//! `ForAllValues` true, `ForAnyValue` false whatever follows. A negated operator holds if no value matches; with
//! `ForAnyValue`, if some value matches nothing.
//!
//! Source: IAM User Guide, "Condition operators" and "Set operators for multivalued context keys".

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::arn::{Arn, ArnPattern};
use crate::context::{ConditionContext, name_hash};
use crate::pattern::Pattern;
use crate::value::{Cidr, Number, decode_base64, parse_address, parse_bool, parse_date};

/// What an operator compares, without its negation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    Binary,
    Ip,
    Arn,
    Null,
}

/// Which outcome of a comparison satisfies an ordering operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds(self, found: Ordering) -> bool {
        match self {
            Order::Equal => found.is_eq(),
            Order::Less => found.is_lt(),
            Order::LessOrEqual => found.is_le(),
            Order::Greater => found.is_gt(),
            Order::GreaterOrEqual => found.is_ge(),
        }
    }
}

/// How several values of one key count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier {
    Plain,
    AnyValue,
    AllValues,
}

/// An operator as a policy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) comparison: Comparison,
    pub(crate) negated: bool,
    pub(crate) if_exists: bool,
    pub(crate) qualifier: Qualifier,
}

impl Operator {
    /// Reads an operator's name; names are case-insensitive.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (qualifier, name) = match name.split_once(':') {
            None => (Qualifier::Plain, name),
            Some((set, name)) if set.eq_ignore_ascii_case("ForAnyValue") => (Qualifier::AnyValue, name),
            Some((set, name)) if set.eq_ignore_ascii_case("ForAllValues") => (Qualifier::AllValues, name),
            Some(_) => return None,
        };
        let lower = name.to_ascii_lowercase();
        let (base, if_exists) = match lower.strip_suffix("ifexists") {
            Some(base) => (base, true),
            None => (lower.as_str(), false),
        };
        use Comparison as C;
        let (comparison, negated) = match base {
            "stringequals" => (C::StringEquals, false),
            "stringnotequals" => (C::StringEquals, true),
            "stringequalsignorecase" => (C::StringEqualsIgnoreCase, false),
            "stringnotequalsignorecase" => (C::StringEqualsIgnoreCase, true),
            "stringlike" => (C::StringLike, false),
            "stringnotlike" => (C::StringLike, true),
            "numericequals" => (C::Numeric(Order::Equal), false),
            "numericnotequals" => (C::Numeric(Order::Equal), true),
            "numericlessthan" => (C::Numeric(Order::Less), false),
            "numericlessthanequals" => (C::Numeric(Order::LessOrEqual), false),
            "numericgreaterthan" => (C::Numeric(Order::Greater), false),
            "numericgreaterthanequals" => (C::Numeric(Order::GreaterOrEqual), false),
            "dateequals" => (C::Date(Order::Equal), false),
            "datenotequals" => (C::Date(Order::Equal), true),
            "datelessthan" => (C::Date(Order::Less), false),
            "datelessthanequals" => (C::Date(Order::LessOrEqual), false),
            "dategreaterthan" => (C::Date(Order::Greater), false),
            "dategreaterthanequals" => (C::Date(Order::GreaterOrEqual), false),
            "bool" => (C::Bool, false),
            "binaryequals" => (C::Binary, false),
            "ipaddress" => (C::Ip, false),
            "notipaddress" => (C::Ip, true),
            "arnequals" | "arnlike" => (C::Arn, false),
            "arnnotequals" | "arnnotlike" => (C::Arn, true),
            // Null asks for existence itself, so it has no IfExists.
            "null" if !if_exists => (C::Null, false),
            _ => return None,
        };
        Some(Self { comparison, negated, if_exists, qualifier })
    }
}

/// The values a policy compares with. Those that are not of the operator's type match nothing.
#[derive(Clone, Debug)]
enum Operands {
    Equal(Box<[Pattern]>),
    EqualIgnoreCase(Box<[Pattern]>),
    Like(Box<[Pattern]>),
    Numbers(Order, Box<[Number]>),
    Dates(Order, Box<[i128]>),
    Bools(Box<[bool]>),
    Bytes(Box<[Vec<u8>]>),
    Addresses(Box<[Cidr]>),
    Arns(Box<[ArnPattern]>),
    Null(Box<[bool]>),
}

/// One operator on one key, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    operator: Operator,
    pub(crate) key: Box<str>,
    key_hash: u32,
    operands: Operands,
}

impl Condition {
    /// Compiles one condition. `variables`: whether `${…}` is a policy variable.
    pub(crate) fn new(operator: Operator, key: &str, values: &[String], variables: bool) -> Self {
        let operands = match operator.comparison {
            Comparison::StringEquals => {
                Operands::Equal(collect(values, |text| Some(Pattern::equal(text, variables))))
            }
            Comparison::StringEqualsIgnoreCase => {
                Operands::EqualIgnoreCase(collect(values, |text| Some(Pattern::equal(text, variables))))
            }
            Comparison::StringLike => {
                Operands::Like(collect(values, |text| Some(Pattern::like(text, variables))))
            }
            Comparison::Numeric(order) => Operands::Numbers(order, collect(values, Number::parse)),
            Comparison::Date(order) => Operands::Dates(order, collect(values, parse_date)),
            Comparison::Bool => Operands::Bools(collect(values, parse_bool)),
            Comparison::Binary => Operands::Bytes(collect(values, decode_base64)),
            Comparison::Ip => Operands::Addresses(collect(values, Cidr::parse)),
            Comparison::Arn => Operands::Arns(collect(values, |text| Some(ArnPattern::new(text, variables)))),
            Comparison::Null => Operands::Null(collect(values, parse_bool)),
        };
        Self { operator, key: key.into(), key_hash: name_hash(key), operands }
    }

    /// Whether the condition holds for a request.
    pub(crate) fn holds(&self, context: &ConditionContext) -> bool {
        let values = context.get_hashed(&self.key, self.key_hash);
        if let Operands::Null(wanted) = &self.operands {
            return wanted.contains(&values.is_empty());
        }
        let negated = self.operator.negated;
        let matches = |value: &Cow<'static, str>| self.operands.match_value(value, context);
        match self.operator.qualifier {
            Qualifier::Plain if values.is_empty() => self.operator.if_exists || negated,
            Qualifier::Plain => values.iter().any(matches) != negated,
            Qualifier::AnyValue => values.iter().any(|value| matches(value) != negated),
            Qualifier::AllValues => values.iter().all(|value| matches(value) != negated),
        }
    }
}

fn collect<T>(values: &[String], read: impl Fn(&str) -> Option<T>) -> Box<[T]> {
    values.iter().filter_map(|value| read(value)).collect()
}

impl Operands {
    /// Whether some operand matches this value, negation aside.
    fn match_value(&self, value: &str, context: &ConditionContext) -> bool {
        match self {
            Operands::Equal(patterns) | Operands::Like(patterns) => {
                patterns.iter().any(|pattern| pattern.matches(value, context) == Some(true))
            }
            Operands::EqualIgnoreCase(patterns) => {
                patterns.iter().any(|pattern| pattern.equals_ignore_case(value, context) == Some(true))
            }
            Operands::Numbers(order, numbers) => Number::parse(value).is_some_and(|found| {
                numbers.iter().any(|number| found.compare(number).is_some_and(|outcome| order.holds(outcome)))
            }),
            Operands::Dates(order, dates) => {
                parse_date(value).is_some_and(|found| dates.iter().any(|date| order.holds(found.cmp(date))))
            }
            Operands::Bools(bools) => parse_bool(value).is_some_and(|found| bools.contains(&found)),
            Operands::Bytes(bytes) => decode_base64(value).is_some_and(|found| bytes.contains(&found)),
            Operands::Addresses(ranges) => {
                parse_address(value).is_some_and(|found| ranges.iter().any(|range| range.contains(found)))
            }
            Operands::Arns(patterns) => {
                let arn = Arn::new(value);
                patterns.iter().any(|pattern| pattern.matches(&arn, context) == Some(true))
            }
            Operands::Null(_) => false,
        }
    }
}
