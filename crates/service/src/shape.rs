//! The two faces of a generated shape: typed ([`Shape`]) and erased ([`Structure`]).

use crate::body::ByteStream;
use crate::error::Error;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeDeserializer, ShapeSerializer};
use aws_smithy_schema::{Schema, ShapeType, shape_id};
use std::any::Any;

/// A structure generated from an AWS model: it knows its schema and reads itself from any codec.
pub trait Shape: Structure + Default + Sized {
    /// The schema that drives every codec, the HTTP bindings and the constraint checks.
    fn shape_schema() -> &'static Schema<'static>;

    /// Reads the members that are present. A required member that is absent is remembered, so that
    /// [`crate::rules`] can report it together with every other violation, as AWS does.
    fn read(de: &mut dyn ShapeDeserializer) -> Result<Self, SerdeError>;
}

/// A structure whose type is known only by its schema: what travels between the front door and a service.
pub trait Structure: SerializableStruct + Any + Send + Sync {
    /// For the one downcast in the generated dispatcher.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;

    /// The same, borrowed: how a service reads an input it must authorize.
    fn as_any(&self) -> &dyn Any;

    /// Gives an input its streaming payload. Only shapes with a streaming blob keep it.
    fn set_stream(&mut self, _stream: ByteStream) {}

    /// Takes the streaming payload out of an output.
    fn take_stream(&mut self) -> Option<ByteStream> {
        None
    }

    /// Gives an input the frames of its event stream. Only shapes with one keep them.
    fn set_events(&mut self, _frames: crate::events::EventFrames) {}

    /// Takes the event stream out of an output.
    fn take_events(&mut self) -> Option<crate::events::ErasedEventStream> {
        None
    }
}

/// The input or output of an operation that has none in the model.
#[derive(Clone, Copy, Default)]
pub struct NoMembers;

#[doc(hidden)]
pub static S_NO_MEMBERS: Schema<'static> =
    Schema::new_struct(shape_id!("cloudlet", "NoMembers"), ShapeType::Structure, &[]);

impl SerializableStruct for NoMembers {
    fn schema(&self) -> &Schema<'_> {
        &S_NO_MEMBERS
    }

    fn serialize_members(&self, _: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        Ok(())
    }
}

impl Shape for NoMembers {
    fn shape_schema() -> &'static Schema<'static> {
        &S_NO_MEMBERS
    }

    fn read(de: &mut dyn ShapeDeserializer) -> Result<Self, SerdeError> {
        de.read_struct(&S_NO_MEMBERS, &mut |_, de| de.skip_value())?;
        Ok(Self)
    }
}

impl Structure for NoMembers {
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Gives an erased input its type back; used by generated code.
pub fn typed_input<T: Structure>(input: Box<dyn Structure>) -> Result<T, Error> {
    match input.into_any().downcast::<T>() {
        Ok(input) => Ok(*input),
        Err(_) => Err(Error::internal("an operation was given another operation's input")),
    }
}
