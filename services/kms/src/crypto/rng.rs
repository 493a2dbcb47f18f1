//! The house's randomness as the generator that the cryptographic libraries ask for.

use cloudlet_service::Randomness;
use rsa::rand_core::{Infallible, TryCryptoRng, TryRng};

/// A generator over [`Randomness`].
pub(crate) struct Rng<'a>(pub(crate) &'a dyn Randomness);

impl Rng<'_> {
    /// So many random bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill(&mut out);
        out
    }

    /// The same, of a length known only now.
    pub(crate) fn vec(&self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.0.fill(&mut out);
        out
    }
}

impl TryRng for Rng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

/// The system's randomness is fit for keys; a test's is not, and makes keys for tests.
impl TryCryptoRng for Rng<'_> {}
