//! The list of what a service serves, `apis/<service>/operations.txt`: one operation a line, with the IAM action
//! and the resource it needs.
//!
//! ```text
//! # Operation      Action          Resource
//! GetObject        s3:GetObject    arn:{partition}:s3:::{Bucket}/{Key}
//! CopyObject       s3:GetObject    *
//!                  s3:PutObject    arn:{partition}:s3:::{Bucket}/{Key}
//! GetCallerIdentity
//! ```
//!
//! Braces name members of the input, `partition`, `region` or `account`. An operation without an action needs a
//! valid signature and no permission; the action `public` does without the signature too.

use crate::model::Model;

/// One line of the list.
pub(crate) struct Served {
    pub(crate) name: String,
    pub(crate) access: Vec<(String, String)>,
    pub(crate) public: bool,
}

pub(crate) fn parse(text: &str, model: &Model) -> Vec<Served> {
    let mut served: Vec<Served> = Vec::new();
    for line in text.lines() {
        let content = line.split(" #").next().unwrap_or_default().trim_end();
        if content.trim().is_empty() || content.starts_with('#') {
            continue;
        }
        let continues = content.starts_with(char::is_whitespace);
        let mut words = content.split_whitespace();
        if !continues {
            let name = words.next().expect("the line is not blank").to_owned();
            assert!(
                model.operations().contains_key(&name),
                "operations.txt names {name}, which AWS's model lacks"
            );
            assert!(served.iter().all(|s| s.name != name), "operations.txt names {name} twice");
            served.push(Served { name, access: Vec::new(), public: false });
        }
        let current = served.last_mut().expect("a continued line follows an operation");
        match (words.next(), words.next()) {
            (Some("public"), None) => current.public = true,
            (Some(action), resource) => {
                current.access.push((action.to_owned(), resource.unwrap_or("*").to_owned()));
            }
            (None, _) => {}
        }
    }
    served
}
