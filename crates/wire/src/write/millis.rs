//! S3's times in XML: always with three digits of a fraction, `2009-10-12T17:50:30.000Z`, where the codec leaves out a
//! fraction that is zero. Source: S3 API Reference, the sample responses of all listings.

use crate::text::format_of;
use aws_smithy_schema::Schema;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use aws_smithy_types::date_time::Format;
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document};

type Writes<'f> = &'f dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>;

/// A structure whose times, however deep, are written with milliseconds.
pub(super) struct Millis<'a>(pub(super) &'a dyn SerializableStruct);

impl SerializableStruct for Millis<'_> {
    fn schema(&self) -> &Schema<'_> {
        self.0.schema()
    }

    fn serialize_members(&self, serializer: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        self.0.serialize_members(&mut Writer { inner: serializer })
    }
}

/// Passes everything on, times as text.
struct Writer<'a> {
    inner: &'a mut dyn ShapeSerializer,
}

macro_rules! passed_on {
    ($($method:ident($ty:ty);)*) => {$(
        fn $method(&mut self, schema: &Schema<'_>, value: $ty) -> Result<(), SerdeError> {
            self.inner.$method(schema, value)
        }
    )*};
}

impl ShapeSerializer for Writer<'_> {
    passed_on! {
        write_boolean(bool);
        write_byte(i8);
        write_short(i16);
        write_integer(i32);
        write_long(i64);
        write_float(f32);
        write_double(f64);
        write_big_integer(&BigInteger);
        write_big_decimal(&BigDecimal);
        write_string(&str);
        write_blob(Blob);
        write_document(&Document);
    }

    fn write_struct(
        &mut self,
        schema: &Schema<'_>,
        value: &dyn SerializableStruct,
    ) -> Result<(), SerdeError> {
        self.inner.write_struct(schema, &Millis(value))
    }

    fn write_list(&mut self, schema: &Schema<'_>, write: Writes<'_>) -> Result<(), SerdeError> {
        self.inner.write_list(schema, &|inner| write(&mut Writer { inner }))
    }

    fn write_map(&mut self, schema: &Schema<'_>, write: Writes<'_>) -> Result<(), SerdeError> {
        self.inner.write_map(schema, &|inner| write(&mut Writer { inner }))
    }

    fn write_list_with_length(
        &mut self,
        schema: &Schema<'_>,
        n: usize,
        write: Writes<'_>,
    ) -> Result<(), SerdeError> {
        self.inner.write_list_with_length(schema, n, &|inner| write(&mut Writer { inner }))
    }

    fn write_map_with_length(
        &mut self,
        schema: &Schema<'_>,
        n: usize,
        write: Writes<'_>,
    ) -> Result<(), SerdeError> {
        self.inner.write_map_with_length(schema, n, &|inner| write(&mut Writer { inner }))
    }

    fn write_timestamp(&mut self, schema: &Schema<'_>, value: &DateTime) -> Result<(), SerdeError> {
        if format_of(schema, Format::DateTime) == Format::DateTime
            && let Some(text) = with_milliseconds(value)
        {
            return self.inner.write_string(schema, &text);
        }
        self.inner.write_timestamp(schema, value)
    }

    fn write_null(&mut self, schema: &Schema<'_>) -> Result<(), SerdeError> {
        self.inner.write_null(schema)
    }
}

/// `None` for a time beyond what the format holds.
fn with_milliseconds(value: &DateTime) -> Option<String> {
    let seconds = DateTime::from_secs(value.secs()).fmt(Format::DateTime).ok()?;
    let whole = seconds.strip_suffix('Z')?;
    Some(format!("{whole}.{:03}Z", value.subsec_nanos() / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (millis, shown) in [
            (1_255_369_830_000, "2009-10-12T17:50:30.000Z"),
            (1_255_369_830_500, "2009-10-12T17:50:30.500Z"),
            (1_255_369_830_007, "2009-10-12T17:50:30.007Z"),
            (-500, "1969-12-31T23:59:59.500Z"),
        ] {
            assert_eq!(with_milliseconds(&DateTime::from_millis(millis)).unwrap(), shown);
        }
        assert_eq!(with_milliseconds(&DateTime::from_secs(i64::MAX)), None);
    }
}
