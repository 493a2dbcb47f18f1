//! Event source mappings: their configuration. Who reads the sources is in `mappings/`.

use super::get::PAGE;
use crate::Lambda;
use crate::errors::{Failure, conflict, invalid, no_resource, not_found, stored};
use crate::mappings::{Kind, Mapping, check_create, check_update, mapping_key, message, probe};
use crate::names::{LATEST, Named, version_number};
use crate::state::place;
use cloudlet_api_kms::operations::{Decrypt, Encrypt};
use cloudlet_api_kms::{DecryptInput, EncryptInput};
use cloudlet_api_lambda::*;
use cloudlet_service::pages;
use sha2::{Digest, Sha256};

impl Lambda {
    /// Makes a mapping. It is `Creating` until its source is read.
    ///
    /// Errors: `InvalidParameterValueException`, `ResourceConflictException`, `ValidationException`.
    pub async fn create_event_source_mapping(
        &self,
        cx: &Context,
        input: CreateEventSourceMappingInput,
    ) -> Result<CreateEventSourceMappingOutput, Error> {
        if input.self_managed_event_source.is_some() {
            if input.source_access_configurations.as_ref().is_none_or(Vec::is_empty) {
                return Err(invalid("Required 'sourceAccessConfigurations' parameter is missing."));
            }
            return Err(Error::not_implemented_part(
                "lambda event source mappings of self-managed Apache Kafka",
            ));
        }
        let Some(source) = input.event_source_arn.clone() else {
            return Err(invalid("Unrecognized event source."));
        };
        let kind = Kind::of(&source)?;
        super::tags::check(input.tags.as_ref().unwrap_or(&BTreeMap::new()))?;
        let named = Named::read(cx, &input.function_name, None)?;
        let mut mapping = check_create(&input, kind, &named.qualified_arn())?;
        self.refuse_tenants(&named, "An event source mapping")?;
        let role = self.mapped_role(&named)?;
        probe(self, &named, &role, kind, &source).await?;
        self.seal_filters(cx, &mut mapping).await?;
        mapping.uuid = cx.random().uuid();
        mapping.state = "Creating".to_owned();
        (mapping.created, mapping.modified) = (cx.millis(), cx.millis());
        let key = mapping_key(cx, &mapping.uuid);
        let range = place(cx);
        self.store
            .transact(|tx| {
                for row in tx.scan::<Mapping>(range.prefix_range(), false) {
                    let (_, other) = row?;
                    if other.source == mapping.source && other.function == mapping.function {
                        return Err(Failure(exists(&other, kind, &named)));
                    }
                }
                tx.put(&key, &mapping)?;
                tx.emit(message(cx, &mapping.uuid))?;
                Ok(())
            })
            .await?;
        Ok(self.shown_mapping(cx, &mapping).await)
    }

    /// Shows a mapping. Errors: `ResourceNotFoundException`.
    pub async fn get_event_source_mapping(
        &self,
        cx: &Context,
        input: GetEventSourceMappingInput,
    ) -> Result<GetEventSourceMappingOutput, Error> {
        let mapping = self.mapping(cx, &input.uuid)?.ok_or_else(no_resource)?;
        Ok(self.shown_mapping(cx, &mapping).await)
    }

    /// Changes a mapping. Errors: `ResourceNotFoundException`, `InvalidParameterValueException`.
    pub async fn update_event_source_mapping(
        &self,
        cx: &Context,
        input: UpdateEventSourceMappingInput,
    ) -> Result<UpdateEventSourceMappingOutput, Error> {
        let old = self.mapping(cx, &input.uuid)?.ok_or_else(no_resource)?;
        let kind = Kind::of(&old.source)?;
        let function = match &input.function_name {
            Some(name) => {
                let named = Named::read(cx, name, None)?;
                self.mapped_role(&named)?;
                Some(named.qualified_arn())
            }
            None => None,
        };
        let key = mapping_key(cx, &input.uuid);
        let mut sealed = (*old).clone();
        check_update(&mut sealed, &input, kind)?;
        self.seal_filters(cx, &mut sealed).await?;
        let mapping = self
            .store
            .transact(|tx| {
                let mut mapping = tx.get::<Mapping>(&key)?.ok_or_else(no_resource)?;
                if mapping.state == "Deleting" {
                    return Err(Failure(in_use("update")));
                }
                check_update(&mut mapping, &input, kind)?;
                mapping.kms_proof.clone_from(&sealed.kms_proof);
                if let Some(function) = &function {
                    mapping.function.clone_from(function);
                }
                mapping.state = match input.enabled {
                    Some(true) if !mapping.enabled => "Enabling",
                    Some(false) if mapping.enabled => "Disabling",
                    _ => "Updating",
                }
                .to_owned();
                mapping.enabled = input.enabled.unwrap_or(mapping.enabled);
                mapping.modified = cx.millis();
                tx.put(&key, &mapping)?;
                tx.emit(message(cx, &mapping.uuid))?;
                Ok(mapping)
            })
            .await?;
        Ok(self.shown_mapping(cx, &mapping).await)
    }

    /// Deletes a mapping. Errors: `ResourceNotFoundException`, `ResourceInUseException`.
    pub async fn delete_event_source_mapping(
        &self,
        cx: &Context,
        input: DeleteEventSourceMappingInput,
    ) -> Result<DeleteEventSourceMappingOutput, Error> {
        let key = mapping_key(cx, &input.uuid);
        let mapping = self
            .store
            .transact(|tx| {
                let mut mapping = tx.get::<Mapping>(&key)?.ok_or_else(no_resource)?;
                if mapping.state == "Deleting" {
                    return Err(Failure(in_use("delete")));
                }
                mapping.state = "Deleting".to_owned();
                mapping.enabled = false;
                mapping.modified = cx.millis();
                tx.put(&key, &mapping)?;
                tx.emit(message(cx, &mapping.uuid))?;
                Ok(mapping)
            })
            .await?;
        Ok(self.shown_mapping(cx, &mapping).await)
    }

    /// Lists mappings, of a function, a source or all. Errors: `InvalidParameterValueException`.
    pub async fn list_event_source_mappings(
        &self,
        cx: &Context,
        input: ListEventSourceMappingsInput,
    ) -> Result<ListEventSourceMappingsOutput, Error> {
        let function = input.function_name.as_deref().map(|name| Named::read(cx, name, None)).transpose()?;
        let mut all = Vec::new();
        for row in self.store.table::<Mapping>().scan(place(cx).prefix_range(), false) {
            let (_, mapping) = row.map_err(stored)?;
            let of_function = function.as_ref().is_none_or(|named| match &named.qualifier {
                Some(_) => mapping.function == named.qualified_arn(),
                None => {
                    let arn = named.arn();
                    mapping.function == arn
                        || mapping.function.strip_prefix(&arn).is_some_and(|q| q.starts_with(':'))
                }
            });
            if of_function && input.event_source_arn.as_ref().is_none_or(|arn| *arn == mapping.source) {
                all.push(mapping);
            }
        }
        let most = PAGE * 2;
        let limit = input.max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(most).clamp(1, most);
        let key = |mapping: &Mapping| mapping.uuid.clone().into_bytes();
        let bad = || invalid("The marker is not one that ListEventSourceMappings gave.");
        let page = pages::page(all.into_iter(), limit, input.marker.as_deref(), key, bad)?;
        let mut shown = Vec::new();
        for mapping in &page.items {
            shown.push(self.shown_mapping(cx, mapping).await);
        }
        Ok(ListEventSourceMappingsOutput { next_marker: page.next, event_source_mappings: Some(shown) })
    }

    /// Encrypts for the filters, with the mapping's own key and as the caller.
    ///
    /// Errors: `InvalidParameterValueException` with what KMS says.
    async fn seal_filters(&self, cx: &Context, mapping: &mut Mapping) -> Result<(), Error> {
        mapping.kms_proof = None;
        let (Some(key), Some(filters)) = (mapping.kms_key.clone(), &mapping.filters) else { return Ok(()) };
        // What is kept is only a proof: KMS takes no more than 4 KiB, and the cloud's own store needs no further secrecy.
        let plaintext = Blob::new(Sha256::digest(filters.join("\n")).to_vec());
        let input = EncryptInput { key_id: key, plaintext, ..Default::default() };
        let output = cx.cloud.call::<Encrypt>(&cx.through(crate::keys::PRINCIPAL), input).await.map_err(|error| match error.status() {
            500.. => error,
            _ => invalid(format!(
                "Lambda was unable to encrypt the filter criteria. Please check the KMS key. KMS Exception: {} KMS Message: {}",
                error.code(),
                error.message()
            )),
        })?;
        mapping.kms_proof = output.ciphertext_blob.map(Blob::into_inner);
        Ok(())
    }

    /// A mapping as answers show it: encrypted filters only to who may decrypt them.
    async fn shown_mapping(&self, cx: &Context, mapping: &Mapping) -> EventSourceMappingConfiguration {
        let mut shown = describe(cx, mapping);
        let Some(proof) = &mapping.kms_proof else { return shown };
        let input = DecryptInput { ciphertext_blob: Some(Blob::new(proof.clone())), ..Default::default() };
        if let Err(error) = cx.cloud.call::<Decrypt>(&cx.through(crate::keys::PRINCIPAL), input).await {
            shown.filter_criteria = None;
            shown.filter_criteria_error = Some(FilterCriteriaError {
                error_code: Some(error.code().to_owned()),
                message: Some(error.message().to_owned()),
            });
        }
        shown
    }

    /// The role of the function that a mapping calls. Errors: `InvalidParameterValueException`.
    fn mapped_role(&self, named: &Named) -> Result<String, Error> {
        let gone = |_| invalid("Function does not exist");
        self.function(named).map_err(gone)?;
        let qualifier = named.qualifier.as_deref().unwrap_or(LATEST);
        let number = match version_number(qualifier) {
            Some(number) => number,
            None => {
                let alias =
                    self.alias(named, qualifier)?.ok_or_else(|| invalid("Function does not exist"))?;
                version_number(&alias.version).unwrap_or(0)
            }
        };
        Ok(self.version(named, number).map_err(gone)?.settings.role.clone())
    }
}

fn exists(other: &Mapping, kind: Kind, named: &Named) -> Error {
    let (source, uuid, name) = (&other.source, &other.uuid, &named.name);
    let (what, provided) = if kind.is_queue() {
        ("An event source mapping with SQS", "already exists")
    } else {
        ("The event source", "provided mapping already exists")
    };
    conflict(format!(
        "{what} arn (\" {source} \") and function (\" {name} \") {provided}. Please update or delete the existing mapping with UUID {uuid}"
    ))
}

fn in_use(verb: &str) -> Error {
    let message = format!("Cannot {verb} the event source mapping because it is in use.");
    ResourceInUseException { r#type: Some("User".to_owned()), message: Some(message) }.into()
}

/// The mapping of a tagged ARN. Errors: `ResourceNotFoundException`.
pub(super) fn tagged_mapping(cx: &Context, arn: &str) -> Result<cloudlet_store::Key, Error> {
    let missing = || not_found(format!("Event source mapping not found: {arn}"));
    let parsed = cloudlet_service::Arn::parse(arn).ok_or_else(missing)?;
    let uuid = parsed.resource.strip_prefix("event-source-mapping:").ok_or_else(missing)?;
    Ok(mapping_key(&cx.located(parsed.account, parsed.region), uuid))
}

fn describe(cx: &Context, mapping: &Mapping) -> EventSourceMappingConfiguration {
    let text = |text: &str| Some(text.to_owned());
    let stream = mapping.stream.as_ref();
    EventSourceMappingConfiguration {
        uuid: text(&mapping.uuid),
        starting_position: stream.map(|s| s.position.clone()),
        starting_position_timestamp: stream.and_then(|s| s.timestamp).map(DateTime::from_millis),
        batch_size: Some(mapping.batch_size),
        maximum_batching_window_in_seconds: Some(mapping.window_seconds),
        parallelization_factor: stream.map(|s| s.parallel),
        event_source_arn: text(&mapping.source),
        filter_criteria: mapping.filters.as_ref().map(|filters| FilterCriteria {
            filters: Some(filters.iter().map(|f| Filter { pattern: Some(f.clone()) }).collect()),
        }),
        kms_key_arn: mapping.kms_key.clone(),
        metrics_config: mapping.metrics.clone().map(|m| EventSourceMappingMetricsConfig { metrics: Some(m) }),
        logging_config: mapping
            .log_level
            .clone()
            .map(|l| EventSourceMappingLoggingConfig { system_log_level: Some(l) }),
        scaling_config: mapping.max_concurrency.map(|n| ScalingConfig { maximum_concurrency: Some(n) }),
        function_arn: text(&mapping.function),
        last_modified: Some(DateTime::from_millis(mapping.modified)),
        last_processing_result: mapping.last_result.clone(),
        state: text(&mapping.state),
        state_transition_reason: text(&mapping.reason),
        destination_config: stream.map(|s| DestinationConfig {
            on_success: None,
            on_failure: Some(OnFailure { destination: s.on_failure.clone() }),
        }),
        maximum_record_age_in_seconds: stream.map(|s| s.max_age_seconds),
        bisect_batch_on_function_error: stream.map(|s| s.bisect),
        maximum_retry_attempts: stream.map(|s| s.max_retries),
        tumbling_window_in_seconds: stream.map(|s| s.tumbling_seconds),
        function_response_types: Some(mapping.responses.clone()),
        event_source_mapping_arn: Some(mapping.arn(cx)),
        ..Default::default()
    }
}
