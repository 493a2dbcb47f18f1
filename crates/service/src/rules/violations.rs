//! What is wrong with an input, and AWS's sentence about it.

use std::fmt::Write;

/// One broken constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The member's path as AWS writes it: `keySchema.1.member.attributeName`.
    pub path: String,
    /// The member's own name as in the model.
    pub member: String,
    /// The value as AWS quotes it, `None` where it is absent or must not be shown.
    pub value: Option<String>,
    /// Which constraint.
    pub constraint: String,
    /// Whether the member is required and absent.
    pub absent: bool,
    /// The whole list that the value is an item of, where it is one of texts: some services quote that, under its own path.
    pub list: Option<String>,
    /// All that is demanded of the value, where it is text: some services quote that for items of lists and keys of maps.
    pub all: Option<String>,
}

impl Violation {
    /// The list that the value is an item of, for those who quote it as a whole; from now on the path is the list's.
    pub fn take_list(&mut self) -> Option<String> {
        let list = self.list.take()?;
        if let Some(at) = self.path.trim_end_matches(".member").rfind('.') {
            self.path.truncate(at);
        }
        Some(list)
    }
}

/// Everything that is wrong with an input; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// AWS's sentence over all of them.
    pub fn message(&self) -> String {
        let n = self.0.len();
        let mut out = format!("{n} validation error{} detected: ", if n == 1 { "" } else { "s" });
        for (i, v) in self.0.iter().enumerate() {
            if i > 0 {
                out.push_str("; ");
            }
            let _ = match &v.value {
                Some(value) => {
                    write!(
                        out,
                        "Value '{value}' at '{}' failed to satisfy constraint: {}",
                        v.path, v.constraint
                    )
                }
                None if v.absent => {
                    write!(out, "Value null at '{}' failed to satisfy constraint: {}", v.path, v.constraint)
                }
                None => write!(out, "Value at '{}' failed to satisfy constraint: {}", v.path, v.constraint),
            };
        }
        out
    }

    /// The same with lists of texts quoted as a whole, once, with all that is demanded of their items: the words of IAM's
    /// kin (KMS, Secrets Manager, Systems Manager).
    #[must_use]
    pub fn with_whole_lists(mut self) -> Self {
        for violation in &mut self.0 {
            let Some(list) = violation.take_list() else { continue };
            violation.value = violation.value.take().map(|_| list);
            let all = violation.all.as_deref().unwrap_or(&violation.constraint);
            violation.constraint = format!("Member must satisfy constraint: [{all}]");
        }
        self.0.dedup_by(|a, b| (&a.path, &a.constraint) == (&b.path, &b.constraint));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lists_are_quoted_once() {
        let item = |at: usize| Violation {
            path: format!("filters.1.member.values.{at}.member"),
            member: "values".to_owned(),
            value: Some("x".to_owned()),
            constraint: "Member must have length less than or equal to 1".to_owned(),
            absent: false,
            list: Some("[xx, yy]".to_owned()),
            all: Some("Member must have length less than or equal to 1, Member must be short".to_owned()),
        };
        assert_eq!(
            Violations(vec![item(1), item(2)]).with_whole_lists().message(),
            "1 validation error detected: Value '[xx, yy]' at 'filters.1.member.values' failed to satisfy constraint: \
             Member must satisfy constraint: [Member must have length less than or equal to 1, Member must be short]"
        );
    }
}
