//! Imported key material: a wrapping key is handed out, wrapped material comes back.
//!
//! Source: AWS KMS Developer Guide, "Importing key material"; API Reference, `ImportKeyMaterial`.

use super::create::generate;
use crate::crypto::wrap;
use crate::crypto::{Rng, Secret};
use crate::errors::{Failure, bad_ciphertext, internal, limit, stored, unsupported, validation};
use crate::shown::when;
use crate::spec;
use crate::state::{DAY, ImportOffer, KeyRecord, Material, Materials, State, key_place, offer_place};
use crate::{Kms, deadlines, living};
use cloudlet_api_kms::*;
use sha2::{Digest, Sha256};

/// Wrapping keys that one key may have at a time.
const MOST_OFFERS: usize = 1000;

impl Kms {
    /// Errors: `UnsupportedOperationException`, `KMSInvalidStateException`, `ValidationException`.
    pub async fn get_parameters_for_import(
        &self,
        cx: &Context,
        input: GetParametersForImportInput,
    ) -> Result<GetParametersForImportOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        external(&key)?;
        living(&key)?;
        let symmetric = spec::secret_bytes(&key.spec).is_some();
        match input.wrapping_algorithm.as_str() {
            "RSAES_PKCS1_V1_5" | "SM2PKE" => {
                return Err(unsupported(format!(
                    "The wrapping algorithm {} is not supported.",
                    input.wrapping_algorithm
                )));
            }
            // An RSA private key does not fit into one block of another.
            algorithm @ ("RSAES_OAEP_SHA_1" | "RSAES_OAEP_SHA_256")
                if !symmetric && key.spec.starts_with("RSA_") =>
            {
                return Err(unsupported(format!(
                    "The wrapping algorithm {algorithm} is not supported for key spec {}.",
                    key.spec
                )));
            }
            // Nor do 521 bits of a curve into the shortest.
            algorithm @ ("RSAES_OAEP_SHA_1" | "RSAES_OAEP_SHA_256")
                if key.spec == "ECC_NIST_P521" && input.wrapping_key_spec == "RSA_2048" =>
            {
                return Err(unsupported(format!(
                    "The wrapping algorithm {algorithm} with wrapping key spec RSA_2048 is not supported for key spec {}.",
                    key.spec
                )));
            }
            _ => {}
        }
        if input.wrapping_key_spec == "SM2" {
            return Err(unsupported("SM2 wrapping keys are available in China Regions only."));
        }
        let secret = generate(cx, &input.wrapping_key_spec).await?;
        let token = Rng(cx.random()).vec(256);
        let now = cx.millis();
        let expires = now + DAY;
        let name = format!("{}/import", key.seal_name(""));
        let plain = secret.write().map_err(internal)?;
        let sealed = self.sealer.seal(&name, &plain, &Rng(cx.random())).map_err(internal)?;
        let offer = ImportOffer {
            algorithm: input.wrapping_algorithm,
            spec: input.wrapping_key_spec,
            sealed,
            expires,
        };
        let at = offer_place(&key, &token);
        self.store
            .transact(|tx| {
                // Those that have expired stay a while, so that their tokens are told from wrong ones.
                if deadlines::forget_offers(tx, &key.place(), now - 30 * DAY)? >= MOST_OFFERS {
                    return Err(Failure(limit(format!(
                        "{} has {MOST_OFFERS} import tokens already.",
                        key.arn()
                    ))));
                }
                Ok(tx.put(&at, &offer)?)
            })
            .await?;
        Ok(GetParametersForImportOutput {
            key_id: Some(key.arn()),
            import_token: Some(Blob::new(token)),
            public_key: Some(Blob::new(secret.public().map_err(internal)?)),
            parameters_valid_to: Some(when(expires)),
            ..Default::default()
        })
    }

    /// Errors: `InvalidImportTokenException`, `ExpiredImportTokenException`, `InvalidCiphertextException`,
    /// `IncorrectKeyMaterialException`, `ValidationException`, `UnsupportedOperationException`.
    pub async fn import_key_material(
        &self,
        cx: &Context,
        input: ImportKeyMaterialInput,
    ) -> Result<ImportKeyMaterialOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        let now = cx.millis();
        let expires = expiry(&input, now)?;
        external(&key)?;
        living(&key)?;
        if input.key_material_description.is_some() && !key.is_symmetric() {
            return Err(validation(
                "The KeyMaterialDescription parameter can only be used with symmetric encryption keys.",
            ));
        }
        let secret = self.unwrapped(cx, &key, &input)?;
        let plain = secret.write().map_err(internal)?;
        let digest = Sha256::new()
            .chain_update(b"cloudlet kms imported material")
            .chain_update(&key.account)
            .chain_update(&key.id)
            .chain_update(&plain)
            .finalize();
        let id = hex::encode(digest);
        if input.key_material_id.as_ref().is_some_and(|wanted| *wanted != id) {
            return Err(IncorrectKeyMaterialException::error(
                "The key material does not match the specified key material ID.",
            ));
        }
        let new = Material {
            expires,
            description: input.key_material_description.clone(),
            ..self.sealed(&cx.cloud, &key, id.clone(), &plain, now)?
        };
        let place = key.material_place();
        self.change(&key, |tx, key| {
            living(key)?;
            let mut materials = tx.get::<Materials>(&place)?.unwrap_or_default();
            let primary = match key.family.as_ref().filter(|_| key.is_replica()) {
                Some(family) => {
                    let place = key_place(&key.account, &family.primary, &key.id);
                    Some(tx.get::<Materials>(&place)?.unwrap_or_default())
                }
                None => None,
            };
            take(key, &mut materials, new.clone(), input.import_type.as_deref(), primary.as_ref())?;
            if let Some(due) = expires {
                tx.emit(deadlines::at(key, due))?;
            }
            Ok(tx.put(&place, &materials)?)
        })
        .await?;
        Ok(ImportKeyMaterialOutput {
            key_id: Some(key.arn()),
            key_material_id: key.is_symmetric().then_some(id),
            ..Default::default()
        })
    }

    /// Errors: `UnsupportedOperationException`, `NotFoundException`.
    pub async fn delete_imported_key_material(
        &self,
        cx: &Context,
        input: DeleteImportedKeyMaterialInput,
    ) -> Result<DeleteImportedKeyMaterialOutput, Error> {
        let key = self.own_key(cx, &input.key_id).await?;
        external(&key)?;
        let place = key.material_place();
        let id = self
            .change(&key, |tx, key| {
                let mut materials = tx.get::<Materials>(&place)?.unwrap_or_default();
                let id = input.key_material_id.clone().unwrap_or_else(|| materials.current.clone());
                if materials.get(&id).is_some_and(|material| material.waiting) {
                    // What was never used goes without a trace, and the key works on. What a primary has waiting goes
                    // from the replicas, too.
                    materials.all.retain(|material| material.id != id);
                    tx.put(&place, &materials)?;
                    let replicas = key.family.iter().filter(|_| !key.is_replica()).flat_map(|f| &f.replicas);
                    for region in replicas {
                        let place = key_place(&key.account, region, &key.id);
                        let Some(mut theirs) = tx.get::<Materials>(&place)? else { continue };
                        theirs.all.retain(|material| material.id != id);
                        tx.put(&place, &theirs)?;
                    }
                    return Ok(id);
                }
                let found = materials.all.iter_mut().find(|material| material.id == id);
                match found {
                    Some(material) => material.sealed.clear(),
                    // Deleting what is not there is no mistake, unless it was named.
                    None if input.key_material_id.is_none() => return Ok(id),
                    None => {
                        return Err(Failure(NotFoundException::error(format!(
                            "Key material {id} does not exist"
                        ))));
                    }
                }
                // One that waits for its end goes on waiting.
                if living(key).is_ok() {
                    key.state = State::PendingImport;
                }
                tx.put(&place, &materials)?;
                Ok(id)
            })
            .await?;
        Ok(DeleteImportedKeyMaterialOutput {
            key_id: Some(key.arn()),
            key_material_id: (key.is_symmetric() && !id.is_empty()).then_some(id),
            ..Default::default()
        })
    }

    /// The material in a request, unwrapped and checked to be of the key's kind.
    fn unwrapped(
        &self,
        cx: &Context,
        key: &KeyRecord,
        input: &ImportKeyMaterialInput,
    ) -> Result<Secret, Error> {
        let at = offer_place(key, input.import_token.as_ref());
        let offer = self.store.table::<ImportOffer>().get(&at).map_err(stored)?;
        let offer = offer.ok_or_else(|| {
            InvalidImportTokenException::error("The import token is not valid for this KMS key.")
        })?;
        if offer.expires <= cx.millis() {
            return Err(ExpiredImportTokenException::error(
                "The import token has expired. Use GetParametersForImport to get a new one.",
            ));
        }
        let wrapping = self.unseal(&format!("{}/import", key.seal_name("")), &offer.sealed)?;
        let wrapping = Secret::read(&offer.spec, &wrapping).map_err(internal)?;
        let wrapped = input.encrypted_key_material.as_ref();
        let plain = wrap::unwrap(&wrapping, &offer.algorithm, wrapped, &mut Rng(cx.random()))
            .map_err(|_| bad_ciphertext())?;
        let secret = match spec::secret_bytes(&key.spec) {
            Some(_) => Secret::read(&key.spec, &plain),
            None => Secret::from_pkcs8(&key.spec, &plain),
        };
        secret.map_err(|_| {
            IncorrectKeyMaterialException::error(format!(
                "The key material is not valid for a key with key spec {}.",
                key.spec
            ))
        })
    }
}

/// Adds the material: as the key's own, as what it had before, or as what the next rotation takes.
fn take(
    key: &mut KeyRecord,
    materials: &mut Materials,
    new: Material,
    kind: Option<&str>,
    primary: Option<&Materials>,
) -> Result<(), Failure> {
    let first = materials.all.is_empty();
    if kind.is_some() && !key.is_symmetric() {
        return Err(Failure(validation(
            "The ImportType parameter can only be used with symmetric encryption keys.",
        )));
    }
    if let Some(primary) = primary {
        return take_in_replica(key, materials, new, kind, primary);
    }
    let known = materials.all.iter_mut().find(|material| material.id == new.id);
    match (known, kind) {
        (Some(_), Some("NEW_KEY_MATERIAL")) => {
            return Err(Failure(IncorrectKeyMaterialException::error(
                "The key material is already associated with this KMS key.",
            )));
        }
        (Some(known), _) => {
            known.sealed = new.sealed;
            known.expires = new.expires;
            if new.description.is_some() {
                known.description = new.description;
            }
        }
        (None, None | Some("NEW_KEY_MATERIAL")) if first => {
            materials.current.clone_from(&new.id);
            materials.all.push(new);
        }
        (None, Some("NEW_KEY_MATERIAL")) if key.is_symmetric() => {
            if materials.all.iter().any(|material| material.waiting) {
                return Err(Failure(validation(
                    "The KMS key already has key material that is pending rotation.",
                )));
            }
            materials.all.push(Material { waiting: true, ..new });
        }
        (None, _) => return Err(Failure(other_material())),
    }
    complete(key, materials);
    Ok(())
}

fn other_material() -> Error {
    IncorrectKeyMaterialException::error(
        "The key material in the request is not the same key material that was previously imported into this KMS key.",
    )
}

/// A replica takes what its primary has, in the same role.
fn take_in_replica(
    key: &mut KeyRecord,
    materials: &mut Materials,
    new: Material,
    kind: Option<&str>,
    primary: &Materials,
) -> Result<(), Failure> {
    if kind == Some("NEW_KEY_MATERIAL") {
        return Err(Failure(validation(
            "New key material must be imported into the primary key of a multi-Region key first.",
        )));
    }
    let there = primary.get(&new.id).ok_or_else(|| Failure(other_material()))?;
    let description = new.description.clone().or_else(|| there.description.clone());
    let taken = Material { waiting: there.waiting, rotated: there.rotated.clone(), description, ..new };
    match materials.all.iter_mut().find(|material| material.id == taken.id) {
        Some(known) => *known = Material { created: known.created, ..taken },
        None => materials.all.push(taken),
    }
    // The generations stand in the primary's order.
    materials.all.sort_by_key(|material| primary.all.iter().position(|m| m.id == material.id));
    if materials.get(&primary.current).is_some() {
        materials.current.clone_from(&primary.current);
    }
    complete(key, materials);
    Ok(())
}

/// Lets a key work again that has all it was ever used with.
fn complete(key: &mut KeyRecord, materials: &Materials) {
    let complete = materials.all.iter().all(|material| material.waiting || !material.sealed.is_empty());
    if complete && materials.current().is_some() && key.state == State::PendingImport {
        key.state = State::Enabled;
    }
}

fn expiry(input: &ImportKeyMaterialInput, now: i64) -> Result<Option<i64>, Error> {
    let until = input.valid_to.as_ref().and_then(|at| at.to_millis().ok());
    match (input.expiration_model.as_deref().unwrap_or("KEY_MATERIAL_EXPIRES"), until) {
        ("KEY_MATERIAL_EXPIRES", None) => {
            Err(validation("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"))
        }
        ("KEY_MATERIAL_EXPIRES", Some(until)) if until <= now => {
            Err(validation("The validTo date must be in the future."))
        }
        ("KEY_MATERIAL_EXPIRES", Some(until)) if until > now + 365 * DAY => {
            Err(validation("The validTo date must be within 365 days of the request."))
        }
        ("KEY_MATERIAL_EXPIRES", until) => Ok(until),
        (_, Some(_)) => Err(validation(
            "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
        )),
        (_, None) => Ok(None),
    }
}

fn external(key: &KeyRecord) -> Result<(), Error> {
    if key.origin == "EXTERNAL" {
        return Ok(());
    }
    Err(unsupported(format!("{} origin is {} which is not valid for this operation.", key.arn(), key.origin)))
}
