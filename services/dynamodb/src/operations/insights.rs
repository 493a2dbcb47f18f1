//! Contributor insights of tables and indexes.
//! Source: Developer Guide, "Analyzing data access using CloudWatch contributor insights for DynamoDB"; API Reference.

use crate::DynamoDb;
use crate::describe::time;
use crate::errors::{Result, invalid, not_found, stored};
use crate::state::{Insights, Table};
use cloudlet_api_dynamodb::*;
use cloudlet_service::pages;

/// AWS: how many tables' insights one answer lists.
const INSIGHTS_PAGE: usize = 100;

impl DynamoDb {
    /// Turns contributor insights on or off, of a table or an index.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn update_contributor_insights(
        &self,
        cx: &Context,
        input: UpdateContributorInsightsInput,
    ) -> Result<UpdateContributorInsightsOutput> {
        let table = self.control_table(cx, &input.table_name)?;
        let enabled = input.contributor_insights_action == "ENABLE";
        let mode = input
            .contributor_insights_mode
            .clone()
            .unwrap_or_else(|| "ACCESSED_AND_THROTTLED_KEYS".to_owned());
        self.change_table(&table, |_, table| {
            let insights = Insights { enabled, changed: cx.millis(), mode: mode.clone() };
            *insights_of(table, input.index_name.as_deref())? = Some(insights);
            Ok(())
        })
        .await?;
        Ok(UpdateContributorInsightsOutput {
            table_name: Some(table.name.clone()),
            index_name: input.index_name,
            contributor_insights_status: Some(if enabled { "ENABLING" } else { "DISABLING" }.to_owned()),
            contributor_insights_mode: Some(mode),
            ..Default::default()
        })
    }

    /// Shows the contributor insights of a table or an index.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn describe_contributor_insights(
        &self,
        cx: &Context,
        input: DescribeContributorInsightsInput,
    ) -> Result<DescribeContributorInsightsOutput> {
        let mut table = (*self.control_table(cx, &input.table_name)?).clone();
        let insights = insights_of(&mut table, input.index_name.as_deref())?.clone();
        let index = input.index_name.as_deref().and_then(|name| table.global(name));
        let sorted = !index.map_or(&table.keys, |index| &index.keys).range.is_empty();
        let rule_of = match index {
            Some(index) => format!("{}-{}", table.name, index.name),
            None => table.name.clone(),
        };
        Ok(DescribeContributorInsightsOutput {
            table_name: Some(table.name),
            index_name: input.index_name,
            contributor_insights_status: Some(insights_status(insights.as_ref()).to_owned()),
            last_update_date_time: insights.as_ref().map(|insights| time(insights.changed)),
            contributor_insights_rule_list: insights
                .as_ref()
                .filter(|insights| insights.enabled)
                .map(|insights| rules(&insights.mode, insights.changed, &rule_of, sorted)),
            contributor_insights_mode: insights.map(|insights| insights.mode),
            ..Default::default()
        })
    }

    /// Lists the contributor insights of one table or of all.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn list_contributor_insights(
        &self,
        cx: &Context,
        input: ListContributorInsightsInput,
    ) -> Result<ListContributorInsightsOutput> {
        let mut tables = Vec::new();
        match &input.table_name {
            Some(name) => tables.push((*self.control_table(cx, name)?).clone()),
            None => {
                let range = crate::state::place_key(&cx.account, &cx.region).prefix_range();
                for row in self.store.table::<Table>().scan(range, false) {
                    tables.push(row.map_err(stored)?.1);
                }
            }
        }
        let mut all = Vec::new();
        for table in &tables {
            let own = table.insights.iter().map(|insights| (None, insights));
            let indexes = table.globals.iter();
            let theirs =
                indexes.filter_map(|index| Some((Some(index.name.clone()), index.insights.as_ref()?)));
            for (index, insights) in own.chain(theirs) {
                all.push(ContributorInsightsSummary {
                    table_name: Some(table.name.clone()),
                    index_name: index,
                    contributor_insights_status: Some(insights_status(Some(insights)).to_owned()),
                    contributor_insights_mode: Some(insights.mode.clone()),
                    ..Default::default()
                });
            }
        }
        let limit = usize::try_from(input.max_results.unwrap_or(0)).ok().filter(|n| *n > 0);
        let key = |one: &ContributorInsightsSummary| {
            let parts = [one.table_name.as_deref(), one.index_name.as_deref()];
            parts.map(Option::unwrap_or_default).join("\u{1}").into_bytes()
        };
        all.sort_by_key(key);
        let page = pages::page(
            all.into_iter(),
            limit.unwrap_or(INSIGHTS_PAGE),
            input.next_token.as_deref(),
            key,
            || invalid("Invalid NextToken"),
        )?;
        Ok(ListContributorInsightsOutput {
            contributor_insights_summaries: Some(page.items),
            next_token: page.next,
            ..Default::default()
        })
    }
}

/// The names of CloudWatch's rules: of partition keys and of whole keys, by accesses and by throttled requests.
fn rules(mode: &str, since: i64, of: &str, sorted: bool) -> Vec<String> {
    let kinds = match (mode, sorted) {
        ("THROTTLED_KEYS", false) => &["PKT"][..],
        ("THROTTLED_KEYS", true) => &["PKT", "SKT"],
        (_, false) => &["PKC", "PKT"],
        (_, true) => &["PKC", "SKC", "PKT", "SKT"],
    };
    kinds.iter().map(|kind| format!("DynamoDBContributorInsights-{kind}-{of}-{since}")).collect()
}

fn insights_status(insights: Option<&Insights>) -> &'static str {
    if insights.is_some_and(|insights| insights.enabled) { "ENABLED" } else { "DISABLED" }
}

fn insights_of<'a>(table: &'a mut Table, index: Option<&str>) -> Result<&'a mut Option<Insights>> {
    match index {
        None => Ok(&mut table.insights),
        Some(name) => {
            let name = name.to_owned();
            let found = table.globals.iter_mut().find(|index| index.name == name);
            match found {
                Some(index) => Ok(&mut index.insights),
                None => Err(not_found(format!(
                    "Requested resource not found: Table: {} not found or Index: {name} not found",
                    table.name
                ))),
            }
        }
    }
}
