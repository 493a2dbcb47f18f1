//! Whether the users and roles that policies name are there.

use crate::identities::Identities;
use crate::records::{Role, User, named};
use cloudlet_service::Arn;

impl Identities {
    /// Whether the user or role of an ARN is there; all that is neither counts as there.
    pub fn names_somebody(&self, principal: &str) -> bool {
        let Some(arn) = Arn::parse(principal).filter(|arn| arn.service == "iam") else { return true };
        let name = principal.rsplit('/').next().unwrap_or_default();
        let key = named(arn.account, name);
        let found = if arn.resource.starts_with("role/") {
            self.store().table::<Role>().get(&key).ok().flatten().map(|role| role.arn())
        } else if arn.resource.starts_with("user/") {
            self.store().table::<User>().get(&key).ok().flatten().map(|user| user.arn())
        } else {
            return true;
        };
        found.as_deref() == Some(principal)
    }
}
