//! What requests ask in either form: by expressions or by the parameters that came before them.

use crate::errors::{Result, invalid};
use crate::expression::{self, Condition, Parameters, Update, legacy};
use cloudlet_api_dynamodb as api;
use std::collections::BTreeMap;

type Names = Option<BTreeMap<String, String>>;
type Values = Option<BTreeMap<String, api::AttributeValue>>;

/// The parameters that say under which condition something is written.
pub(crate) struct Conditional<'a> {
    pub expression: Option<&'a str>,
    pub names: &'a Names,
    pub values: &'a Values,
    pub expected: Option<&'a BTreeMap<String, api::ExpectedAttributeValue>>,
    pub operator: Option<&'a str>,
}

impl Conditional<'_> {
    /// Errors: both forms at once, or names and values for nothing. `update` are the parameters of an update, in
    /// either form.
    pub(crate) fn check(&self, update: Option<(bool, bool)>) -> Result<()> {
        let mut new = Vec::new();
        let mut old = Vec::new();
        if let Some((expression, attributes)) = update {
            new.push(("UpdateExpression", expression));
            old.push(("AttributeUpdates", attributes));
        }
        new.push(("ConditionExpression", self.expression.is_some()));
        old.push(("Expected", self.expected.is_some()));
        old.push(("ConditionalOperator", self.operator.is_some()));
        expression::check_kinds(&new, &old, self.names.is_some(), self.values.is_some())?;
        legacy::check_conditional_operator(self.operator, self.expected.map(BTreeMap::len))
    }

    /// The condition.
    pub(crate) fn read(&self, parameters: &mut Parameters) -> Result<Option<Condition>> {
        match self.expression {
            Some(text) => parameters.condition(text).map(Some),
            None => self.expected.map(|all| legacy::expected(all, self.operator)).transpose(),
        }
    }
}

/// The condition of a write that has no other expression.
pub(crate) fn condition(of: &Conditional<'_>, bare: bool) -> Result<Option<Condition>> {
    let mut parameters = match bare {
        true => Parameters::bare(of.names.as_ref(), of.values.as_ref())?,
        false => Parameters::new(of.names.as_ref(), of.values.as_ref())?,
    };
    let condition = of.read(&mut parameters)?;
    parameters.finish()?;
    Ok(condition)
}

/// An update and its condition.
pub(crate) fn update(
    expression: Option<&str>,
    attributes: Option<&BTreeMap<String, api::AttributeValueUpdate>>,
    of: &Conditional<'_>,
    bare: bool,
) -> Result<(Update, Option<Condition>)> {
    let mut parameters = match bare {
        true => Parameters::bare(of.names.as_ref(), of.values.as_ref())?,
        false => Parameters::new(of.names.as_ref(), of.values.as_ref())?,
    };
    let update = match expression {
        Some(text) => parameters.update(text)?,
        None => legacy::updates(attributes.unwrap_or(&BTreeMap::new()))?,
    };
    let condition = of.read(&mut parameters)?;
    parameters.finish()?;
    Ok((update, condition))
}

/// What of an item is wanted, of calls that say nothing else.
pub(crate) struct Wanted<'a> {
    pub expression: Option<&'a str>,
    pub names: &'a Names,
    pub attributes: Option<&'a [String]>,
}

impl Wanted<'_> {
    /// Errors: both forms at once, or names for nothing.
    pub(crate) fn check(&self) -> Result<()> {
        expression::check_kinds(
            &[("ProjectionExpression", self.expression.is_some())],
            &[("AttributesToGet", self.attributes.is_some())],
            self.names.is_some(),
            false,
        )
    }

    /// The projection.
    pub(crate) fn read(&self) -> Result<Option<expression::Projection>> {
        let attributes = self.attributes.map(legacy::attributes_to_get).transpose()?;
        let mut parameters = Parameters::new(self.names.as_ref(), None)?;
        let projection = match self.expression {
            Some(text) => Some(parameters.projection(text)?),
            None => attributes,
        };
        parameters.finish()?;
        Ok(projection)
    }
}

/// What queries and scans ask alike.
pub(crate) struct Search<'a> {
    pub names: &'a Names,
    pub values: &'a Values,
    pub filter: Option<&'a str>,
    /// `QueryFilter` or `ScanFilter`.
    pub older: Option<&'a BTreeMap<String, api::Condition>>,
    pub operator: Option<&'a str>,
    pub projection: Option<&'a str>,
    pub attributes: Option<&'a [String]>,
    pub select: Option<&'a str>,
    pub index: bool,
    pub is_query: bool,
}

/// A search that was read: what one of the two asks besides, before the expressions and among them, and both filters
/// as one.
pub(crate) struct Sought<E, N> {
    pub early: E,
    pub newer: N,
    pub filter: Option<expression::Filter>,
    pub wanted: Option<expression::Projection>,
}

impl Search<'_> {
    /// Reads it in AWS's order. `early` and `newer` read what only one of the two operations has, at their places:
    /// behind the older parameters, and first of all expressions.
    pub(crate) fn read<E, N>(
        &self,
        early: impl FnOnce() -> Result<E>,
        newer: impl FnOnce(&mut Parameters) -> Result<N>,
    ) -> Result<Sought<E, N>> {
        let attributes = || self.attributes.map(legacy::attributes_to_get).transpose();
        let (old_filter, attributes) = if self.is_query {
            (filter(self.older, self.operator)?, attributes()?)
        } else {
            let attributes = attributes()?;
            (filter(self.older, self.operator)?, attributes)
        };
        let early = early()?;
        check_select(self.select, self.index, self.projection.is_some(), self.attributes.is_some())?;
        let mut parameters = Parameters::new(self.names.as_ref(), self.values.as_ref())?;
        let newer = newer(&mut parameters)?;
        let filter = match self.filter {
            Some(text) => Some(parameters.filter(text)?),
            None => old_filter,
        };
        let wanted = match self.projection {
            Some(text) => Some(parameters.projection(text)?),
            None => attributes,
        };
        parameters.finish()?;
        Ok(Sought { early, newer, filter, wanted })
    }
}

/// `QueryFilter` or `ScanFilter`.
fn filter(
    conditions: Option<&BTreeMap<String, api::Condition>>,
    operator: Option<&str>,
) -> Result<Option<expression::Filter>> {
    legacy::check_conditional_operator(operator, conditions.map(BTreeMap::len))?;
    conditions.map(|all| legacy::filter(all, operator)).transpose()
}

/// Errors: what is selected against what is wanted.
fn check_select(select: Option<&str>, index: bool, projection: bool, attributes: bool) -> Result<()> {
    if select == Some("ALL_PROJECTED_ATTRIBUTES") && !index {
        return Err(invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"));
    }
    let named = if attributes {
        Some("AttributesToGet")
    } else if projection {
        Some("ProjectionExpression")
    } else {
        None
    };
    match (select, named) {
        (Some("SPECIFIC_ATTRIBUTES"), None) => Err(invalid(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        )),
        (Some(select), Some(named)) if select != "SPECIFIC_ATTRIBUTES" => {
            let select = if select == "COUNT" { "only the Count" } else { select };
            Err(invalid(format!("Cannot specify the {named} when choosing to get {select}")))
        }
        _ => Ok(()),
    }
}
