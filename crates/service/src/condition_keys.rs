//! The condition keys that mean the same in every service: those about tags.
//! Source: IAM User Guide, "Controlling access to AWS resources using tags".

/// The condition keys of one access, with their values.
pub type ConditionKeys = Vec<(String, Vec<String>)>;

/// The tags that a request brings: `aws:RequestTag/…` and `aws:TagKeys`. Without tags there are none of them.
pub fn requested_tags<'t>(
    keys: &mut ConditionKeys,
    tags: impl IntoIterator<Item = (&'t String, &'t String)>,
) {
    let mut names = Vec::new();
    for (name, value) in tags {
        names.push(name.clone());
        keys.push((format!("aws:RequestTag/{name}"), vec![value.clone()]));
    }
    removed_tags(keys, &names);
}

/// The names of the tags that a request takes away: `aws:TagKeys`.
pub fn removed_tags(keys: &mut ConditionKeys, names: &[String]) {
    if !names.is_empty() {
        keys.push(("aws:TagKeys".to_owned(), names.to_vec()));
    }
}

/// The tags that the resource has: `aws:ResourceTag/…`, and by the older name of a service that has one, such as
/// `iam:ResourceTag`.
pub fn resource_tags<'t>(
    keys: &mut ConditionKeys,
    older: Option<&str>,
    tags: impl IntoIterator<Item = (&'t String, &'t String)>,
) {
    for (name, value) in tags {
        keys.push((format!("aws:ResourceTag/{name}"), vec![value.clone()]));
        keys.extend(older.map(|older| (format!("{older}/{name}"), vec![value.clone()])));
    }
}
