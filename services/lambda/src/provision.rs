//! Provisioned concurrency: which versions are kept ready, told to compute whenever that may have changed.

use crate::Lambda;
use crate::errors::stored;
use crate::names::{Named, version_number};
use crate::state::{Function, Version};
use cloudlet_service::Error;
use cloudlet_store::Key;
use std::collections::BTreeMap;

impl Lambda {
    /// Tells compute what to keep ready of a function. One that is gone keeps nothing.
    pub(crate) fn provision(&self, named: &Named) -> Result<(), Error> {
        let mut versions = Vec::new();
        for (number, count) in self.provisioned_versions(named)? {
            let Ok(version) = self.version(named, number) else { continue };
            if version.state == "Active" {
                // What is told to sandboxes about how they were started may have changed.
                self.specs.lock().remove(&(named.arn(), number));
                versions.push((self.spec(named, &version), usize::try_from(count).unwrap_or(0)));
            }
        }
        self.compute.keep(&named.arn(), versions);
        Ok(())
    }

    /// How many sandboxes of a version are there.
    pub(crate) fn provisioned_ready(&self, named: &Named, version: &Version) -> i32 {
        i32::try_from(self.compute.ready(&self.spec(named, version))).unwrap_or(i32::MAX)
    }

    /// The versions of a function that are kept ready, and how many sandboxes of each.
    pub(crate) fn provisioned_versions(&self, named: &Named) -> Result<BTreeMap<u64, i32>, Error> {
        let mut versions = BTreeMap::new();
        let function = match self.function(named) {
            Ok(function) => function,
            Err(error) if error.status() == 404 => return Ok(versions),
            Err(error) => return Err(error),
        };
        for (qualifier, config) in &function.provisioned {
            let number = match version_number(qualifier) {
                Some(number) => Some(number),
                None => self.alias(named, qualifier)?.and_then(|alias| version_number(&alias.version)),
            };
            if let Some(number) = number {
                *versions.entry(number).or_default() += config.requested;
            }
        }
        Ok(versions)
    }

    /// Keeps ready again what the last run of the program did.
    pub(crate) fn resume_provisioned(&self) -> Result<(), Error> {
        for row in self.store.table::<Function>().scan(Key::new().prefix_range(), false) {
            let (key, function) = row.map_err(stored)?;
            let mut parts = key.parts();
            let (Some(account), Some(region)) = (parts.text(), parts.text()) else { continue };
            if !function.provisioned.is_empty() {
                let cx = self.own_context(&account, &region);
                self.provision(&Named { cx, name: function.name, qualifier: None })?;
            }
        }
        Ok(())
    }
}
