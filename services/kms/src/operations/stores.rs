//! Custom key stores. There are none: a CloudHSM key store needs a CloudHSM cluster, which nobody can make here, and an
//! external one needs a proxy in front of an HSM of the caller's. So each operation answers what AWS answers an account
//! without clusters and stores.
//!
//! Source: API Reference, `CreateCustomKeyStore`, `DescribeCustomKeyStores`.

use crate::Kms;
use crate::errors::{bad_marker, validation};
use cloudlet_api_kms::*;

impl Kms {
    /// Errors: `ValidationException`, `CloudHsmClusterNotFoundException`; 501 for external key stores.
    pub async fn create_custom_key_store(
        &self,
        _cx: &Context,
        input: CreateCustomKeyStoreInput,
    ) -> Result<CreateCustomKeyStoreOutput, Error> {
        if input.custom_key_store_type.as_deref() == Some("EXTERNAL_KEY_STORE") {
            return Err(Error::not_implemented_part("kms:CreateCustomKeyStore EXTERNAL_KEY_STORE"));
        }
        if input.xks_proxy_uri_endpoint.is_some()
            || input.xks_proxy_uri_path.is_some()
            || input.xks_proxy_connectivity.is_some()
            || input.xks_proxy_authentication_credential.is_some()
            || input.xks_proxy_vpc_endpoint_service_name.is_some()
        {
            return Err(validation(
                "XksProxy parameters can only be specified with CustomKeyStoreType EXTERNAL_KEY_STORE.",
            ));
        }
        let Some(cluster) = input.cloud_hsm_cluster_id else {
            return Err(validation("CloudHsmClusterId is required for CustomKeyStoreType AWS_CLOUDHSM."));
        };
        if input.trust_anchor_certificate.is_none() || input.key_store_password.is_none() {
            return Err(validation(
                "TrustAnchorCertificate and KeyStorePassword are required for CustomKeyStoreType AWS_CLOUDHSM.",
            ));
        }
        Err(no_cluster(&cluster))
    }

    /// Errors: `CustomKeyStoreNotFoundException`, `InvalidMarkerException`, `ValidationException`.
    pub async fn describe_custom_key_stores(
        &self,
        _cx: &Context,
        input: DescribeCustomKeyStoresInput,
    ) -> Result<DescribeCustomKeyStoresOutput, Error> {
        match (input.custom_key_store_id, input.custom_key_store_name) {
            (Some(_), Some(_)) => {
                return Err(validation(
                    "You can specify either CustomKeyStoreId or CustomKeyStoreName, but not both.",
                ));
            }
            (Some(id), None) => return Err(no_store(&id)),
            (None, Some(name)) => {
                return Err(CustomKeyStoreNotFoundException::error(format!(
                    "Custom key store with name {name} does not exist."
                )));
            }
            (None, None) => {}
        }
        if let Some(marker) = input.marker {
            return Err(bad_marker(&marker));
        }
        Ok(DescribeCustomKeyStoresOutput {
            custom_key_stores: Some(Vec::new()),
            truncated: Some(false),
            ..Default::default()
        })
    }

    /// Errors: `CustomKeyStoreNotFoundException`.
    pub async fn connect_custom_key_store(
        &self,
        _cx: &Context,
        input: ConnectCustomKeyStoreInput,
    ) -> Result<ConnectCustomKeyStoreOutput, Error> {
        Err(no_store(&input.custom_key_store_id))
    }

    /// Errors: `CustomKeyStoreNotFoundException`.
    pub async fn disconnect_custom_key_store(
        &self,
        _cx: &Context,
        input: DisconnectCustomKeyStoreInput,
    ) -> Result<DisconnectCustomKeyStoreOutput, Error> {
        Err(no_store(&input.custom_key_store_id))
    }

    /// Errors: `CustomKeyStoreNotFoundException`.
    pub async fn update_custom_key_store(
        &self,
        _cx: &Context,
        input: UpdateCustomKeyStoreInput,
    ) -> Result<UpdateCustomKeyStoreOutput, Error> {
        Err(no_store(&input.custom_key_store_id))
    }

    /// Errors: `CustomKeyStoreNotFoundException`.
    pub async fn delete_custom_key_store(
        &self,
        _cx: &Context,
        input: DeleteCustomKeyStoreInput,
    ) -> Result<DeleteCustomKeyStoreOutput, Error> {
        Err(no_store(&input.custom_key_store_id))
    }
}

/// What every mention of a store meets.
pub(super) fn no_store(id: &str) -> Error {
    CustomKeyStoreNotFoundException::error(format!("Custom key store with id {id} does not exist."))
}

fn no_cluster(id: &str) -> Error {
    CloudHsmClusterNotFoundException::error(format!("CloudHSM cluster with id {id} does not exist."))
}
