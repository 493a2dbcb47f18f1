//! One-time passwords of virtual MFA devices. Source: RFC 6238 (TOTP) and RFC 4226, section 5.3.

use crate::identities::Identities;
use crate::records::MfaDevice;
use cloudlet_service::Error;
use cloudlet_store::StoreError;
use ring::hmac;

/// Seconds per time step.
pub const STEP: i64 = 30;

/// How many steps a code may be early or late.
const WINDOW: i64 = 1;

/// The six digits of a time step.
pub fn code(seed: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let hash = tag.as_ref();
    let offset = hash.last().map_or(0, |b| usize::from(b & 15));
    let word =
        hash.get(offset..offset + 4).map_or(0, |b| u32::from_be_bytes([b[0] & 0x7f, b[1], b[2], b[3]]));
    format!("{:06}", word % 1_000_000)
}

/// The step whose code this is, near the time in seconds; codes of steps up to `after` count no more.
pub fn step_of(device: &MfaDevice, given: &str, seconds: i64, window: i64) -> Option<u64> {
    let now = seconds.div_euclid(STEP) + device.drift;
    (now - window..=now + window)
        .filter_map(|step| u64::try_from(step).ok())
        .find(|step| *step > device.last_step && code(&device.seed, *step) == given)
}

/// What a shown one-time password is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is right, and used up now.
    Right,
    /// The device is not there or is another's.
    NotOwned,
    /// Nobody has turned the device on.
    Inactive,
    /// It is not what the device shows.
    Wrong,
}

impl Identities {
    /// Checks a one-time password of a user's device and uses it up. The root user (`None`) may show any device of the
    /// account: no API of AWS gives it one of its own, only the console does.
    ///
    /// Errors: `AccessDenied`, in the words of STS.
    pub async fn show_mfa(
        &self,
        account: &str,
        user: Option<&str>,
        serial: &str,
        given: &str,
    ) -> Result<(), Error> {
        match self.try_mfa(account, user, serial, given).await? {
            Shown::Right => Ok(()),
            _ => Err(Error::new(
                "AccessDenied",
                403,
                "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
            )),
        }
    }

    /// The same, saying what is wrong.
    pub(crate) async fn try_mfa(
        &self,
        account: &str,
        user: Option<&str>,
        serial: &str,
        given: &str,
    ) -> Result<Shown, Error> {
        let seconds = self.cloud.clock().seconds();
        let key = MfaDevice::key(account, serial);
        self.store()
            .transact(|tx| {
                let Some(mut device) = tx.get::<MfaDevice>(&key)? else {
                    return Ok::<_, StoreError>(Shown::NotOwned);
                };
                if device.enabled.is_none() {
                    return Ok(Shown::Inactive);
                }
                if user.is_some() && device.user.as_deref() != user {
                    return Ok(Shown::NotOwned);
                }
                let Some(step) = step_of(&device, given, seconds, WINDOW) else { return Ok(Shown::Wrong) };
                device.last_step = step;
                tx.put(&key, &device)?;
                Ok(Shown::Right)
            })
            .await
            .map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, cut to six digits.
    #[test]
    fn codes_of_the_standard() {
        let seed = b"12345678901234567890";
        for (seconds, expected) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(code(seed, seconds / 30), expected);
        }
    }
}
