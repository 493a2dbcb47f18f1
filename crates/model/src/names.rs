//! From AWS's names to Rust's.

/// `KMSKeyId` → `kms_key_id`, with Rust's keywords escaped.
pub(crate) fn field(name: &str) -> String {
    let snake = snake(name);
    match snake.as_str() {
        "type" | "match" | "ref" | "use" | "where" | "in" | "if" | "else" | "for" | "loop" | "move"
        | "static" | "const" | "enum" | "fn" | "impl" | "mod" | "mut" | "pub" | "return" | "struct"
        | "trait" | "true" | "false" | "while" | "as" | "break" | "continue" | "async" | "await" | "dyn"
        | "abstract" | "become" | "box" | "do" | "final" | "macro" | "override" | "priv" | "typeof"
        | "unsized" | "virtual" | "yield" | "try" | "let" | "gen" => format!("r#{snake}"),
        "self" | "super" | "crate" | "absent" => format!("{snake}_"),
        _ => snake,
    }
}

/// `KMSKeyId` → `kms_key_id`.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            let before = chars[i - 1];
            let after_is_lower = chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
            if before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase() && after_is_lower)
            {
                out.push('_');
            }
        }
        out.push(c.to_ascii_lowercase());
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

/// A type's name: the shape's with its first letter raised. Names of the Rust prelude get an underscore less
/// ambiguity: `Error` → `ErrorShape`.
pub(crate) fn ty(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().expect("a shape has a name").to_ascii_uppercase();
    let name: String =
        std::iter::once(first).chain(chars).filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    match name.as_str() {
        "Error" | "Option" | "Result" | "String" | "Vec" | "Box" | "Some" | "None" | "Ok" | "Err"
        | "Default" | "Blob" | "Document" | "DateTime" | "Context" | "Service" | "Structure" | "Shape"
        | "Event" | "Access" | "Self" | "Send" | "Sync" | "Copy" | "Clone" | "Into" | "From" | "Schema" => {
            format!("{name}Shape")
        }
        _ => name,
    }
}

/// A constant's name from an enumeration's value: `s3:ObjectCreated:*` → `S3_OBJECT_CREATED_ANY`.
pub(crate) fn constant(value: &str) -> String {
    let spelled = value.replace('*', "_any");
    let mut out = snake(&spelled).to_ascii_uppercase();
    while out.contains("__") {
        out = out.replace("__", "_");
    }
    let out = out.trim_matches('_').to_owned();
    match out.chars().next() {
        None => "EMPTY".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("_{out}"),
        Some(_) => out,
    }
}

/// A Rust string literal.
pub(crate) fn lit(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_a_rust_programmer_expects() {
        for (aws, rust) in [
            ("Bucket", "bucket"),
            ("KMSKeyId", "kms_key_id"),
            ("ETag", "e_tag"),
            ("ContentMD5", "content_md5"),
            ("Type", "r#type"),
            ("FunctionName", "function_name"),
            ("logGroupName", "log_group_name"),
            ("x-amz-thing", "x_amz_thing"),
        ] {
            assert_eq!(field(aws), rust);
        }
        assert_eq!(constant("s3:ObjectCreated:*"), "S3_OBJECT_CREATED_ANY");
        assert_eq!(constant("python3.12"), "PYTHON3_12");
        assert_eq!(ty("policyType"), "PolicyType");
        assert_eq!(ty("Error"), "ErrorShape");
    }
}
