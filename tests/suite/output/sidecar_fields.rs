//! A sidecar of several objects, each of whose fields is damaged in each way: a run that continues by it has the right
//! bytes, or says why not.

use std::fs;
use std::path::Path;

use s3server::{Object, Server};
use serde_json::{Value, json};

use crate::support::files::{folder, names};
use crate::support::object::object;
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY};
use crate::support::table;

/// Two objects of different sizes, of which the store has no checksum.
const SIZES: [usize; 2] = [90_000, 130_000];

/// The file size, in blocks of 512 bytes, at which the first run fails: in the second object.
const BLOCKS: usize = 300;

fn bytes(index: usize) -> Vec<u8> {
    object(1 << 20)[index * 300_000..][..SIZES[index]].to_vec()
}

fn run(server: &Server, folder: &Path, first: &str, args: &str) -> S3fcp {
    S3fcp::shell(&format!(
        "cd '{}' && {first} exec s3fcp --endpoint {} -c 2 --chunk-size 20000 -o out {args} s3://bkt/a s3://bkt/c",
        folder.display(),
        server.endpoint()
    ))
}

/// What is put in the place of a field.
fn wrong_values(right: &Value, other: &Value) -> Vec<Value> {
    let mut wrong = vec![
        Value::Null,
        json!("text"),
        json!(""),
        json!(-1),
        json!(0),
        json!(1),
        json!(1.5),
        json!(u64::MAX),
        json!(u64::MAX - 1),
        json!(1e300),
        json!(true),
        json!([]),
        json!({}),
        other.clone(),
    ];
    if let Some(number) = right.as_u64() {
        wrong.extend([json!(number + 1), json!(number.saturating_sub(1)), json!(number.to_string())]);
    }
    wrong
}

fn put(state: &mut Value, field: &str, value: Option<Value>) {
    let object = state.as_object_mut().expect("an object");
    match value {
        Some(value) => drop(object.insert(field.to_owned(), value)),
        None => drop(object.remove(field)),
    }
}

/// Returns the sidecar's text with its first field in front, by which it is known.
fn text(state: &Value) -> String {
    let mut rest = state.clone();
    let format = rest.as_object_mut().and_then(|state| state.remove("format"));
    let rest = rest.to_string();
    match format {
        Some(format) => format!("{{\"format\":{format},{}", &rest[1..]),
        None => rest,
    }
}

/// Returns damaged sidecars, and what was done to each.
fn damaged(right: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |what: String, state: &Value| all.push((what, text(state)));
    let objects = right["objects"].as_array().expect("objects").clone();
    for field in right.as_object().expect("an object").keys() {
        let mut missing = right.clone();
        put(&mut missing, field, None);
        add(format!("no {field}"), &missing);
        for value in wrong_values(&right[field], &right["objects"]) {
            let what = format!("{field} {value}");
            let mut wrong = right.clone();
            put(&mut wrong, field, Some(value));
            add(what, &wrong);
        }
    }
    for (index, object) in objects.iter().enumerate() {
        let other = &objects[1 - index];
        for field in object.as_object().expect("an object").keys() {
            let mut missing = right.clone();
            put(&mut missing["objects"][index], field, None);
            add(format!("object {index} without {field}"), &missing);
            for value in wrong_values(&object[field], &other[field]) {
                let what = format!("object {index} {field} {value}");
                let mut wrong = right.clone();
                put(&mut wrong["objects"][index], field, Some(value));
                add(what, &wrong);
            }
            let mut swapped = right.clone();
            for (to, from) in [(index, other), (1 - index, object)] {
                put(&mut swapped["objects"][to], field, Some(from[field].clone()));
            }
            add(format!("{field} swapped"), &swapped);
        }
        // Numbers that agree with one another.
        for change in [-1000, -1, 1, 1000] {
            let mut wrong = right.clone();
            for field in ["size", "end"] {
                let number = object[field].as_i64().expect("a number");
                put(&mut wrong["objects"][index], field, Some((number + change).into()));
            }
            add(format!("object {index} by {change}"), &wrong);
        }
    }
    for (what, changed) in [
        ("swapped", vec![&objects[1], &objects[0]]),
        ("none", vec![]),
        ("the first", vec![&objects[0]]),
        ("the second", vec![&objects[1]]),
        ("the first twice", vec![&objects[0], &objects[0]]),
        ("the second twice", vec![&objects[1], &objects[1]]),
        ("a third", vec![&objects[0], &objects[1], &objects[1]]),
    ] {
        let mut wrong = right.clone();
        wrong["objects"] = changed.into_iter().cloned().collect();
        add(format!("objects {what}"), &wrong);
    }
    let line = text(right);
    for field in ["\"size\":", "\"end\":", "\"etag\":", "\"start\":", "\"at\":"] {
        all.push((format!("{field} twice"), line.replacen(field, &format!("{field}7,{field}"), 1)));
    }
    for end in [0, 1, 10, line.len() / 2, line.len() - 1] {
        all.push((format!("the first {end} bytes"), line[..end].to_owned()));
    }
    all
}

#[test]
fn a_sidecar_with_a_damaged_field_never_makes_a_wrong_file() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    for (index, key) in ["a", "c"].iter().enumerate() {
        server.put("bkt", key, Object::new(bytes(index)));
    }
    let first = folder();
    let limit = format!("trap '' XFSZ; ulimit -f {BLOCKS};");
    run(&server, first.path(), &limit, "").start().wait().assert_failed(8, &[]);
    let part = fs::read(first.path().join("out.part")).expect("a part");
    assert!(part.len() > SIZES[0] && part.len() < SIZES[0] + SIZES[1]);
    let sidecar = fs::read_to_string(first.path().join("out.part.json")).expect("a sidecar");
    let mut right: Value = serde_json::from_str(&sidecar).expect("JSON");
    // A run that was killed notes no end.
    let stopped = right["stopped"].take();
    put(&mut right, "stopped", None);
    let mut cases = damaged(&right);
    cases.push(("none".to_owned(), text(&right)));
    for value in wrong_values(&stopped, &json!({"size": 5})) {
        let mut wrong = right.clone();
        put(&mut wrong, "stopped", Some(value.clone()));
        cases.push((format!("stopped {value}"), text(&wrong)));
        if let Some(field) = stopped.as_object().and_then(|fields| fields.keys().next()) {
            let mut wrong = right.clone();
            wrong["stopped"] = stopped.clone();
            put(&mut wrong["stopped"], field, Some(value.clone()));
            cases.push((format!("stopped {field} {value}"), text(&wrong)));
        }
    }
    let table: Vec<_> = cases.iter().map(|(what, text)| (what.as_str(), text)).collect();
    table::each(&table, |text| {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("out.part"), &part).expect("a part");
        fs::write(at("out.part.json"), text).expect("a sidecar");
        let outcome = run(&server, folder.path(), "", "--continue").start().wait();
        if outcome.code() == Some(0) {
            assert!(fs::read(at("out")).expect("the file") == [bytes(0), bytes(1)].concat());
            assert_eq!(names(folder.path()), ["out"]);
        } else {
            assert_eq!(outcome.code(), Some(8), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("out.part.json"), "{}", outcome.stderr);
            assert_eq!(names(folder.path()), ["out.part", "out.part.json"]);
        }
    });
}
