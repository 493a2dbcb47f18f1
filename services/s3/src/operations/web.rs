//! What browsers meet: CORS rules and website hosting. The rules themselves are applied in `cors` and `website`.

use crate::S3;
use crate::configurations::Kind;
use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml};
use crate::website::{self, WEBSITE};
use cloudlet_api_s3::{self as api, NoMembers};
use cloudlet_service::{Context, Error};

pub(crate) const CORS: Kind =
    Kind { name: "cors", missing: ("NoSuchCORSConfiguration", "The CORS configuration does not exist") };

/// The most CORS rules.
const MOST_CORS: usize = 100;

impl S3 {
    /// The bucket's CORS rules. Errors: `NoSuchCORSConfiguration`.
    pub async fn get_bucket_cors(
        &self,
        _: &Context,
        input: api::GetBucketCorsInput,
    ) -> Result<api::GetBucketCorsOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let stored = self.config::<api::CORSConfiguration>(&bucket, &CORS, "")?;
        let stored = stored.ok_or_else(|| CORS.missing(&bucket.name))?;
        Ok(api::GetBucketCorsOutput { cors_rules: Some(stored.cors_rules) })
    }

    /// Replaces them. Errors: `MalformedXML`, `InvalidRequest`.
    pub async fn put_bucket_cors(
        &self,
        _: &Context,
        input: api::PutBucketCorsInput,
    ) -> Result<NoMembers, Error> {
        let configuration = input.cors_configuration;
        if configuration.cors_rules.is_empty() {
            return Err(malformed_xml());
        }
        if configuration.cors_rules.len() > MOST_CORS {
            return Err(invalid_request(format!(
                "The number of CORS rules should not exceed allowed limit of {MOST_CORS} rules."
            )));
        }
        for rule in &configuration.cors_rules {
            if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
                return Err(malformed_xml());
            }
            if rule.id.as_ref().is_some_and(|id| id.chars().count() > 255) {
                let message = "ID length should not exceed allowed limit of 255";
                return Err(invalid_argument(message, "ID", rule.id.clone().unwrap_or_default()));
            }
            for method in &rule.allowed_methods {
                if !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&method.as_str()) {
                    return Err(invalid_request(format!(
                        "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                    )));
                }
            }
            for origin in &rule.allowed_origins {
                if origin.matches('*').count() > 1 {
                    return Err(invalid_request(format!(
                        "AllowedOrigin \"{origin}\" can not have more than one wildcard."
                    )));
                }
            }
            for header in rule.allowed_headers.iter().flatten() {
                if header.matches('*').count() > 1 {
                    return Err(invalid_request(format!(
                        "AllowedHeader \"{header}\" can not have more than one wildcard."
                    )));
                }
            }
            for (kind, header) in (rule.allowed_headers.iter().flatten().map(|h| ("AllowedHeader", h)))
                .chain(rule.expose_headers.iter().flatten().map(|h| ("ExposeHeader", h)))
            {
                // A token of RFC 9110, section 5.6.2, in which `*` is a character as any.
                if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                    return Err(invalid_request(format!("{kind} \"{header}\" contains invalid character.")));
                }
            }
            for header in rule.expose_headers.iter().flatten() {
                if header.contains('*') {
                    return Err(invalid_request(format!(
                        "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
                    )));
                }
            }
        }
        let owner = input.expected_bucket_owner.as_deref();
        self.put_config(&input.bucket, owner, &CORS, "", &configuration).await?;
        Ok(NoMembers)
    }

    /// Removes them. Errors: `NoSuchBucket`.
    pub async fn delete_bucket_cors(
        &self,
        _: &Context,
        input: api::DeleteBucketCorsInput,
    ) -> Result<NoMembers, Error> {
        self.delete_config(&input.bucket, input.expected_bucket_owner.as_deref(), &CORS, "").await?;
        Ok(NoMembers)
    }

    /// The website's rules. Errors: `NoSuchWebsiteConfiguration`.
    pub async fn get_bucket_website(
        &self,
        _: &Context,
        input: api::GetBucketWebsiteInput,
    ) -> Result<api::GetBucketWebsiteOutput, Error> {
        let bucket = self.expected(&input.bucket, input.expected_bucket_owner.as_deref())?;
        let stored = self.config::<api::WebsiteConfiguration>(&bucket, &WEBSITE, "")?;
        let stored = stored.ok_or_else(|| WEBSITE.missing(&bucket.name))?;
        Ok(api::GetBucketWebsiteOutput {
            redirect_all_requests_to: stored.redirect_all_requests_to,
            index_document: stored.index_document,
            error_document: stored.error_document,
            routing_rules: stored.routing_rules,
        })
    }

    /// Replaces them. Errors: `InvalidArgument`, `InvalidRequest`, `MalformedXML`.
    pub async fn put_bucket_website(
        &self,
        _: &Context,
        input: api::PutBucketWebsiteInput,
    ) -> Result<NoMembers, Error> {
        let configuration = input.website_configuration;
        website::check(&configuration)?;
        let owner = input.expected_bucket_owner.as_deref();
        self.put_config(&input.bucket, owner, &WEBSITE, "", &configuration).await?;
        Ok(NoMembers)
    }

    /// Removes them. Errors: `NoSuchBucket`.
    pub async fn delete_bucket_website(
        &self,
        _: &Context,
        input: api::DeleteBucketWebsiteInput,
    ) -> Result<NoMembers, Error> {
        self.delete_config(&input.bucket, input.expected_bucket_owner.as_deref(), &WEBSITE, "").await?;
        Ok(NoMembers)
    }
}
