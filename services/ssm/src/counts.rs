//! How many parameters an account has in a Region, by tier, and the most that it may have.
//!
//! Source: AWS General Reference, "AWS Systems Manager endpoints and quotas".

use crate::errors::Failure;
use crate::kinds::ADVANCED_TIER;
use crate::state::Parameter;
use cloudlet_api_ssm::ParameterLimitExceeded;
use cloudlet_store::{Key, Record, Tx};
use serde::{Deserialize, Serialize};

/// AWS: the most standard parameters of an account in a Region.
const MOST_STANDARD: u64 = 10_000;
/// And the most advanced ones.
const MOST_ADVANCED: u64 = 100_000;

/// The counts. Key: account, region.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
struct Counts {
    standard: u64,
    advanced: u64,
}

impl Record for Counts {
    const TABLE: &'static str = "ssm.counts";
}

impl Counts {
    fn of(&mut self, tier: &str) -> &mut u64 {
        if tier == ADVANCED_TIER { &mut self.advanced } else { &mut self.standard }
    }
}

fn place(parameter: &Parameter) -> Key {
    Key::new().text(&parameter.account).text(&parameter.region)
}

/// The counts as they are; counted where nobody has counted before.
fn counts(tx: &mut Tx<'_>, at: &Key) -> Result<Counts, Failure> {
    if let Some(counts) = tx.get::<Counts>(at)? {
        return Ok(counts);
    }
    let mut counts = Counts::default();
    for row in tx.scan::<Parameter>(at.prefix_range(), false) {
        *counts.of(&row?.1.latest.tier) += 1;
    }
    Ok(counts)
}

/// Counts a parameter that is new, or whose tier was `before`. To be called before it is written.
///
/// Errors: `ParameterLimitExceeded`.
pub(crate) fn add(tx: &mut Tx<'_>, parameter: &Parameter, before: Option<&str>) -> Result<(), Failure> {
    let tier = parameter.latest.tier.as_str();
    if before == Some(tier) {
        return Ok(());
    }
    let at = place(parameter);
    let mut counts = counts(tx, &at)?;
    if let Some(before) = before {
        let count = counts.of(before);
        *count = count.saturating_sub(1);
    }
    let most = if tier == ADVANCED_TIER { MOST_ADVANCED } else { MOST_STANDARD };
    if *counts.of(tier) >= most {
        return Err(Failure(ParameterLimitExceeded::error(
            "You have exceeded the number of parameters for this AWS account. Delete one or more parameters and try \
             again.",
        )));
    }
    *counts.of(tier) += 1;
    Ok(tx.put(&at, &counts)?)
}

/// Counts a parameter no more. To be called before it is deleted.
pub(crate) fn remove(tx: &mut Tx<'_>, parameter: &Parameter) -> Result<(), Failure> {
    let at = place(parameter);
    let mut counts = counts(tx, &at)?;
    let count = counts.of(&parameter.latest.tier);
    *count = count.saturating_sub(1);
    Ok(tx.put(&at, &counts)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::STANDARD_TIER;
    use crate::public;
    use cloudlet_store::Store;
    use std::collections::BTreeMap;

    fn parameter(name: &str, tier: &str) -> Parameter {
        let latest = public::version(name, "v".to_owned());
        Parameter {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            partition: "aws".to_owned(),
            name: name.to_owned(),
            tags: BTreeMap::new(),
            latest: crate::state::Version { tier: tier.to_owned(), ..latest },
            oldest: 1,
            labels: BTreeMap::new(),
            expires: None,
            shared: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_region_holds_so_many() {
        let store = Store::ephemeral().unwrap();
        let standard = parameter("a", STANDARD_TIER);
        let at = place(&standard);
        let full = Counts { standard: MOST_STANDARD, advanced: 7 };
        let done = store.transact(|tx| {
            tx.put(&at, &full)?;
            let refused = add(tx, &standard, None).err().map(|failure| failure.0.code().to_owned());
            assert_eq!(refused.as_deref(), Some("ParameterLimitExceeded"));
            // A change is no new one; an upgrade makes room.
            add(tx, &standard, Some(STANDARD_TIER))?;
            add(tx, &parameter("b", ADVANCED_TIER), Some(STANDARD_TIER))?;
            add(tx, &standard, None)?;
            remove(tx, &standard)?;
            let counts = tx.get::<Counts>(&at)?.unwrap_or_default();
            assert_eq!((counts.standard, counts.advanced), (MOST_STANDARD - 1, 8));
            Ok::<_, Failure>(())
        });
        assert!(done.await.is_ok());
    }
}
