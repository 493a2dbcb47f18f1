//! Virtual MFA devices: time-based one-time passwords that verify.

use crate::operations::tags::tagged;
use crate::state::missing;
use crate::{Iam, errors, shown};
use cloudlet_api_iam::*;
use cloudlet_identity::mfa::{STEP, code};
use cloudlet_identity::records::{MfaDevice, User, named};
use cloudlet_service::{Context, Principal};
use cloudlet_store::Key;

/// MFA devices per user.
const PER_USER: usize = 8;

/// How many steps a device's clock may be wrong when it is enabled.
const DRIFT: i64 = 20;

impl Iam {
    /// Makes a virtual device. The seed is shown once, as Base32 and as a QR code.
    ///
    /// Errors: `EntityAlreadyExists`.
    pub async fn create_virtual_mfa_device(
        &self,
        cx: &Context,
        input: CreateVirtualMFADeviceInput,
    ) -> Result<CreateVirtualMFADeviceOutput, Error> {
        let path = shown::path(input.path)?;
        let serial = format!("arn:aws:iam::{}:mfa{path}{}", cx.account, input.virtual_mfa_device_name);
        let mut seed = vec![0u8; 40];
        cx.random().fill(&mut seed);
        let device = MfaDevice {
            account: cx.account.to_string(),
            serial: serial.clone(),
            seed,
            user: None,
            enabled: None,
            last_step: 0,
            drift: 0,
            tags: shown::given_tags(input.tags)?,
        };
        let key = MfaDevice::key(&cx.account, &serial);
        self.change(|tx| {
            if tx.exists::<MfaDevice>(&key)? {
                return Err(
                    errors::exists("MFADevice entity at the same path and name already exists.").into()
                );
            }
            Ok(tx.put(&key, &device)?)
        })
        .await?;
        let seed = base32(&device.seed);
        // The account stands for the user, whom the device does not know yet.
        let address =
            format!("otpauth://totp/{}@{}?secret={seed}", input.virtual_mfa_device_name, cx.account);
        let virtual_mfa_device = VirtualMFADevice {
            serial_number: serial,
            qr_code_png: Some(Blob::new(crate::qr::png(&address)?)),
            base32_string_seed: Some(Blob::new(seed.into_bytes())),
            tags: shown::some_tags(&device.tags),
            ..Default::default()
        };
        Ok(CreateVirtualMFADeviceOutput { virtual_mfa_device })
    }

    /// Binds a device to a user, proved by two codes in a row.
    ///
    /// Errors: `NoSuchEntity`, `EntityAlreadyExists`, `InvalidAuthenticationCode`, `LimitExceeded`.
    pub async fn enable_mfa_device(
        &self,
        cx: &Context,
        input: EnableMFADeviceInput,
    ) -> Result<EnableMFADeviceOutput, Error> {
        let now = cx.millis();
        let user_key = named(&cx.account, &input.user_name);
        let key = MfaDevice::key(&cx.account, &input.serial_number);
        self.change(|tx| {
            let mut user = tx.get::<User>(&user_key)?.ok_or_else(|| missing::<User>(&input.user_name))?;
            let mut device = tx.get::<MfaDevice>(&key)?.ok_or_else(|| no_device(&input.serial_number))?;
            if device.enabled.is_some() {
                return Err(errors::exists(format!("MFA Device {} is already in use.", device.serial)).into());
            }
            if user.mfa_devices.len() >= PER_USER {
                return Err(errors::quota("MFADevicesPerUser", PER_USER).into());
            }
            synchronize(&mut device, &input.authentication_code1, &input.authentication_code2, now)?;
            device.enabled = Some(now);
            device.user = Some(user.name.clone());
            user.mfa_devices.push(device.serial.clone());
            tx.put(&user_key, &user)?;
            Ok(tx.put(&key, &device)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Learns anew how far a device's clock is off.
    ///
    /// Errors: `NoSuchEntity`, `InvalidAuthenticationCode`.
    pub async fn resync_mfa_device(
        &self,
        cx: &Context,
        input: ResyncMFADeviceInput,
    ) -> Result<ResyncMFADeviceOutput, Error> {
        let now = cx.millis();
        let key = MfaDevice::key(&cx.account, &input.serial_number);
        self.change(|tx| {
            let device = tx.get::<MfaDevice>(&key)?.filter(|d| d.user.as_ref() == Some(&input.user_name));
            let mut device = device.ok_or_else(|| no_device(&input.serial_number))?;
            synchronize(&mut device, &input.authentication_code1, &input.authentication_code2, now)?;
            Ok(tx.put(&key, &device)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Takes a device from its user.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn deactivate_mfa_device(
        &self,
        cx: &Context,
        input: DeactivateMFADeviceInput,
    ) -> Result<DeactivateMFADeviceOutput, Error> {
        let name = self.user_name(cx, input.user_name)?;
        let user_key = named(&cx.account, &name);
        let key = MfaDevice::key(&cx.account, &input.serial_number);
        self.change(|tx| {
            let mut user = tx.get::<User>(&user_key)?.ok_or_else(|| missing::<User>(&name))?;
            let device = tx.get::<MfaDevice>(&key)?.filter(|d| d.user.as_ref() == Some(&user.name));
            let mut device = device.ok_or_else(|| no_device(&input.serial_number))?;
            device.user = None;
            device.enabled = None;
            user.mfa_devices.retain(|serial| *serial != device.serial);
            tx.put(&user_key, &user)?;
            Ok(tx.put(&key, &device)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Deletes a device that nobody uses.
    ///
    /// Errors: `NoSuchEntity`, `DeleteConflict`.
    pub async fn delete_virtual_mfa_device(
        &self,
        cx: &Context,
        input: DeleteVirtualMFADeviceInput,
    ) -> Result<DeleteVirtualMFADeviceOutput, Error> {
        let key = MfaDevice::key(&cx.account, &input.serial_number);
        self.change(|tx| {
            let device = tx.get::<MfaDevice>(&key)?.ok_or_else(|| no_device(&input.serial_number))?;
            if device.enabled.is_some() {
                return Err(errors::conflict("MFA VirtualDevice in use. Must deactivate first.").into());
            }
            Ok(tx.delete::<MfaDevice>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lists a user's devices.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn list_mfa_devices(
        &self,
        cx: &Context,
        input: ListMFADevicesInput,
    ) -> Result<ListMFADevicesOutput, Error> {
        let found: Vec<MfaDevice> = if input.user_name.is_none()
            && matches!(cx.principal, Principal::Root { .. })
        {
            self.all::<MfaDevice>(cx)?.into_iter().filter(|d| d.user.as_deref() == Some("")).collect()
        } else {
            let name = self.user_name(cx, input.user_name)?;
            let user = self.entity::<User>(cx, &name)?;
            self.all::<MfaDevice>(cx)?.into_iter().filter(|d| d.user.as_ref() == Some(&user.name)).collect()
        };
        let mut found = found;
        found.sort_by_key(|device| device.serial.to_ascii_lowercase());
        let page =
            shown::page(found, input.marker.as_deref(), input.max_items, |device| device.serial.clone())?;
        let devices = page.items.into_iter().map(|device| MFADevice {
            user_name: device.user.unwrap_or_default(),
            serial_number: device.serial,
            enable_date: device.enabled.and_then(shown::date),
        });
        Ok(ListMFADevicesOutput {
            mfa_devices: devices.collect(),
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Lists the account's virtual devices.
    pub async fn list_virtual_mfa_devices(
        &self,
        cx: &Context,
        input: ListVirtualMFADevicesInput,
    ) -> Result<ListVirtualMFADevicesOutput, Error> {
        let mut found = self.all::<MfaDevice>(cx)?;
        found.retain(|device| match input.assignment_status.as_deref() {
            Some("Assigned") => device.enabled.is_some(),
            Some("Unassigned") => device.enabled.is_none(),
            _ => true,
        });
        found.sort_by_key(|device| device.serial.to_ascii_lowercase());
        let page =
            shown::page(found, input.marker.as_deref(), input.max_items, |device| device.serial.clone())?;
        let mut devices = Vec::with_capacity(page.items.len());
        for device in page.items {
            let user = match &device.user {
                Some(name) => self.find::<User>(cx, name)?,
                None => None,
            };
            devices.push(VirtualMFADevice {
                serial_number: device.serial,
                user: user.as_ref().map(shown::user_listed),
                enable_date: device.enabled.and_then(shown::date),
                ..Default::default()
            });
        }
        Ok(ListVirtualMFADevicesOutput {
            virtual_mfa_devices: devices,
            is_truncated: Some(page.next.is_some()),
            marker: page.next,
        })
    }

    /// Describes a device.
    ///
    /// Errors: `NoSuchEntity`.
    pub async fn get_mfa_device(
        &self,
        cx: &Context,
        input: GetMFADeviceInput,
    ) -> Result<GetMFADeviceOutput, Error> {
        let key = MfaDevice::key(&cx.account, &input.serial_number);
        let device = self.store().table::<MfaDevice>().get(&key).map_err(Error::internal)?;
        let device = device.filter(|d| input.user_name.is_none() || d.user == input.user_name);
        let device = device.ok_or_else(|| no_device(&input.serial_number))?;
        Ok(GetMFADeviceOutput {
            user_name: device.user,
            serial_number: device.serial,
            enable_date: device.enabled.and_then(shown::date),
            ..Default::default()
        })
    }
}

fn by_serial(cx: &Context, serial: &str) -> Key {
    MfaDevice::key(&cx.account, serial)
}

tagged!(MfaDevice, serial_number, by_serial, no_device, tag_mfa_device TagMFADeviceInput,
    untag_mfa_device UntagMFADeviceInput, list_mfa_device_tags ListMFADeviceTagsInput ListMFADeviceTagsOutput);

fn no_device(serial: &str) -> Error {
    errors::no_such(format!("VirtualMFADevice with serial number {serial} doesn't exist."))
}

/// Finds the step at which two codes follow each other, and with it the device's drift.
fn synchronize(device: &mut MfaDevice, first: &str, second: &str, millis: i64) -> Result<(), Error> {
    let now = millis.div_euclid(1000).div_euclid(STEP);
    // The nearest first, so that a chance match far away does not win.
    let mut steps: Vec<i64> = (now - DRIFT..=now + DRIFT).collect();
    steps.sort_by_key(|step| (step - now).abs());
    let found = steps.into_iter().find(|step| {
        let at = |step: i64| u64::try_from(step).ok().map(|step| code(&device.seed, step));
        at(*step).as_deref() == Some(first) && at(step + 1).as_deref() == Some(second)
    });
    let Some(step) = found else {
        return Err(InvalidAuthenticationCodeException::error(
            "Authentication code for device is not valid.",
        ));
    };
    let ahead = step + 1 - now;
    device.drift = if ahead.abs() <= 1 { 0 } else { ahead };
    device.last_step = u64::try_from(step + 1).unwrap_or_default();
    Ok(())
}

/// RFC 4648, section 6; the seed's length needs no padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut out, mut buffer, mut bits) = (String::new(), 0u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(LETTERS[((buffer >> bits) & 31) as usize]));
        }
    }
    if bits > 0 {
        out.push(char::from(LETTERS[((buffer << (5 - bits)) & 31) as usize]));
    }
    out
}
