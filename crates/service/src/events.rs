//! Event streams: typed for services, erased for the front door, in both directions.

use crate::BoxFuture;
use crate::error::Error;
use crate::shape::Structure;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use futures_util::{Stream, StreamExt, stream};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

/// One event of an event stream: the member name of the union and its structure.
pub struct Event {
    /// The union member, which becomes the `:event-type` header.
    pub name: &'static str,
    /// The event itself.
    pub value: Box<dyn Structure>,
}

/// An event stream whose union type has been erased, ready for a codec.
pub type ErasedEventStream = Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>;

type Stored<T> = Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>;

/// One frame of an event stream that a client sends: it reads itself into the structure of its event.
pub trait Frame: Send {
    /// The union's member: `:event-type`.
    fn event(&self) -> &str;

    /// Hands out the members of the event's structure, from the frame's headers and its payload.
    /// Errors: `SerializationException`.
    fn read(&self, reader: &mut FrameReader<'_>) -> Result<(), Error>;
}

/// What takes an event's members in.
pub type FrameReader<'a> = dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError> + 'a;

/// The frames of a client's event stream, one after another, as they arrive.
pub type EventFrames = Pin<Box<dyn Stream<Item = Result<Box<dyn Frame>, Error>> + Send>>;

/// A union of events that clients send.
pub trait ReadEvents: Sized {
    /// Reads the event that the union has under this name; `None` where it has none.
    fn read_event(name: &str, de: &mut dyn ShapeDeserializer) -> Result<Option<Self>, SerdeError>;
}

/// A member that is a stream of the events of union `T`, in an output or in an input.
pub struct EventStream<T> {
    events: Mutex<Stored<T>>,
}

impl<T: Into<Event> + Send + 'static> EventStream<T> {
    /// Wraps a stream of events; an error ends it as a modeled exception.
    pub fn new(events: impl Stream<Item = Result<T, Error>> + Send + 'static) -> Self {
        Self { events: Mutex::new(Box::pin(events)) }
    }

    /// Forgets the union's type.
    pub fn erase(self) -> ErasedEventStream {
        Box::pin(
            self.events
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner)
                .map(|event| event.map(Into::into)),
        )
    }

    /// The next event: how an in-process caller reads an output, and a service its input.
    #[allow(clippy::should_implement_trait)] // It is a stream's next, not an iterator's.
    pub fn next(&mut self) -> BoxFuture<'_, Option<Result<T, Error>>> {
        Box::pin(self.events.get_mut().unwrap_or_else(PoisonError::into_inner).next())
    }
}

impl<T: ReadEvents + Send + 'static> EventStream<T> {
    /// The events in a client's frames. The first frame that cannot be read ends them with its error.
    pub fn from_frames(frames: EventFrames) -> Self {
        let events = frames.map(|frame| {
            let frame = frame?;
            let mut event = None;
            frame.read(&mut |de| {
                event = T::read_event(frame.event(), de)?;
                Ok(())
            })?;
            event.ok_or_else(|| {
                let name: String = frame.event().chars().take(128).collect();
                let message = format!("The operation takes no event of type {name:?}.");
                Error::sender("SerializationException", message)
            })
        });
        Self { events: Mutex::new(Box::pin(events)) }
    }
}

impl<T: Send + 'static> Default for EventStream<T> {
    fn default() -> Self {
        Self { events: Mutex::new(Box::pin(stream::empty())) }
    }
}
