//! Parameters of the network namespace that this process is in, below `/proc/sys/net`. Source: `Documentation/networking/ip-sysctl.rst`.

use crate::fail::failed;
use berth_sys::{errno, procfs};
use berth_wire::{Code, Failure};
use std::fs;
use std::io::{self, ErrorKind};

const OPTION_HINT: &str =
    "Look at what --driver-opt com.docker.network.endpoint.sysctls names: sysctl -a lists the parameters of an interface";
const NET: &str = "/proc/sys/net";
const FORWARDING6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
/// Only a kernel with IPv6 has it.
const INTERFACES6: &str = "/proc/net/if_inet6";
/// An interface of a router takes advertisements of other routers only with this value.
const ALSO_AS_ROUTER: &str = "2";

/// Lets nobody on a bridge tell this machine its ways: router advertisements, or all of IPv6 where the network has none. (Docker had it as
/// CVE-2020-13401.)
pub(crate) fn close(bridge: &str, has_ipv6: bool) -> Result<(), Failure> {
    let name = if has_ipv6 { "accept_ra" } else { "disable_ipv6" };
    let value = if has_ipv6 { "0" } else { "1" };
    match write(&format!("ipv6/conf/{bridge}/{name}"), value) {
        // A kernel without IPv6 hears none of it.
        Err(error) if error.kind() != ErrorKind::NotFound => Err(refused(&format!("net.ipv6.conf.{bridge}.{name}"), &error)),
        _ => Ok(()),
    }
}

/// Lets an interface have addresses of IPv6.
pub(crate) fn enable(interface: &str) -> Result<(), Failure> {
    if fs::metadata(INTERFACES6).is_err() {
        let failure = Failure::new(Code::Unsupported, "make network", "this kernel has no IPv6");
        return Err(failure.hint("Load the module ipv6, or start the machine without ipv6.disable=1; or make the network without --ipv6"));
    }
    let place = format!("ipv6/conf/{interface}/disable_ipv6");
    let is_on = fs::read_to_string(format!("{NET}/{place}")).is_ok_and(|text| text.trim() == "0");
    if is_on {
        return Ok(());
    }
    write(&place, "0").map_err(|error| refused(&format!("net.ipv6.conf.{interface}.disable_ipv6"), &error))
}

/// Sets parameters of an interface.
pub(crate) fn set(interface: &str, sysctls: &[(String, String)]) -> Result<(), Failure> {
    sysctls.iter().try_for_each(|(place, value)| {
        let place = place.replace("IFNAME", interface);
        write(&place, value).map_err(|error| refused(&format!("net/{place}"), &error).hint(OPTION_HINT))
    })
}

/// Lets the kernel pass packets of IPv6 on between interfaces; true when it did not before. Interfaces that listen to routers go on doing so,
/// which the kernel else takes from a machine that has become one itself.
pub(crate) fn forward6() -> Result<bool, Failure> {
    if fs::read_to_string(FORWARDING6).is_ok_and(|text| text.trim() != "0") {
        return Ok(false);
    }
    for interface in listeners() {
        let _ = write(&format!("ipv6/conf/{interface}/accept_ra"), ALSO_AS_ROUTER);
    }
    write("ipv6/conf/all/forwarding", "1")
        .map_err(|error| refused("net.ipv6.conf.all.forwarding", &error).hint("On the host: sysctl -w net.ipv6.conf.all.forwarding=1"))?;
    Ok(true)
}

/// Interfaces that take advertisements of routers as long as the machine is none.
fn listeners() -> Vec<String> {
    let entries = fs::read_dir(format!("{NET}/ipv6/conf")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name != "all" && name != "default")
        .filter(|name| fs::read_to_string(format!("{NET}/ipv6/conf/{name}/accept_ra")).is_ok_and(|text| text.trim() == "1"))
        .collect()
}

pub(crate) fn write(place: &str, value: &str) -> io::Result<()> {
    let file = procfs::open_parameter(&format!("net/{place}"))?;
    Ok(berth_sys::file::write_all(file, value.as_bytes())?)
}

pub(crate) fn refused(name: &str, error: &io::Error) -> Failure {
    let number = errno::of(error);
    let failure = failed("write parameter")(number).subject(name);
    match procfs::explain(number) {
        Some(message) => Failure {
            message: message.to_owned(),
            ..failure
        },
        None => failure,
    }
}
