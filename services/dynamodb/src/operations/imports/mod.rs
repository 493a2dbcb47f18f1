//! Tables made of objects in S3: DynamoDB JSON, Amazon Ion or CSV, plain or compressed by GZIP or Zstandard.
//! Source: Developer Guide, "DynamoDB data import from Amazon S3: how it works", "import formats".

mod source;

use source::{LOG_GROUP, Sink, Source, import};

use crate::describe::{definitions, key_schema, on_demand, projection, time};
use crate::errors::{Failure, Result, in_use, invalid, stored};
use crate::operations::tables::new_table;
use crate::operations::transfers::{transfer_id, transfer_key};
use crate::state::{Caller, Coming, Table, Transfer};
use crate::{DynamoDb, names};
use cloudlet_api_dynamodb::*;
use cloudlet_service::pages;
use cloudlet_store::Key;
use std::collections::BTreeMap;

const PAGE: usize = 25;
/// AWS: how long a client token is remembered, in milliseconds.
const TOKEN_AGE: i64 = 8 * 60 * 60 * 1000;

fn import_arn(transfer: &Transfer) -> String {
    format!("{}/import/{}", transfer.table, transfer.id)
}

impl DynamoDb {
    /// Begins to make a table of objects in S3.
    ///
    /// Errors: `ResourceInUseException`, `ValidationException`.
    pub async fn import_table(&self, cx: &Context, input: ImportTableInput) -> Result<ImportTableOutput> {
        if input.table_creation_parameters.vector_indexes.is_some() {
            return Err(Error::not_implemented_part("dynamodb:ImportTable VectorIndexes"));
        }
        let wanted = &input.table_creation_parameters;
        let mut table = new_table(
            cx,
            &CreateTableInput {
                table_name: wanted.table_name.clone(),
                attribute_definitions: Some(wanted.attribute_definitions.clone()),
                key_schema: Some(wanted.key_schema.clone()),
                billing_mode: wanted.billing_mode.clone(),
                provisioned_throughput: wanted.provisioned_throughput.clone(),
                on_demand_throughput: wanted.on_demand_throughput.clone(),
                sse_specification: wanted.sse_specification.clone(),
                global_secondary_indexes: wanted.global_secondary_indexes.clone(),
                ..Default::default()
            },
        )?;
        table.account = cx.account.to_string();
        table.region = cx.region.to_string();
        table.name.clone_from(&wanted.table_name);
        if let Some(known) = self.import_under(cx, &input)? {
            let description = self.import_shown(known)?;
            return Ok(ImportTableOutput { import_table_description: description, ..Default::default() });
        }
        let there = || in_use(format!("Table already exists: {}", wanted.table_name));
        let place = names::locate(cx, &wanted.table_name)?;
        if self.table_at(&place)?.is_some() || self.coming(&place)?.is_some() {
            return Err(there());
        }
        table.number = self.new_number().await?;
        for index in table.locals.iter_mut().chain(&mut table.globals) {
            index.number = self.new_number().await?;
        }
        let transfer = Transfer {
            id: transfer_id(cx),
            table: table.arn(),
            table_id: table.id.clone(),
            started: cx.millis(),
            ended: None,
            status: "IN_PROGRESS".to_owned(),
            failure: None,
            items: 0,
            errors: 0,
            bytes: 0,
            manifest: None,
            asked: asked_of(&input),
            run: self.run.to_string(),
            caller: Caller::of(cx),
            space: 0,
            into: Some(Box::new(table.clone())),
        };
        let key = transfer_key(&table.account, &table.region, "import", &transfer.id);
        let coming = Coming { table, from: None };
        let begun = self.store.transact(|tx| {
            tx.put(&coming.table.key(), &coming)?;
            Ok::<_, Failure>(tx.put(&key, &transfer)?)
        });
        begun.await?;
        self.begin_import(cx.clone(), key, transfer.clone());
        let description = self.import_shown(transfer)?;
        Ok(ImportTableOutput { import_table_description: description, ..Default::default() })
    }

    /// The import that was begun under the same client token.
    ///
    /// Errors: `ImportConflictException` for one of something else.
    fn import_under(&self, cx: &Context, input: &ImportTableInput) -> Result<Option<Transfer>> {
        let Some(token) = &input.client_token else { return Ok(None) };
        let all = self.transfers(cx, "import", None)?;
        let known = all.into_iter().rev().find(|transfer| {
            transfer.asked.get("ClientToken") == Some(token) && cx.millis() - transfer.started < TOKEN_AGE
        });
        let Some(known) = known else { return Ok(None) };
        let table = names::of_arn(&known.table).map(|place| place.name);
        if known.asked != asked_of(input)
            || table.as_deref() != Some(input.table_creation_parameters.table_name.as_str())
        {
            return Err(ImportConflictException::error(
                "A different import request was already made under this client token",
            ));
        }
        Ok(Some(known))
    }

    /// Does the work of an import. What an earlier run of the program has put in already is put in again.
    pub(crate) fn begin_import(&self, cx: Context, key: Key, transfer: Transfer) {
        let (source, import_arn) = (Source::of(cx, &transfer), import_arn(&transfer));
        if let Some(table) = transfer.into {
            let sink = Sink {
                store: self.store.clone(),
                live: self.live.clone(),
                table: *table,
                waiting: Vec::new(),
                import: import_arn,
                wrong: Vec::new(),
            };
            tokio::spawn(import(source, sink, key));
        }
    }

    /// Shows an import.
    ///
    /// Errors: `ImportNotFoundException`.
    pub async fn describe_import(
        &self,
        _: &Context,
        input: DescribeImportInput,
    ) -> Result<DescribeImportOutput> {
        let missing = || ImportNotFoundException::error(format!("Import not found: {}", input.import_arn));
        let place = names::of_arn(&input.import_arn).ok_or_else(missing)?;
        let (_, id) = place.name.split_once("/import/").ok_or_else(missing)?;
        let key = transfer_key(&place.account, &place.region, "import", id);
        let found = self.store.table::<Transfer>().get(&key).map_err(stored)?.ok_or_else(missing)?;
        let description = self.import_shown(found)?;
        Ok(DescribeImportOutput { import_table_description: description, ..Default::default() })
    }

    /// Lists imports, the latest first.
    ///
    /// Errors: `ValidationException`.
    pub async fn list_imports(&self, cx: &Context, input: ListImportsInput) -> Result<ListImportsOutput> {
        let all = self.transfers(cx, "import", input.table_arn.as_deref())?;
        let limit = usize::try_from(input.page_size.unwrap_or(0)).ok().filter(|n| *n > 0).unwrap_or(PAGE);
        let page = pages::page(
            all.into_iter(),
            limit,
            input.next_token.as_deref(),
            |transfer| transfer.id.as_bytes().to_vec(),
            || invalid("Invalid NextToken"),
        )?;
        let summary = |transfer: Transfer| ImportSummary {
            import_arn: Some(import_arn(&transfer)),
            table_arn: Some(transfer.table.clone()),
            s3_bucket_source: Some(bucket_of(&transfer)),
            input_format: transfer.asked.get("InputFormat").cloned(),
            start_time: Some(time(transfer.started)),
            end_time: transfer.ended.map(time),
            import_status: Some(transfer.status),
            ..Default::default()
        };
        Ok(ListImportsOutput {
            import_summary_list: Some(page.items.into_iter().map(summary).collect()),
            next_token: page.next,
            ..Default::default()
        })
    }

    fn import_shown(&self, transfer: Transfer) -> Result<ImportTableDescription> {
        let transfer = self.seen(transfer);
        let text = |name: &str| transfer.asked.get(name).cloned();
        let made = names::of_arn(&transfer.table).map(|place| self.table_at(&place)).transpose()?.flatten();
        let made = made.filter(|table| table.id == transfer.table_id);
        let csv = (text("InputFormat").as_deref() == Some("CSV")).then(|| InputFormatOptions {
            csv: Some(CsvOptions {
                delimiter: text("Delimiter"),
                header_list: text("HeaderList").map(|list| list.split('\u{1}').map(str::to_owned).collect()),
                ..Default::default()
            }),
            ..Default::default()
        });
        Ok(ImportTableDescription {
            import_arn: Some(import_arn(&transfer)),
            table_arn: Some(transfer.table.clone()),
            table_id: Some(transfer.table_id.clone()),
            client_token: text("ClientToken"),
            s3_bucket_source: Some(bucket_of(&transfer)),
            cloud_watch_log_group_arn: names::of_arn(&transfer.table).map(|place| {
                let partition = names::partition(&place.region);
                format!("arn:{partition}:logs:{}:{}:log-group:{LOG_GROUP}:*", place.region, place.account)
            }),
            error_count: Some(transfer.errors),
            input_format: text("InputFormat"),
            input_format_options: csv,
            input_compression_type: Some(text("InputCompressionType").unwrap_or_else(|| "NONE".to_owned())),
            table_creation_parameters: made.map(|table| parameters(&table)),
            start_time: Some(time(transfer.started)),
            end_time: transfer.ended.map(time),
            processed_size_bytes: Some(transfer.bytes),
            processed_item_count: Some(transfer.items + transfer.errors),
            imported_item_count: Some(transfer.items),
            failure_code: transfer.failure.as_ref().map(|(code, _)| code.clone()),
            failure_message: transfer.failure.as_ref().map(|(_, message)| message.clone()),
            import_status: Some(transfer.status),
            ..Default::default()
        })
    }
}

fn bucket_of(transfer: &Transfer) -> S3BucketSource {
    let text = |name: &str| transfer.asked.get(name).cloned();
    S3BucketSource {
        s3_bucket: text("S3Bucket").unwrap_or_default(),
        s3_bucket_owner: text("S3BucketOwner"),
        s3_key_prefix: text("S3KeyPrefix"),
        ..Default::default()
    }
}

fn asked_of(input: &ImportTableInput) -> BTreeMap<String, String> {
    let csv = input.input_format_options.as_ref().and_then(|options| options.csv.as_ref());
    let given = [
        ("ClientToken", input.client_token.clone()),
        ("S3Bucket", Some(input.s3_bucket_source.s3_bucket.clone())),
        ("S3BucketOwner", input.s3_bucket_source.s3_bucket_owner.clone()),
        ("S3KeyPrefix", input.s3_bucket_source.s3_key_prefix.clone()),
        ("InputFormat", Some(input.input_format.clone())),
        ("InputCompressionType", input.input_compression_type.clone()),
        ("Delimiter", csv.and_then(|csv| csv.delimiter.clone())),
        ("HeaderList", csv.and_then(|csv| csv.header_list.as_ref()).map(|list| list.join("\u{1}"))),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn parameters(table: &Table) -> TableCreationParameters {
    let units = |throughput: &crate::state::Throughput| ProvisionedThroughput {
        read_capacity_units: throughput.read,
        write_capacity_units: throughput.write,
        ..Default::default()
    };
    let globals: Vec<_> = table
        .globals
        .iter()
        .map(|index| GlobalSecondaryIndex {
            index_name: index.name.clone(),
            key_schema: key_schema(&index.keys),
            projection: projection(&index.projection),
            provisioned_throughput: (!table.billing.on_demand).then(|| units(&index.throughput)),
            ..Default::default()
        })
        .collect();
    TableCreationParameters {
        table_name: table.name.clone(),
        attribute_definitions: definitions(&table.attributes),
        key_schema: key_schema(&table.keys),
        billing_mode: Some(
            if table.billing.on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" }.to_owned(),
        ),
        provisioned_throughput: (!table.billing.on_demand).then(|| units(&table.billing.throughput)),
        on_demand_throughput: on_demand(table.on_demand),
        global_secondary_indexes: (!globals.is_empty()).then_some(globals),
        ..Default::default()
    }
}
