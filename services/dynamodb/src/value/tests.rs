use super::*;
use proptest::prelude::*;
use std::str::FromStr;

fn n(text: &str) -> Number {
    Number::from_str(text).unwrap()
}

fn refused(value: AttributeValue) -> String {
    Value::from_api(&value).unwrap_err().message().to_owned()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue { s: Some(text.into()), ..Default::default() }
}

#[test]
fn numbers_have_one_form() {
    for (from, to) in [
        ("0", "0"),
        ("-0", "0"),
        ("0e999999999999999999999", "0"),
        ("0.000", "0"),
        ("+1", "1"),
        ("001.500", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-1.230e3", "-1230"),
        ("1e-3", "0.001"),
        ("12E+2", "1200"),
        ("100", "100"),
        ("-0.10", "-0.1"),
        ("0000012345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("1.0000000000000000000000000000000000000000000000000", "1"),
        ("1000000000000000000000000000000000000000000000e-45", "1"),
        ("123.456e1", "1234.56"),
    ] {
        assert_eq!(n(from).to_string(), to, "{from}");
    }
    assert_eq!(n("1e125").to_string(), format!("1{}", "0".repeat(125)));
    assert_eq!(n("1e-130").to_string(), format!("0.{}1", "0".repeat(129)));
}

#[test]
fn numbers_that_are_refused() {
    let of = |text: &str| Number::from_str(text).unwrap_err().to_string();
    for text in [
        "b", "1 ", " 1", "1e", "1e+", "--1", "1.2.3", "0x1", "NaN", "Infinity", "1_000", ".", "-", "e5",
        "1e1.5", "１",
    ] {
        assert_eq!(of(text), format!("The parameter cannot be converted to a numeric value: {text}"));
    }
    assert_eq!(of(""), "The parameter cannot be converted to a numeric value");
    for text in ["1e126", "-1e126", "10e125", "1e99999999999999999999999"] {
        assert_eq!(
            of(text),
            "Number overflow. Attempting to store a number with magnitude larger than supported range"
        );
    }
    for text in ["1e-131", "-9.99e-131", "1e-99999999999999999999999"] {
        assert_eq!(
            of(text),
            "Number underflow. Attempting to store a number with magnitude smaller than supported range"
        );
    }
    for text in [
        "123456789012345678901234567890123456789",
        "1.00000000000000000000000000000000000001",
        &"9".repeat(100),
    ] {
        assert_eq!(of(text), "Attempting to store more than 38 significant digits in a Number");
    }
    assert_eq!(n(&"9".repeat(38)).digits(), 38);
    assert!(Number::from_str(&format!("{}e87", "9".repeat(39))).is_err());

    assert!(Number::from_str(&format!("{}e88", "9".repeat(38))).is_ok());
    assert!(Number::from_str(&format!("{}e89", "9".repeat(38))).is_err());
}

#[test]
fn sums_are_exact_or_refused() {
    for (a, b, sum) in [
        ("1", "2", "3"),
        ("1.5", "-1.5", "0"),
        ("0.1", "0.2", "0.3"),
        ("1e37", "1", "10000000000000000000000000000000000001"),
        ("1e38", "-1", "99999999999999999999999999999999999999"),
        ("-1", "1e38", "99999999999999999999999999999999999999"),
        ("99999999999999999999999999999999999999", "1", "100000000000000000000000000000000000000"),
        ("1e125", "1e125", &format!("2{}", "0".repeat(125))),
        ("5", "0", "5"),
        ("0", "-5", "-5"),
        ("2", "-7.25", "-5.25"),
    ] {
        assert_eq!(n(a).add(&n(b)).unwrap().to_string(), sum, "{a} + {b}");
    }
    for (a, b, error) in [
        ("1e38", "1", NumberError::Precision),
        ("1e125", "1", NumberError::Precision),
        ("3e38", "-1", NumberError::Precision),
        ("9e125", "9e125", NumberError::Overflow),
        ("1e-130", "1", NumberError::Precision),
        ("1.1e-130", "-1e-130", NumberError::Underflow),
        ("99999999999999999999999999999999999999", "0.1", NumberError::Precision),
    ] {
        assert_eq!(n(a).add(&n(b)), Err(error), "{a} + {b}");
    }
    assert_eq!(n("1").subtract(&n("3")).unwrap(), n("-2"));
}

#[test]
fn values_from_the_wire() {
    assert_eq!(refused(AttributeValue::default()), EMPTY);
    assert_eq!(refused(AttributeValue { n: Some("1".into()), ..text("a") }), SEVERAL);
    // What a type says is checked before their number.
    assert_eq!(
        refused(AttributeValue { n: Some("b".into()), ..text("a") }),
        "The parameter cannot be converted to a numeric value: b"
    );
    assert_eq!(
        refused(AttributeValue { l: Some(vec![AttributeValue::default()]), ..Default::default() }),
        EMPTY
    );
    let invalid = "One or more parameter values were invalid: ";
    for (value, message) in [
        (
            AttributeValue { null: Some(false), ..Default::default() },
            "Null attribute value types must have the value of true",
        ),
        (AttributeValue { ss: Some(vec![]), ..Default::default() }, "An string set  may not be empty"),
        (AttributeValue { ns: Some(vec![]), ..Default::default() }, "An number set  may not be empty"),
        (AttributeValue { bs: Some(vec![]), ..Default::default() }, "Binary sets should not be empty"),
        (
            AttributeValue { ss: Some(vec!["a".into(), "a".into()]), ..Default::default() },
            "Input collection [a, a] contains duplicates.",
        ),
        (
            AttributeValue { bs: Some(vec![Blob::new("b"), Blob::new("b")]), ..Default::default() },
            "Input collection [Yg==, Yg==]of type BS contains duplicates.",
        ),
    ] {
        assert_eq!(refused(value), format!("{invalid}{message}"));
    }
    let twice = AttributeValue { ns: Some(vec!["1".into(), "1.0".into()]), ..Default::default() };
    assert_eq!(refused(twice), "Input collection contains duplicates");
    // Empty text and bytes are values, inside sets too.
    assert_eq!(Value::from_api(&text("")).unwrap(), Value::S(String::new()));
    let set = AttributeValue { ss: Some(vec!["".into()]), ..Default::default() };
    assert!(Value::from_api(&set).is_ok());
}

#[test]
fn documents_nest_to_a_limit() {
    let nested = |levels: usize| {
        (0..levels).fold(text("leaf"), |inner, i| {
            if i % 2 == 0 {
                AttributeValue { l: Some(vec![inner]), ..Default::default() }
            } else {
                AttributeValue { m: Some([("n".to_owned(), inner)].into()), ..Default::default() }
            }
        })
    };
    assert_eq!(Value::from_api(&nested(31)).unwrap().depth(), 32);
    assert_eq!(refused(nested(32)), TOO_DEEP);
    assert_eq!(refused(nested(200)), TOO_DEEP);
}

#[test]
fn sizes_by_the_formula() {
    for (text, size) in [
        ("0", 1),
        ("1", 2),
        ("12", 2),
        ("123", 3),
        ("1234", 3),
        ("100", 2),
        ("10", 2),
        ("-1", 3),
        ("0.1", 2),
        ("0.01", 2),
        ("1.1", 3),
        ("12.34", 3),
        ("123.456", 5),
        ("12345678901234567890123456789012345678", 20),
        ("-1234567890123456789012345678901234567.8", 21),
    ] {
        assert_eq!(size::number(&n(text)), size, "{text}");
    }
    let item: Item = [
        ("id".to_owned(), Value::S("abc".into())),
        ("flag".to_owned(), Value::Bool(true)),
        ("l".to_owned(), Value::L(vec![Value::S("xy".into()), Value::Null])),
        ("m".to_owned(), Value::M([("k".to_owned(), Value::N(n("7")))].into())),
    ]
    .into();
    assert_eq!(size::item(&item), 5 + 5 + (1 + 3 + 3 + 2) + (1 + 3 + 1 + 1 + 2));
    assert_eq!(size::read_units(4097, size::Read::Eventual), 1.0);
    assert_eq!(size::read_units(0, size::Read::Eventual), 0.5);
    assert_eq!(size::write_units(1025, true), 4.0);
}

#[test]
fn messages_quote_values() {
    assert_eq!(Value::S("a".into()).to_string(), "{S:a}");
    assert_eq!(Value::N(n("1.0")).to_string(), "{N:1}");
}

fn any_number() -> impl Strategy<Value = Number> {
    (any::<bool>(), 0u128..LIMIT, -167i32..90).prop_filter_map(
        "out of range",
        |(negative, coefficient, exponent)| {
            let digits = coefficient.checked_ilog10().map_or(0, |l| l as i32);
            Number::new(negative, coefficient >> (exponent.unsigned_abs() % 120), exponent.min(125 - digits))
                .ok()
        },
    )
}

const LIMIT: u128 = 10u128.pow(38);

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        ".{0,8}".prop_map(Value::S),
        any_number().prop_map(Value::N),
        proptest::collection::vec(any::<u8>(), 0..8).prop_map(|b| Value::B(b.into())),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        proptest::collection::btree_set(".{0,3}", 1..4).prop_map(Value::SS),
        proptest::collection::btree_set(any_number(), 1..4).prop_map(Value::NS),
        proptest::collection::btree_set(
            proptest::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from),
            1..4
        )
        .prop_map(Value::BS),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::L),
            proptest::collection::btree_map(".{0,4}", inner, 0..4).prop_map(Value::M),
        ]
    })
}

proptest! {
    #[test]
    fn number_text_round_trips(a in any_number()) {
        prop_assert_eq!(n(&a.to_string()), a);
    }

    #[test]
    fn number_order_is_byte_order(a in any_number(), b in any_number()) {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        a.order_bytes(&mut x);
        b.order_bytes(&mut y);
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        let end = x.len();
        x.extend_from_slice(b"rest");
        let (back, rest) = Number::from_order_bytes(&x).unwrap();
        prop_assert_eq!(back, a);
        prop_assert_eq!(rest, &x[end..]);
    }

    #[test]
    fn sums_undo_differences(a in -10i64.pow(15)..10i64.pow(15), b in -10i64.pow(15)..10i64.pow(15), e in -20i32..20, f in -20i32..20) {
        let at = |v: i64, e: i32| Number::new(v < 0, v.unsigned_abs().into(), e).unwrap();
        let (a, b) = (at(a, e), at(b, f));
        if let Ok(sum) = a.add(&b) {
            prop_assert_eq!(sum.subtract(&b).unwrap(), a);
            prop_assert_eq!(b.add(&a).unwrap(), sum);
        }
    }

    #[test]
    fn bytes_order_is_byte_order(a in proptest::collection::vec(0u8..4, 0..8), b in proptest::collection::vec(0u8..4, 0..8), tail in any::<u8>()) {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        order::encode(&Value::B(a.clone().into()), &mut x);
        order::encode(&Value::B(b.clone().into()), &mut y);
        x.push(tail);
        y.push(!tail);
        if a != b {
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }
        let (back, rest) = order::decode(Kind::B, &x).unwrap();
        prop_assert_eq!(back, Value::B(a.into()));
        prop_assert_eq!(rest, &[tail]);
    }

    #[test]
    fn values_round_trip(value in any_value()) {
        let stored = rmp_serde::to_vec_named(&value).unwrap();
        prop_assert_eq!(&rmp_serde::from_slice::<Value>(&stored).unwrap(), &value);
        prop_assert_eq!(&Value::from_api(&value.clone().into_api()).unwrap(), &value);
    }

    #[test]
    fn no_text_panics(text in "[-+0-9.eE]{0,60}") {
        let _ = Number::from_str(&text);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Number::from_order_bytes(&bytes);
        let _ = order::decode_typed(&bytes);
        let _ = rmp_serde::from_slice::<Value>(&bytes);
    }
}
