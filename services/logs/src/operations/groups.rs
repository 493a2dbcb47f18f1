//! Log groups: made, listed, protected, deleted.

use crate::errors::{Failure, bad_token, group_exists, invalid, no_group, stored};
use crate::purge::Task;
use crate::state::{Group, group_key, place};
use crate::{Logs, locate};
use cloudlet_api_logs::*;
use cloudlet_service::pages;
use cloudlet_store::Key;

/// AWS: the most tags of one resource.
pub(crate) const MOST_TAGS: usize = 50;

impl Logs {
    /// Makes a log group.
    ///
    /// Errors: `ResourceAlreadyExistsException`, `InvalidParameterException`.
    pub async fn create_log_group(
        &self,
        cx: &Context,
        input: CreateLogGroupInput,
    ) -> Result<CreateLogGroupOutput, Error> {
        if input.log_group_name.starts_with("aws/") {
            return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
        }
        if input.kms_key_id.is_some() {
            return Err(Error::not_implemented_part("logs:CreateLogGroup kmsKeyId"));
        }
        let key = group_key(cx, &input.log_group_name);
        let tags = input.tags.unwrap_or_default();
        let class = input.log_group_class.unwrap_or_else(|| "STANDARD".to_owned());
        self.store
            .transact(|tx| {
                if tx.exists::<Group>(&key)? {
                    return Err(Failure(group_exists()));
                }
                let group = Group {
                    number: tx.sequence("logs")?,
                    name: input.log_group_name.clone(),
                    created: cx.millis(),
                    retention_days: None,
                    class: class.clone(),
                    tags: tags.clone(),
                    deletion_protected: input.deletion_protection_enabled.unwrap_or(false),
                };
                Ok(tx.put(&key, &group)?)
            })
            .await?;
        Ok(CreateLogGroupOutput::default())
    }

    /// Deletes a log group with all its streams and events.
    ///
    /// Errors: `ResourceNotFoundException`, `InvalidParameterException` while deletion protection is on.
    pub async fn delete_log_group(
        &self,
        cx: &Context,
        input: DeleteLogGroupInput,
    ) -> Result<DeleteLogGroupOutput, Error> {
        let key = group_key(cx, &input.log_group_name);
        self.store
            .transact(|tx| {
                let group = tx.get::<Group>(&key)?.ok_or_else(no_group)?;
                if group.deletion_protected {
                    return Err(Failure(invalid(
                        "Log group cannot be deleted because deletion protection is enabled. Disable deletion protection first.",
                    )));
                }
                tx.delete::<Group>(&key)?;
                tx.emit(Task::Group(group.number).message(cx.millis()))?;
                Ok(())
            })
            .await?;
        Ok(DeleteLogGroupOutput::default())
    }

    /// Turns deletion protection on or off.
    ///
    /// Errors: `ResourceNotFoundException`.
    pub async fn put_log_group_deletion_protection(
        &self,
        cx: &Context,
        input: PutLogGroupDeletionProtectionInput,
    ) -> Result<PutLogGroupDeletionProtectionOutput, Error> {
        let (there, name) = locate(cx, &input.log_group_identifier)?;
        let key = group_key(&there, &name);
        self.change_group(&key, |group| group.deletion_protected = input.deletion_protection_enabled).await?;
        Ok(PutLogGroupDeletionProtectionOutput::default())
    }

    /// Changes a group's record.
    pub(crate) async fn change_group(
        &self,
        key: &Key,
        change: impl Fn(&mut Group) + Send + Sync,
    ) -> Result<Group, Error> {
        let changed = self.store.transact(|tx| {
            let mut group = tx.get::<Group>(key)?.ok_or_else(no_group)?;
            change(&mut group);
            tx.put(key, &group)?;
            Ok::<_, Failure>(group)
        });
        Ok(changed.await?)
    }

    /// Lists groups by name, by prefix or by a part of it.
    ///
    /// Errors: `InvalidParameterException`.
    pub async fn describe_log_groups(
        &self,
        cx: &Context,
        input: DescribeLogGroupsInput,
    ) -> Result<DescribeLogGroupsOutput, Error> {
        if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
            return Err(invalid(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
            ));
        }
        let mut named = None;
        if let Some(identifiers) = &input.log_group_identifiers {
            let names = identifiers
                .iter()
                .map(|i| locate(cx, i).map(|(_, name)| name))
                .collect::<Result<Vec<_>, _>>()?;
            named = Some(names);
        }
        let wanted = |group: &Group| {
            input.log_group_name_pattern.as_ref().is_none_or(|part| group.name.contains(part.as_str()))
                && input.log_group_class.as_ref().is_none_or(|class| group.class == *class)
                && named.as_ref().is_none_or(|names| names.contains(&group.name))
        };
        let prefix = input.log_group_name_prefix.as_deref().unwrap_or_default();
        let page =
            self.group_page(cx, prefix, input.limit.unwrap_or(50), input.next_token.as_deref(), wanted)?;
        let log_groups =
            page.items.into_iter().map(|group| self.describe_group(cx, &group)).collect::<Result<_, _>>()?;
        Ok(DescribeLogGroupsOutput { log_groups: Some(log_groups), next_token: page.next })
    }

    /// Lists groups in short, by a pattern of `^prefix`, substrings and `|`.
    ///
    /// Errors: `InvalidParameterException`.
    pub async fn list_log_groups(
        &self,
        cx: &Context,
        input: ListLogGroupsInput,
    ) -> Result<ListLogGroupsOutput, Error> {
        if input.data_sources.is_some() || input.field_index_names.is_some() {
            return Err(Error::not_implemented_part("logs:ListLogGroups dataSources and fieldIndexNames"));
        }
        if input.log_group_tags.is_some() {
            return Err(Error::not_implemented_part("logs:ListLogGroups logGroupTags"));
        }
        let pattern = input.log_group_name_pattern.as_deref().unwrap_or_default();
        let wanted = |group: &Group| {
            let named = pattern.split('|').any(|part| match part.strip_prefix('^') {
                Some(prefix) => group.name.starts_with(prefix),
                None => group.name.contains(part),
            });
            named && input.log_group_class.as_ref().is_none_or(|class| group.class == *class)
        };
        let page = self.group_page(cx, "", input.limit.unwrap_or(50), input.next_token.as_deref(), wanted)?;
        let summary = |group: Group| LogGroupSummary {
            log_group_arn: Some(group.arn(cx)),
            log_group_name: Some(group.name),
            log_group_class: Some(group.class),
            ..Default::default()
        };
        Ok(ListLogGroupsOutput {
            log_groups: Some(page.items.into_iter().map(summary).collect()),
            next_token: page.next,
        })
    }

    fn group_page(
        &self,
        cx: &Context,
        prefix: &str,
        limit: i32,
        token: Option<&str>,
        wanted: impl Fn(&Group) -> bool,
    ) -> Result<pages::Page<Group>, Error> {
        let mut range = place(cx).raw_tail(prefix.as_bytes()).prefix_range();
        if let Some(token) = token {
            let last =
                pages::position(token).and_then(|p| String::from_utf8(p).ok()).ok_or_else(bad_token)?;
            range = range.after(&group_key(cx, &last));
        }
        let limit = usize::try_from(limit).unwrap_or(50);
        let mut items: Vec<Group> = Vec::new();
        for row in self.store.table::<Group>().scan(range, false) {
            let (_, group) = row.map_err(stored)?;
            if !wanted(&group) {
                continue;
            }
            if items.len() == limit {
                let next = items.last().map(|last| pages::token(&last.name));
                return Ok(pages::Page { items, next });
            }
            items.push(group);
        }
        Ok(pages::Page { items, next: None })
    }

    fn describe_group(&self, cx: &Context, group: &Group) -> Result<LogGroup, Error> {
        let mut bytes = 0;
        let range = Key::new().number(group.number).prefix_range();
        for row in self.store.table::<crate::state::Stream>().scan(range, false) {
            bytes += row.map_err(stored)?.1.stored_bytes;
        }
        let arn = group.arn(cx);
        Ok(LogGroup {
            log_group_name: Some(group.name.clone()),
            creation_time: Some(group.created),
            retention_in_days: group.retention_days,
            metric_filter_count: Some(0),
            arn: Some(format!("{arn}:*")),
            log_group_arn: Some(arn),
            stored_bytes: Some(bytes),
            log_group_class: Some(group.class.clone()),
            deletion_protection_enabled: Some(group.deletion_protected),
            ..Default::default()
        })
    }
}
