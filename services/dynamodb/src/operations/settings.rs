//! What belongs to tables beside items: tags, time to live, point-in-time recovery; and what is said about the account.

use crate::describe::time;
use crate::errors::{Failure, Result, invalid, no_table, not_found, parameters};
use crate::operations::tables::check_tags;
use crate::purge::Task;
use crate::state::{History, Table, Ttl};
use crate::{DynamoDb, names, schema};
use cloudlet_api_dynamodb::*;
use cloudlet_service::pages;
use std::sync::Arc;

/// AWS: how many tags one answer lists.
const TAGS_PAGE: usize = 10;
/// How long point-in-time recovery reaches back unless it is said, in days.
const RECOVERY_DAYS: i32 = 35;
/// What an account may provision altogether.
const ACCOUNT_UNITS: i64 = 80_000;

/// API Reference, UpdateTimeToLive: a change takes up to an hour, in which there is no other, in milliseconds.
const TTL_INTERVAL: i64 = 60 * 60 * 1000;

impl DynamoDb {
    /// The place that a resource ARN names. What is not of DynamoDB is not the caller's to touch.
    ///
    /// Errors: `AccessDeniedException`, `ValidationException`.
    fn tagged_place(cx: &Context, action: &str, arn: &str) -> Result<names::Place> {
        let Some(place) = names::of_arn(arn) else {
            return Err(Error::sender(
                "AccessDeniedException",
                format!(
                    "User: {} is not authorized to perform: dynamodb:{action} on resource: {arn}",
                    cx.principal.arn()
                ),
            ));
        };
        if !names::is_name(&place.name) || names::check_new(&place.name).is_err() {
            return Err(invalid(format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}")));
        }
        Ok(place)
    }

    /// The table at a place that a resource ARN names.
    fn tagged(&self, place: &names::Place, arn: &str) -> Result<Arc<Table>> {
        let missing = || not_found(format!("Requested resource not found: ResourcArn: {arn} not found"));
        self.table_at(place)?.ok_or_else(missing)
    }

    /// Changes a table's record while nobody changes its items.
    pub(crate) async fn change_table<T: Send>(
        &self,
        found: &Table,
        change: impl FnMut(&mut cloudlet_store::Tx<'_>, &mut Table) -> Result<T, Failure> + Send,
    ) -> Result<T> {
        let space = self.live.space(found.number);
        let _alone = space.gate.write().await;
        self.changed(found, change).await
    }

    /// [`Self::change_table`], of a table whose other regions may change with it.
    async fn change_members<T: Send>(
        &self,
        found: &Table,
        change: impl FnMut(&mut cloudlet_store::Tx<'_>, &mut Table) -> Result<T, Failure> + Send,
    ) -> Result<T> {
        let _alone = self.alone(found).await?;
        self.changed(found, change).await
    }

    async fn changed<T: Send>(
        &self,
        found: &Table,
        mut change: impl FnMut(&mut cloudlet_store::Tx<'_>, &mut Table) -> Result<T, Failure> + Send,
    ) -> Result<T> {
        let key = found.key();
        let changed = self.store.transact(|tx| {
            let mut table = tx.get::<Table>(&key)?.ok_or_else(|| no_table(&found.name))?;
            let value = change(tx, &mut table)?;
            tx.put(&key, &table)?;
            Ok::<_, Failure>(value)
        });
        Ok(changed.await?)
    }

    /// Adds tags to a table.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn tag_resource(&self, cx: &Context, input: TagResourceInput) -> Result<TagResourceOutput> {
        let place = Self::tagged_place(cx, "TagResource", &input.resource_arn)?;
        if input.tags.is_empty() {
            return Err(invalid("Atleast one Tag needs to be provided as Input."));
        }
        let table = self.tagged(&place, &input.resource_arn)?;
        let tags = crate::operations::tables::tags(&input.tags)?;
        self.change_table(&table, |_, table| {
            table.tags.extend(tags.clone());
            Ok(check_tags(&table.tags)?)
        })
        .await?;
        Ok(TagResourceOutput::default())
    }

    /// Takes tags away from a table.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn untag_resource(
        &self,
        cx: &Context,
        input: UntagResourceInput,
    ) -> Result<UntagResourceOutput> {
        let place = Self::tagged_place(cx, "UntagResource", &input.resource_arn)?;
        if input.tag_keys.is_empty() {
            return Err(invalid("Atleast one Tag Key needs to be provided as Input."));
        }
        let table = self.table_at(&place)?.ok_or_else(crate::errors::no_resource)?;
        self.change_table(&table, |_, table| {
            table.tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(())
        })
        .await?;
        Ok(UntagResourceOutput::default())
    }

    /// Lists the tags of a table.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException`.
    pub async fn list_tags_of_resource(
        &self,
        cx: &Context,
        input: ListTagsOfResourceInput,
    ) -> Result<ListTagsOfResourceOutput> {
        let place = Self::tagged_place(cx, "ListTagsOfResource", &input.resource_arn)?;
        let table = self.tagged(&place, &input.resource_arn)?;
        let bad = || invalid("Invalid NextToken");
        let page = pages::page(
            table.tags.iter(),
            TAGS_PAGE,
            input.next_token.as_deref(),
            |(key, _)| key.as_bytes().to_vec(),
            bad,
        )?;
        let tag = |(key, value): (&String, &String)| Tag {
            key: key.clone(),
            value: value.clone(),
            ..Default::default()
        };
        Ok(ListTagsOfResourceOutput {
            tags: Some(page.items.into_iter().map(tag).collect()),
            next_token: page.next,
            ..Default::default()
        })
    }

    /// Turns time to live on or off.
    ///
    /// Errors: `ResourceNotFoundException`, `ValidationException` for what is so already.
    pub async fn update_time_to_live(
        &self,
        cx: &Context,
        input: UpdateTimeToLiveInput,
    ) -> Result<UpdateTimeToLiveOutput> {
        let wanted = &input.time_to_live_specification;
        let table = self.control_table(cx, &input.table_name)?;
        crate::strong::refuse(&table, "Time to Live")?;
        self.change_members(&table, |tx, table| {
            let current = table.ttl.as_ref().filter(|ttl| ttl.enabled);
            let lately = table.ttl.as_ref().is_some_and(|ttl| cx.millis() - ttl.changed < TTL_INTERVAL);
            match current {
                Some(ttl) if ttl.attribute != wanted.attribute_name => {
                    let message = format!(
                        "TimeToLive is active on a different AttributeName: current AttributeName is {}",
                        ttl.attribute
                    );
                    return Err(invalid(message).into());
                }
                Some(_) if wanted.enabled => {
                    return Err(invalid("TimeToLive is already enabled").into());
                }
                None if !wanted.enabled => return Err(invalid("TimeToLive is already disabled").into()),
                _ if lately => {
                    return Err(invalid(
                        "Time to live has been modified multiple times within a fixed interval",
                    )
                    .into());
                }
                _ => {}
            }
            if wanted.enabled {
                let task = Task::Expiries { key: table.key().as_bytes().to_vec(), number: table.number };
                tx.emit(task.message(cx.millis()))?;
            }
            table.ttl = Some(Ttl {
                attribute: wanted.attribute_name.clone(),
                enabled: wanted.enabled,
                changed: cx.millis(),
            });
            // The other members of a global table expire the same items.
            crate::group::each_other(tx, table, |tx, _, other| {
                other.ttl.clone_from(&table.ttl);
                if wanted.enabled {
                    let task = Task::Expiries { key: other.key().as_bytes().to_vec(), number: other.number };
                    tx.emit(task.message(cx.millis()))?;
                }
                Ok(())
            })
        })
        .await?;
        Ok(UpdateTimeToLiveOutput {
            time_to_live_specification: Some(input.time_to_live_specification),
            ..Default::default()
        })
    }

    /// Shows a table's time to live.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn describe_time_to_live(
        &self,
        cx: &Context,
        input: DescribeTimeToLiveInput,
    ) -> Result<DescribeTimeToLiveOutput> {
        let table = self.control_table(cx, &input.table_name)?;
        let ttl = table.ttl.as_ref().filter(|ttl| ttl.enabled);
        let description = TimeToLiveDescription {
            time_to_live_status: Some(if ttl.is_some() { "ENABLED" } else { "DISABLED" }.to_owned()),
            attribute_name: ttl.map(|ttl| ttl.attribute.clone()),
            ..Default::default()
        };
        Ok(DescribeTimeToLiveOutput { time_to_live_description: Some(description), ..Default::default() })
    }

    /// Shows what the account may use.
    pub async fn describe_limits(&self, _: &Context, _: DescribeLimitsInput) -> Result<DescribeLimitsOutput> {
        Ok(DescribeLimitsOutput {
            account_max_read_capacity_units: Some(ACCOUNT_UNITS),
            account_max_write_capacity_units: Some(ACCOUNT_UNITS),
            table_max_read_capacity_units: Some(schema::TABLE_UNITS),
            table_max_write_capacity_units: Some(schema::TABLE_UNITS),
            ..Default::default()
        })
    }

    /// Names the endpoint to call.
    pub async fn describe_endpoints(
        &self,
        cx: &Context,
        _: DescribeEndpointsRequest,
    ) -> Result<DescribeEndpointsResponse> {
        let endpoint = cx.endpoint();
        let address = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, host)| host).to_owned();
        let one = Endpoint { address, cache_period_in_minutes: 1440, ..Default::default() };
        Ok(DescribeEndpointsResponse { endpoints: vec![one], ..Default::default() })
    }

    /// The table of a call on backups, which has an error of its own.
    pub(crate) fn backed_up(&self, cx: &Context, name: &str) -> Result<Arc<Table>> {
        let place = names::locate(cx, name)?;
        let missing = || TableNotFoundException::error(format!("Table not found: {}", place.name));
        self.table_at(&place)?.ok_or_else(missing)
    }

    /// Shows whether a table can be restored to a point in time.
    ///
    /// Errors: `TableNotFoundException`.
    pub async fn describe_continuous_backups(
        &self,
        cx: &Context,
        input: DescribeContinuousBackupsInput,
    ) -> Result<DescribeContinuousBackupsOutput> {
        let table = self.backed_up(cx, &input.table_name)?;
        Ok(DescribeContinuousBackupsOutput {
            continuous_backups_description: Some(continuous(&table, cx.millis())),
            ..Default::default()
        })
    }

    /// Turns point-in-time recovery on or off.
    ///
    /// Errors: `TableNotFoundException`.
    pub async fn update_continuous_backups(
        &self,
        cx: &Context,
        input: UpdateContinuousBackupsInput,
    ) -> Result<UpdateContinuousBackupsOutput> {
        let table = self.backed_up(cx, &input.table_name)?;
        let wanted = &input.point_in_time_recovery_specification;
        if wanted.recovery_period_in_days.is_some() && !wanted.point_in_time_recovery_enabled {
            return Err(parameters(
                "RecoveryPeriodInDays can only be specified when PointInTimeRecoveryEnabled is true",
            ));
        }
        let changed = self
            .change_table(&table, |tx, table| {
                if wanted.point_in_time_recovery_enabled {
                    let days = wanted.recovery_period_in_days;
                    let history =
                        table.history.get_or_insert(History { since: cx.millis(), days: RECOVERY_DAYS });
                    history.days = days.unwrap_or(history.days);
                } else if table.history.take().is_some() {
                    tx.emit(Task::History { number: table.number, until: None }.message(cx.millis()))?;
                }
                Ok(table.clone())
            })
            .await?;
        Ok(UpdateContinuousBackupsOutput {
            continuous_backups_description: Some(continuous(&changed, cx.millis())),
            ..Default::default()
        })
    }
}

fn continuous(table: &Table, now: i64) -> ContinuousBackupsDescription {
    let history = table.history.as_ref();
    let earliest = history.map(|h| h.since.max(now - i64::from(h.days) * crate::describe::DAY));
    ContinuousBackupsDescription {
        continuous_backups_status: "ENABLED".to_owned(),
        point_in_time_recovery_description: Some(PointInTimeRecoveryDescription {
            point_in_time_recovery_status: Some(
                if history.is_some() { "ENABLED" } else { "DISABLED" }.to_owned(),
            ),
            recovery_period_in_days: history.map(|history| history.days),
            earliest_restorable_date_time: earliest.map(time),
            latest_restorable_date_time: history.map(|_| time(now)),
            ..Default::default()
        }),
        ..Default::default()
    }
}
