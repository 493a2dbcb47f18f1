//! The methods that a partial reader or writer refuses.

/// The methods about a value that is there, by itself, and read or left.
macro_rules! nothing_to_skip {
    () => {
        fn is_null(&self) -> bool {
            false
        }

        fn skip_value(&mut self) -> Result<(), SerdeError> {
            Ok(())
        }

        fn container_size(&self) -> Option<usize> {
            None
        }
    };
}

/// The methods of a `ShapeDeserializer` for structures, answered by one function.
macro_rules! structures_are {
    ($no:ident) => {
        fn read_struct(
            &mut self,
            _: &Schema<'_>,
            _: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
        ) -> Result<(), SerdeError> {
            $no()
        }
    };
}

/// The same for lists and maps.
macro_rules! collections_are {
    ($no:ident) => {
        fn read_list(
            &mut self,
            _: &Schema<'_>,
            _: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
        ) -> Result<(), SerdeError> {
            $no()
        }

        fn read_map(
            &mut self,
            _: &Schema<'_>,
            _: &mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
        ) -> Result<(), SerdeError> {
            $no()
        }
    };
}

/// The scalar methods of a `ShapeDeserializer` but those of strings and blobs, all answered by one function.
macro_rules! numbers_are {
    ($no:ident) => {
        fn read_boolean(&mut self, _: &Schema<'_>) -> Result<bool, SerdeError> {
            $no()
        }

        fn read_byte(&mut self, _: &Schema<'_>) -> Result<i8, SerdeError> {
            $no()
        }

        fn read_short(&mut self, _: &Schema<'_>) -> Result<i16, SerdeError> {
            $no()
        }

        fn read_integer(&mut self, _: &Schema<'_>) -> Result<i32, SerdeError> {
            $no()
        }

        fn read_long(&mut self, _: &Schema<'_>) -> Result<i64, SerdeError> {
            $no()
        }

        fn read_float(&mut self, _: &Schema<'_>) -> Result<f32, SerdeError> {
            $no()
        }

        fn read_double(&mut self, _: &Schema<'_>) -> Result<f64, SerdeError> {
            $no()
        }

        fn read_big_integer(&mut self, _: &Schema<'_>) -> Result<BigInteger, SerdeError> {
            $no()
        }

        fn read_big_decimal(&mut self, _: &Schema<'_>) -> Result<BigDecimal, SerdeError> {
            $no()
        }

        fn read_timestamp(&mut self, _: &Schema<'_>) -> Result<DateTime, SerdeError> {
            $no()
        }

        fn read_document(&mut self, _: &Schema<'_>) -> Result<Document, SerdeError> {
            $no()
        }

        nothing_to_skip!();
    };
}

/// The same for strings and blobs.
macro_rules! texts_are {
    ($no:ident) => {
        fn read_string(&mut self, _: &Schema<'_>) -> Result<String, SerdeError> {
            $no()
        }

        fn read_blob(&mut self, _: &Schema<'_>) -> Result<Blob, SerdeError> {
            $no()
        }
    };
}
