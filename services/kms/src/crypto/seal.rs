//! Key material at rest: AES-256-GCM under the master key, which is in the operator's hands or in a file of the data
//! directory that only its owner can read.

use super::{Broken, Rng, broken};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::RwLock;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const NONCE: usize = 12;
const PRINT: usize = 8;

/// The key that wraps all key material. It never prints.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

impl MasterKey {
    /// Reads 256 bits as 64 hexadecimal digits or as Base64; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok())?;
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// The master key in use. Sealed bytes name the key they are sealed with, so that another one is noticed, not
/// mistaken for damage.
pub(crate) struct Sealer {
    current: RwLock<Arc<Ready>>,
}

struct Ready {
    print: [u8; PRINT],
    key: LessSafeKey,
}

impl Ready {
    fn new(master: &MasterKey) -> Result<Self, Broken> {
        let digest = Sha256::new().chain_update(b"cloudlet kms master").chain_update(master.0).finalize();
        let mut print = [0; PRINT];
        print.copy_from_slice(&digest[..PRINT]);
        let unbound = UnboundKey::new(&AES_256_GCM, &master.0).map_err(broken)?;
        Ok(Self { print, key: LessSafeKey::new(unbound) })
    }
}

impl Sealer {
    pub(crate) fn new(master: &MasterKey) -> Result<Self, Broken> {
        Ok(Self { current: RwLock::new(Arc::new(Ready::new(master)?)) })
    }

    /// Takes another master key from now on.
    pub(crate) fn replace(&self, master: &MasterKey) -> Result<(), Broken> {
        *self.current.write() = Arc::new(Ready::new(master)?);
        Ok(())
    }

    /// Whether these bytes were sealed with the present master key.
    pub(crate) fn knows(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.current.read().print)
    }

    /// Seals `plain` for the place that `name` tells: bytes moved elsewhere do not open.
    pub(crate) fn seal(&self, name: &str, plain: &[u8], rng: &Rng<'_>) -> Result<Vec<u8>, Broken> {
        let ready = self.current.read().clone();
        let nonce: [u8; NONCE] = rng.bytes();
        let mut body = plain.to_vec();
        ready
            .key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut body,
            )
            .map_err(broken)?;
        Ok([&ready.print[..], &nonce, &body].concat())
    }

    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let ready = self.current.read().clone();
        let rest = sealed.strip_prefix(&ready.print).ok_or(Broken)?;
        let (nonce, body) = rest.split_at_checked(NONCE).ok_or(Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(broken)?;
        let mut body = body.to_vec();
        let opened = ready.key.open_in_place(nonce, Aad::from(name.as_bytes()), &mut body).map_err(broken)?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudlet_service::Seeded;

    #[test]
    fn opens_only_in_its_place_and_with_its_key() {
        let random = Seeded::new(1);
        let sealer = Sealer::new(&MasterKey([1; 32])).unwrap();
        let sealed = sealer.seal("here", b"secret", &Rng(&random)).unwrap();
        assert_eq!(sealer.open("here", &sealed).unwrap(), b"secret");
        assert_eq!(sealer.open("there", &sealed), Err(Broken));
        let other = Sealer::new(&MasterKey([2; 32])).unwrap();
        assert!(!other.knows(&sealed) && other.open("here", &sealed).is_err());
        assert!(!format!("{:?}", MasterKey([1; 32])).contains('1'));
    }

    #[test]
    fn a_master_key_is_hexadecimal_or_base64() {
        assert!(MasterKey::parse(&"0f".repeat(32)).is_some());
        assert!(MasterKey::parse(&STANDARD.encode([3; 32])).is_some());
        for bad in ["", "xyz", "00", &"0f".repeat(31)] {
            assert!(MasterKey::parse(bad).is_none(), "{bad}");
        }
    }
}
