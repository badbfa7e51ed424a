//! `update` and `events --stats`: the limits of a container that is there, and what it uses.

use crate::fail::failed_on;
use crate::oci::Runtime;
use crate::oci::arguments::{Arguments, Known, bad};
use crate::oci::commands::{self, HELP};
use crate::oci::config::{malformed, read_file, refuse, without_nulls, without_zeroes};
use crate::oci::container::{Container, group};
use berth_wire::oci::Resources;
use berth_wire::{Code, Failure};
use serde_json::{Map, Value, json};

/// The largest text of limits on standard input.
const MAX_INPUT: usize = 1024 * 1024;
/// Options that are a limit each: the object of `linux.resources` and its field.
const NUMBERS: [(&str, &str, &str); 8] = [
    ("memory", "memory", "limit"),
    ("memory-swap", "memory", "swap"),
    ("memory-reservation", "memory", "reservation"),
    ("pids-limit", "pids", "limit"),
    ("cpu-share", "cpu", "shares"),
    ("cpu-quota", "cpu", "quota"),
    ("cpu-period", "cpu", "period"),
    ("blkio-weight", "blockIO", "weight"),
];
const TEXTS: [(&str, &str, &str); 2] = [("cpuset-cpus", "cpu", "cpus"), ("cpuset-mems", "cpu", "mems")];
pub(crate) const OPTIONS: [Known; 12] = [
    HELP,
    ("resources", Some('r'), true),
    ("memory", None, true),
    ("memory-swap", None, true),
    ("memory-reservation", None, true),
    ("pids-limit", None, true),
    ("cpu-share", None, true),
    ("cpu-quota", None, true),
    ("cpu-period", None, true),
    ("blkio-weight", None, true),
    ("cpuset-cpus", None, true),
    ("cpuset-mems", None, true),
];

/// Changes limits. What is not named stays as it is; so do devices, as with runc.
pub(crate) fn run(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    let container = Container::open_locked(&runtime.root, arguments.id("update")?)?;
    let wanted = wanted(arguments)?;
    let record = container.record()?;
    if !container.status(&record).is_live() {
        return Err(not_running("update container", &container));
    }
    group(&record).change(&wanted).map(|()| 0)
}

fn not_running(step: &str, container: &Container) -> Failure {
    Failure::new(Code::Conflict, step, "container not running").subject(container.id.clone())
}

fn wanted(arguments: &Arguments) -> Result<Resources, Failure> {
    let mut value = match arguments.value("resources") {
        Some("-") => parse(&standard_input()?)?,
        Some(path) => parse(&read_file(&commands::absolute(path)?)?)?,
        None => flags(arguments)?,
    };
    if arguments.value("resources").is_some() && flags(arguments)? != json!({}) {
        return Err(bad("--resources", "the file names every limit: leave the other options out"));
    }
    if let Some(limits) = value.as_object_mut() {
        limits.remove("devices");
    }
    let mut whole = json!({"linux": {"resources": value}});
    refuse(&whole)?;
    without_zeroes(&mut whole);
    let resources = whole.pointer_mut("/linux/resources").map(Value::take).unwrap_or_default();
    let swap_alone = resources.pointer("/memory/swap").is_some() && resources.pointer("/memory/limit").is_none();
    if swap_alone {
        return Err(bad("--memory-swap", "it is memory and swap together: name the memory as well"));
    }
    serde_json::from_value(resources).map_err(|error| malformed(&error).subject("--resources"))
}

fn parse(text: &[u8]) -> Result<Value, Failure> {
    let mut value: Value = serde_json::from_slice(text).map_err(|error| malformed(&error).subject("--resources"))?;
    without_nulls(&mut value);
    if value.is_object() {
        return Ok(value);
    }
    Err(bad("--resources", "it is an object, as linux.resources of a configuration"))
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    let input = berth_sys::process::inherited(0).map_err(failed_on("read", "standard input"))?;
    let mut text = vec![0; MAX_INPUT];
    let length = berth_sys::file::read_full(input, &mut text).map_err(failed_on("read", "standard input"))?;
    text.truncate(length);
    Ok(text)
}

fn flags(arguments: &Arguments) -> Result<Value, Failure> {
    let mut limits = Map::new();
    let mut put = |object: &str, field: &str, value: Value| {
        let object = limits.entry(object).or_insert_with(|| json!({}));
        if let Some(object) = object.as_object_mut() {
            object.insert(field.to_owned(), value);
        }
    };
    for (name, object, field) in NUMBERS {
        if let Some(text) = arguments.value(name) {
            put(object, field, number(name, text)?.into());
        }
    }
    for (name, object, field) in TEXTS {
        if let Some(text) = arguments.value(name) {
            put(object, field, text.into());
        }
    }
    Ok(limits.into())
}

/// A number; one of bytes may end with a unit.
fn number(name: &str, text: &str) -> Result<i64, Failure> {
    let wrong = || bad(&format!("--{name} {text}"), "it is no number");
    let bytes = name.starts_with("memory");
    let (digits, shift) = match text.char_indices().last().map(|(at, unit)| (at, unit.to_ascii_lowercase())) {
        Some((at, 'k')) if bytes => (text.get(..at), 10),
        Some((at, 'm')) if bytes => (text.get(..at), 20),
        Some((at, 'g')) if bytes => (text.get(..at), 30),
        _ => (Some(text), 0),
    };
    let number: i64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// What a container uses now, in runc's words.
pub(crate) fn stats(runtime: &Runtime, arguments: &Arguments) -> Result<i32, Failure> {
    if !arguments.has("stats") {
        return Err(bad("events", "this runtime tells what a container uses now, and follows no events").hint("Give --stats"));
    }
    let container = Container::open(&runtime.root, arguments.id("events")?)?;
    let record = container.record()?;
    if !container.status(&record).is_live() {
        return Err(not_running("read figures", &container));
    }
    let figures = group(&record).figures();
    let mut data = Map::new();
    if let Some(microseconds) = figures.cpu_microseconds {
        data.insert("cpu".to_owned(), json!({"usage": {"total": microseconds.saturating_mul(1000)}}));
    }
    if let Some(usage) = figures.memory {
        let mut memory = json!({"usage": usage});
        if let (Some(object), Some(limit)) = (memory.as_object_mut(), figures.memory_limit) {
            object.insert("limit".to_owned(), limit.into());
        }
        data.insert("memory".to_owned(), json!({"usage": memory}));
    }
    if let Some(current) = figures.processes {
        data.insert("pids".to_owned(), json!({"current": current}));
    }
    commands::print_json(&json!({"type": "stats", "id": container.id, "data": data}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Result<Resources, Failure> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        wanted(&Arguments::parse(&words, &OPTIONS).unwrap())
    }

    #[test]
    fn options_are_limits() {
        let resources = limits("--memory 64m --memory-swap 128M --pids-limit 9 --cpu-quota=50000 --cpuset-cpus 0-1 c").unwrap();
        let memory = resources.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(64 << 20), Some(128 << 20)));
        assert_eq!(resources.pids.unwrap().limit, 9);
        let cpu = resources.cpu.unwrap();
        assert_eq!((cpu.quota, cpu.cpus.as_deref()), (Some(50_000), Some("0-1")));
    }

    #[test]
    fn what_is_no_limit_is_named() {
        for (text, word) in [
            ("--memory lots c", "--memory lots"),
            ("--pids-limit 9m c", "--pids-limit 9m"),
            ("--memory 99999999999g c", "--memory 99999999999g"),
            ("--memory-swap 5 c", "--memory-swap"),
        ] {
            assert_eq!(limits(text).unwrap_err().subject.as_deref(), Some(word), "{text}");
        }
    }
}
