//! What a body should have had where it could not be read. The codec says that something is wrong; DynamoDB also says
//! which of its Java types it wanted there. A body that was refused is read once more, with a reader that takes notes.
//! Source: the answers of DynamoDB.

use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_schema::{Schema, ShapeType};
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};
use cloudlet_service::{Operation, Structure};
use std::cell::RefCell;

/// What stood where the reading stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A scalar, by its name in Java.
    Scalar(&'static str),
    /// Bytes; with what is wrong with a text that should be base64.
    Bytes(Option<String>),
    /// A list, and whether it is the element of something.
    List(bool),
    /// A map, with the Java type of its values, and whether it is the element of something.
    Map(String, bool),
    /// A structure by its name, and whether it is the element of something.
    Structure(String, bool),
}

/// An operation's input, where what was wrong with it is a fraction that DynamoDB cuts off; or else what the body should
/// have had where it stops to make sense.
///
/// Errors: what was expected, if that is known.
pub(crate) fn read_again(
    operation: &Operation,
    de: &mut dyn ShapeDeserializer,
) -> Result<Box<dyn Structure>, Option<Expected>> {
    let noted = RefCell::new(None);
    let mut reader = Noting { inner: de, noted: &noted, element: true };
    (operation.read_input)(&mut reader).map_err(|_| noted.take())
}

struct Noting<'a> {
    inner: &'a mut dyn ShapeDeserializer,
    noted: &'a RefCell<Option<Expected>>,
    element: bool,
}

/// The innermost reader fails first; what is around it only hands the failure on.
fn note<T>(
    noted: &RefCell<Option<Expected>>,
    read: Result<T, SerdeError>,
    what: impl FnOnce() -> Expected,
) -> Result<T, SerdeError> {
    if read.is_err() {
        noted.borrow_mut().get_or_insert_with(what);
    }
    read
}

/// The Java type of a map's values. The schema of a map's value does not name its structure.
fn values(schema: &Schema<'_>) -> String {
    const PACKAGE: &str = "com.amazonaws.dynamodb.v20120810.";
    let Some(value) = schema.member() else { return format!("{PACKAGE}AttributeValue") };
    let shape = match (value.shape_type(), value.shape_id().shape_name()) {
        (ShapeType::String, _) => return "java.lang.String".to_owned(),
        (ShapeType::List, _) => return format!("java.util.List<{PACKAGE}WriteRequest>"),
        (_, "ExpectedAttributeMap") => "ExpectedAttributeValue",
        (_, "KeyConditions" | "FilterConditionMap") => "Condition",
        (_, "AttributeUpdates") => "AttributeValueUpdate",
        (_, "BatchGetRequestMap") => "KeysAndAttributes",
        _ => "AttributeValue",
    };
    format!("{PACKAGE}{shape}")
}

/// What DynamoDB finds wrong with a text that should be base64.
fn base64_fault(text: &str) -> String {
    if !text.len().is_multiple_of(4) {
        return format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len());
    }
    // The spelling is DynamoDB's.
    "Invalid last non-pad Base64 character dectected".to_owned()
}

macro_rules! scalars {
    ($($method:ident: $type:ty = $name:literal),* $(,)?) => {$(
        fn $method(&mut self, schema: &Schema<'_>) -> Result<$type, SerdeError> {
            let read = self.inner.$method(schema);
            note(self.noted, read, || Expected::Scalar($name))
        }
    )*};
}

impl ShapeDeserializer for Noting<'_> {
    fn read_struct(
        &mut self,
        schema: &Schema<'_>,
        state: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let (noted, element) = (self.noted, self.element);
        let read = self.inner.read_struct(schema, &mut |member, de| {
            state(member, &mut Noting { inner: de, noted, element: false })
        });
        note(noted, read, || Expected::Structure(schema.shape_id().shape_name().to_owned(), element))
    }

    fn read_list(
        &mut self,
        schema: &Schema<'_>,
        state: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let (noted, element) = (self.noted, self.element);
        let read =
            self.inner.read_list(schema, &mut |de| state(&mut Noting { inner: de, noted, element: true }));
        note(noted, read, || Expected::List(element))
    }

    fn read_map(
        &mut self,
        schema: &Schema<'_>,
        state: &mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let (noted, element) = (self.noted, self.element);
        let read = self
            .inner
            .read_map(schema, &mut |key, de| state(key, &mut Noting { inner: de, noted, element: true }));
        note(noted, read, || Expected::Map(values(schema), element))
    }

    fn read_blob(&mut self, schema: &Schema<'_>) -> Result<Blob, SerdeError> {
        let text = note(self.noted, self.inner.read_string(schema), || Expected::Bytes(None))?;
        let bytes =
            aws_smithy_types::base64::decode(&text).map_err(|_| SerdeError::invalid_input("invalid base64"));
        note(self.noted, bytes.map(Blob::new), || Expected::Bytes(Some(base64_fault(&text))))
    }

    fn read_integer(&mut self, schema: &Schema<'_>) -> Result<i32, SerdeError> {
        let read = note(self.noted, self.inner.read_double(schema), || Expected::Scalar("Integer"))?;
        // Casts of floats end at the limits.
        Ok(read.floor() as i32)
    }

    fn read_long(&mut self, schema: &Schema<'_>) -> Result<i64, SerdeError> {
        let read = note(self.noted, self.inner.read_double(schema), || Expected::Scalar("Long"))?;
        Ok(read.floor() as i64)
    }

    scalars! {
        read_boolean: bool = "Boolean",
        read_byte: i8 = "Byte",
        read_short: i16 = "Short",
        read_float: f32 = "Float",
        read_double: f64 = "Double",
        read_big_integer: BigInteger = "BigInteger",
        read_big_decimal: BigDecimal = "BigDecimal",
        read_string: String = "String",
        read_timestamp: DateTime = "Date",
        read_document: Document = "Object",
    }

    fn is_null(&self) -> bool {
        self.inner.is_null()
    }

    fn read_null(&mut self) -> Result<(), SerdeError> {
        self.inner.read_null()
    }

    fn skip_value(&mut self) -> Result<(), SerdeError> {
        self.inner.skip_value()
    }

    fn container_size(&self) -> Option<usize> {
        self.inner.container_size()
    }
}

const PARAMETERIZED: &str = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class \
     java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module \
     java.base of loader 'bootstrap')";

/// DynamoDB's sentence about what stands there instead; `rest` begins with it.
pub(crate) fn words(expected: Expected, rest: &[u8]) -> Option<String> {
    let first = *rest.iter().find(|b| !b.is_ascii_whitespace())?;
    let structure = "Start of structure or map found where not expected";
    let package = "com.amazonaws.dynamodb.v20120810.";
    Some(match (expected, first) {
        (Expected::Bytes(Some(fault)), _) => fault,
        (Expected::Scalar(_) | Expected::Bytes(_) | Expected::List(_), b'{') => structure.to_owned(),
        (Expected::Scalar(name), b'[') => format!("Unrecognized collection type class java.lang.{name}"),
        (Expected::Bytes(_), b'[') => "Unrecognized collection type class java.nio.ByteBuffer".to_owned(),
        (Expected::Map(of, _), b'[') => {
            format!("Unrecognized collection type java.util.Map<java.lang.String, {of}>")
        }
        (Expected::Structure(name, _), b'[') => format!("Unrecognized collection type class {package}{name}"),
        (Expected::Bytes(None), _) => "only base-64-encoded strings are convertible to bytes".to_owned(),
        (Expected::Scalar("Boolean"), b'"') => "Unexpected token received from parser".to_owned(),
        (Expected::Scalar(name), _) => format!("{} cannot be converted to {name}", token(first, rest)?),
        (Expected::Structure(_, true), _) => "Unexpected value type in payload".to_owned(),
        // A generic type inside another one is too much for DynamoDB's own parser.
        (Expected::List(true) | Expected::Map(_, true), _) => PARAMETERIZED.to_owned(),
        (Expected::List(_) | Expected::Map(..) | Expected::Structure(..), _) => {
            "Unexpected field type".to_owned()
        }
    })
}

/// The parser's name of a scalar.
pub(crate) fn token(first: u8, rest: &[u8]) -> Option<&'static str> {
    Some(match first {
        b'"' => "STRING_VALUE",
        b't' => "TRUE_VALUE",
        b'f' => "FALSE_VALUE",
        b'n' => "NULL_VALUE",
        b'-' | b'0'..=b'9' => {
            let mut number = rest
                .iter()
                .skip_while(|b| b.is_ascii_whitespace())
                .take_while(|b| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
            match number.any(|b| matches!(b, b'.' | b'e' | b'E')) {
                true => "DECIMAL_VALUE",
                false => "NUMBER_VALUE",
            }
        }
        _ => return None,
    })
}
