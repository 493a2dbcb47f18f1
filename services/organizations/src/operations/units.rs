//! Organizational units.

use super::organization::{LETTERS, fresh_attachments};
use crate::state::{Member, Target, page};
use crate::{Organizations, errors, shown};
use cloudlet_api_organizations::*;
use cloudlet_identity::organization::{Attachments, Organization as Own, Unit, of};
use cloudlet_service::Context;

/// How deep units may be nested.
const DEPTH: usize = 5;
/// Units per organization.
const QUOTA: usize = 2_000;

impl Organizations {
    /// Makes a unit in the root or in another unit.
    ///
    /// Errors: `ParentNotFoundException`, `DuplicateOrganizationalUnitException`, `ConstraintViolationException`.
    pub async fn create_organizational_unit(
        &self,
        cx: &Context,
        input: CreateOrganizationalUnitInput,
    ) -> Result<CreateOrganizationalUnitOutput, Error> {
        let own = self.managed(cx)?;
        let siblings = self.units_in(&own, &input.parent_id)?;
        if siblings.iter().any(|unit| unit.name == input.name) {
            return Err(duplicate());
        }
        if self.depth(&own, &input.parent_id)? >= DEPTH {
            return Err(errors::violates(
                "OU_DEPTH_LIMIT_EXCEEDED",
                "You have exceeded the allowed depth of organizational units.",
            ));
        }
        if self.all::<Unit>(&own)?.len() >= QUOTA {
            return Err(errors::violates(
                "OU_NUMBER_LIMIT_EXCEEDED",
                "You have exceeded the allowed number of organizational units.",
            ));
        }
        let unit = Unit {
            id: format!("ou-{}-{}", own.root.trim_start_matches("r-"), cx.random().text(8, LETTERS)),
            name: input.name,
            parent: input.parent_id,
            tags: super::tags::given(input.tags)?,
        };
        self.change(|tx| {
            tx.put(&of(&own.id, &unit.id), &unit)?;
            Ok(tx.put(&of(&own.id, &unit.id), &fresh_attachments())?)
        })
        .await?;
        Ok(CreateOrganizationalUnitOutput { organizational_unit: Some(self.unit_with_path(&own, &unit)?) })
    }

    /// Describes a unit.
    ///
    /// Errors: `OrganizationalUnitNotFoundException`.
    pub async fn describe_organizational_unit(
        &self,
        cx: &Context,
        input: DescribeOrganizationalUnitInput,
    ) -> Result<DescribeOrganizationalUnitOutput, Error> {
        let own = self.seen(cx)?;
        let unit =
            self.get::<Unit>(&of(&own.id, &input.organizational_unit_id))?.ok_or_else(errors::no_unit)?;
        Ok(DescribeOrganizationalUnitOutput { organizational_unit: Some(self.unit_with_path(&own, &unit)?) })
    }

    /// Gives a unit another name.
    ///
    /// Errors: `OrganizationalUnitNotFoundException`, `DuplicateOrganizationalUnitException`.
    pub async fn update_organizational_unit(
        &self,
        cx: &Context,
        input: UpdateOrganizationalUnitInput,
    ) -> Result<UpdateOrganizationalUnitOutput, Error> {
        let own = self.managed(cx)?;
        let key = of(&own.id, &input.organizational_unit_id);
        let mut unit = self.get::<Unit>(&key)?.ok_or_else(errors::no_unit)?;
        if let Some(name) = input.name {
            let siblings = self.units_in(&own, &unit.parent)?;
            if siblings.iter().any(|other| other.id != unit.id && other.name == name) {
                return Err(duplicate());
            }
            unit.name = name;
            self.change(|tx| Ok(tx.put(&key, &unit)?)).await?;
        }
        Ok(UpdateOrganizationalUnitOutput { organizational_unit: Some(self.unit_with_path(&own, &unit)?) })
    }

    /// Deletes a unit that is empty.
    ///
    /// Errors: `OrganizationalUnitNotFoundException`, `OrganizationalUnitNotEmptyException`.
    pub async fn delete_organizational_unit(
        &self,
        cx: &Context,
        input: DeleteOrganizationalUnitInput,
    ) -> Result<DeleteOrganizationalUnitOutput, Error> {
        let own = self.managed(cx)?;
        let id = input.organizational_unit_id;
        let key = of(&own.id, &id);
        self.get::<Unit>(&key)?.ok_or_else(errors::no_unit)?;
        let mut full = !self.units_in(&own, &id)?.is_empty();
        for member in self.all::<Member>(&own)? {
            full |= self.parent_of(&member.id)? == id;
        }
        if full {
            return Err(OrganizationalUnitNotEmptyException::error(
                "The specified organizational unit is not empty. Move all accounts to another root or to other \
                 organizational units, remove all child organizational units, and then try the operation again.",
            ));
        }
        self.change(|tx| {
            tx.delete::<Attachments>(&key)?;
            Ok(tx.delete::<Unit>(&key)?)
        })
        .await?;
        Ok(NoMembers)
    }

    /// Lists the units directly in the root or a unit.
    ///
    /// Errors: `ParentNotFoundException`.
    pub async fn list_organizational_units_for_parent(
        &self,
        cx: &Context,
        input: ListOrganizationalUnitsForParentInput,
    ) -> Result<ListOrganizationalUnitsForParentOutput, Error> {
        let own = self.seen(cx)?;
        let units = self.units_in(&own, &input.parent_id)?;
        let page = page(units, input.next_token.as_deref(), input.max_results, |unit| unit.id.clone())?;
        let shown: Result<_, Error> = page.items.iter().map(|unit| self.unit_with_path(&own, unit)).collect();
        Ok(ListOrganizationalUnitsForParentOutput {
            organizational_units: Some(shown?),
            next_token: page.next,
        })
    }

    pub(super) fn units_in(&self, own: &Own, parent: &str) -> Result<Vec<Unit>, Error> {
        if !self.is_parent(own, parent)? {
            return Err(errors::no_parent());
        }
        Ok(self.all::<Unit>(own)?.into_iter().filter(|unit| unit.parent == parent).collect())
    }

    /// How many units there are from here to the root.
    fn depth(&self, own: &Own, id: &str) -> Result<usize, Error> {
        Ok(self.way(own, id)?.len())
    }

    /// The units from the one below the root to this one.
    pub(super) fn way(&self, own: &Own, id: &str) -> Result<Vec<String>, Error> {
        let (mut way, mut at) = (Vec::new(), id.to_owned());
        while let Some(Target::Unit(unit)) = self.target(own, &at)? {
            if way.len() > DEPTH {
                break;
            }
            way.push(unit.id);
            at = unit.parent;
        }
        way.reverse();
        Ok(way)
    }

    fn unit_with_path(&self, own: &Own, unit: &Unit) -> Result<OrganizationalUnit, Error> {
        let way: String = self.way(own, &unit.id)?.iter().map(|id| format!("{id}/")).collect();
        let path = Some(format!("{}/{}/{way}", own.id, own.root));
        Ok(OrganizationalUnit { path, ..shown::unit(own, unit) })
    }
}

fn duplicate() -> Error {
    DuplicateOrganizationalUnitException::error("An OU with the same name already exists.")
}
