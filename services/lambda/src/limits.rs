//! The account's room for code, and what else a cloud may be started with otherwise than AWS has it.

use crate::Lambda;
use crate::errors::stored;
use crate::state::{LayerVersion, Version, place};
use cloudlet_api_lambda::CodeStorageExceededException;
use cloudlet_service::{Context, Error};

/// Lambda quotas, in bytes: all packages of an account in a region.
const CODE_STORAGE: i64 = 80_530_636_800;

/// Lambda quotas: executions of an account in a region at one time.
const CONCURRENCY: i32 = 1000;

/// What reservations leave for functions without any, as far as the account has so much.
const LEAST_UNRESERVED: i32 = 100;

/// What may be set otherwise than on AWS.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many bytes all packages of an account in a region may have together.
    pub code_storage: i64,
    /// Whether who visits a function URL needs `lambda:InvokeFunction` as well, as for all URLs made since October 2025.
    pub url_needs_invoke: bool,
    /// How many executions an account may have at one time in a region: the quota that AWS raises when asked.
    pub concurrency: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { code_storage: CODE_STORAGE, url_needs_invoke: true, concurrency: CONCURRENCY }
    }
}

impl Limits {
    /// What reservations must leave.
    pub(crate) fn least_unreserved(&self) -> i32 {
        LEAST_UNRESERVED.min(self.concurrency)
    }
}

impl Lambda {
    /// Sets what is to be otherwise than on AWS.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits.write() = limits;
    }

    /// The functions of the account in the region, and the bytes of all packages.
    ///
    /// Errors: those of the store.
    pub(crate) fn usage(&self, cx: &Context) -> Result<(i64, i64), Error> {
        let (mut functions, mut size) = (0, 0);
        for row in self.store.table::<Version>().scan(place(cx).prefix_range(), false) {
            let (_, version) = row.map_err(stored)?;
            functions += i64::from(version.number == 0);
            size += version.code.size;
        }
        for row in self.store.table::<LayerVersion>().scan(place(cx).prefix_range(), false) {
            size += row.map_err(stored)?.1.code.size;
        }
        Ok((functions, size))
    }

    /// Whether there is room for so many bytes more. Errors: `CodeStorageExceededException`.
    pub(crate) fn check_room(&self, cx: &Context, more: i64) -> Result<(), Error> {
        if self.usage(cx)?.1 + more.max(0) <= self.limits.read().code_storage {
            return Ok(());
        }
        Err(CodeStorageExceededException {
            r#type: Some("User".to_owned()),
            message: Some("Code storage limit exceeded.".to_owned()),
        }
        .into())
    }
}
