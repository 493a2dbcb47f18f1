//! Amazon Resource Names.

use std::fmt;

/// The parts of an ARN, borrowed. Source: AWS General Reference, "Amazon Resource Names (ARNs)".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: &'a str,
    /// The service namespace, such as `lambda`.
    pub service: &'a str,
    /// The region; empty for global services.
    pub region: &'a str,
    /// The 12-digit account; empty where the name is global, as for S3 buckets.
    pub account: &'a str,
    /// All that follows, colons included.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits `arn:partition:service:region:account:resource`; `None` where it is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let arn = Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        };
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:{}:{}:{}:{}",
            self.partition, self.service, self.region, self.account, self.resource
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        let text = "arn:aws:lambda:us-east-1:000000000000:function:thumb:1";
        let arn = Arn::parse(text).unwrap();
        assert_eq!(arn.resource, "function:thumb:1");
        assert_eq!(arn.to_string(), text);
        assert_eq!(Arn::parse("arn:aws:s3:::photos").unwrap().account, "");
        for bad in ["", "arn", "arn:aws:s3", "urn:aws:s3:::b", "arn::s3:::b"] {
            assert_eq!(Arn::parse(bad), None, "{bad}");
        }
    }
}
