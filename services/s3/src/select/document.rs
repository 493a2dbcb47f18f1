//! A JSON document as a stream of records: of a list that the query walks through only one element is held at a time, and what
//! it does not ask for is not held at all.

use super::Refused;
use super::input::{LONGEST, too_long, unreadable};
use super::parse::Step;
use super::record::Record;
use super::words::refused;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{BufRead, Read};
use std::rc::Rc;

/// Takes the records one by one; `false`: it has enough.
pub(super) type Take<'t> = dyn FnMut(Record) -> Result<bool, Refused> + 't;

/// Gives every record that the path means. Errors: `JSONParsingError`, `OverMaxRecordSize`, `AmbiguousFieldName`, those of `take`.
pub(super) fn each(reader: impl BufRead, from: &[Step], take: &mut Take<'_>) -> Result<(), Refused> {
    let measure = Rc::new(Measure::default());
    let mut text =
        serde_json::Deserializer::from_reader(Measured { inner: reader, measure: measure.clone() });
    let sink = Sink { take: RefCell::new(take), end: RefCell::new(None), measure };
    loop {
        // At the end of all there is nothing but blanks.
        match text.end() {
            Ok(()) => return Ok(()),
            Err(why) if why.is_io() => return sink.ended(why),
            Err(_) => {}
        }
        if let Err(why) = (Walk { steps: from, sink: &sink }).deserialize(&mut text) {
            return sink.ended(why);
        }
    }
}

/// How much was read of what has to be held.
#[derive(Default)]
struct Measure {
    held: Cell<bool>,
    bytes: Cell<usize>,
}

struct Measured<R> {
    inner: R,
    measure: Rc<Measure>,
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(out)?;
        if self.measure.held.get() {
            let bytes = self.measure.bytes.get() + count;
            self.measure.bytes.set(bytes);
            if bytes > LONGEST {
                return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
            }
        }
        Ok(count)
    }
}

/// Why the walk ended before the document did.
enum End {
    Enough,
    Refused(Refused),
}

struct Sink<'s, 't> {
    take: RefCell<&'s mut Take<'t>>,
    end: RefCell<Option<End>>,
    measure: Rc<Measure>,
}

impl Sink<'_, '_> {
    /// From here on what is read is held, or is not.
    fn hold(&self, held: bool) {
        self.measure.held.set(held);
        self.measure.bytes.set(0);
    }

    fn push<E: serde::de::Error>(&self, record: Record) -> Result<(), E> {
        let end = match (self.take.borrow_mut())(record) {
            Ok(true) => return Ok(()),
            Ok(false) => End::Enough,
            Err(refused) => End::Refused(refused),
        };
        Err(self.stop(end))
    }

    fn stop<E: serde::de::Error>(&self, end: End) -> E {
        *self.end.borrow_mut() = Some(end);
        E::custom("the walk is over")
    }

    fn ended(&self, why: serde_json::Error) -> Result<(), Refused> {
        match self.end.borrow_mut().take() {
            Some(End::Enough) => return Ok(()),
            Some(End::Refused(refused)) => return Err(refused),
            None => {}
        }
        if !why.is_io() {
            return Err(refused("JSONParsingError"));
        }
        let why = std::io::Error::from(why);
        Err(match why.kind() {
            std::io::ErrorKind::FileTooLarge => too_long(),
            _ => unreadable(&why),
        })
    }
}

/// A value, and the way that is left in it.
#[derive(Clone, Copy)]
struct Walk<'w, 's, 't> {
    steps: &'w [Step],
    sink: &'w Sink<'s, 't>,
}

impl Walk<'_, '_, '_> {
    fn missing<E: serde::de::Error>(&self) -> Result<(), E> {
        self.sink.push(Record::Missing)
    }

    /// A value that is no list, in which `[*]` is the value itself.
    fn scalar<E: serde::de::Error>(&self, json: Json) -> Result<(), E> {
        match self.steps.iter().all(|step| *step == Step::All) {
            true => self.sink.push(Record::Json(json)),
            false => self.missing(),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        if !self.steps.is_empty() {
            return from.deserialize_any(self);
        }
        self.sink.hold(true);
        let json = Json::deserialize(from)?;
        self.sink.hold(false);
        self.sink.push(Record::Json(json))
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.steps.split_first() else {
            return Err(A::Error::custom("no way is left"));
        };
        let inner = Walk { steps: rest, sink: self.sink };
        match step {
            Step::All => {
                while list.next_element_seed(inner)?.is_some() {}
                Ok(())
            }
            Step::Index(wanted) => {
                for _ in 0..*wanted {
                    if list.next_element::<IgnoredAny>()?.is_none() {
                        return self.missing();
                    }
                }
                if list.next_element_seed(inner)?.is_none() {
                    return self.missing();
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(())
            }
            Step::Name(..) | Step::Star => {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                self.missing()
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.steps.split_first() else {
            self.sink.hold(true);
            let json = Json::deserialize(MapAccessDeserializer::new(map))?;
            self.sink.hold(false);
            return self.sink.push(Record::Json(json));
        };
        let inner = Walk { steps: rest, sink: self.sink };
        let (name, exact) = match step {
            // A document that is no list is the only element of one.
            Step::All => return inner.visit_map(map),
            Step::Name(name, exact) => (Some(name), *exact),
            Step::Index(_) | Step::Star => (None, true),
        };
        let mut found = false;
        loop {
            self.sink.hold(true);
            let key = map.next_key::<String>()?;
            self.sink.hold(false);
            let Some(key) = key else { break };
            let meant =
                name.is_some_and(|name| if exact { key == *name } else { key.eq_ignore_ascii_case(name) });
            if meant && found {
                return Err(self.sink.stop(End::Refused(refused("AmbiguousFieldName"))));
            }
            match meant {
                true => map.next_value_seed(inner)?,
                false => map.next_value::<IgnoredAny>().map(drop)?,
            }
            found |= meant;
        }
        if found { Ok(()) } else { self.missing() }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.scalar(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.scalar(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.scalar(value.into())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.scalar(value.into())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar(Json::Null)
    }
}
