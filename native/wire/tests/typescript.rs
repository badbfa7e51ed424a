//! Writes `engine/native/protocol.ts` from the wire types: `cargo test -p berth-wire --features ts`.
//! With `BERTH_PROTOCOL_CHECK` set at build time nothing is written; a difference fails the test.
#![cfg(feature = "ts")]

use berth_wire::{event, failure, frame, oci, reply, request};
use std::fs;
use std::path::Path;
use ts_rs::TS;

macro_rules! declarations {
    ($($name:ty),* $(,)?) => { vec![$(<$name as TS>::decl()),*] };
}

fn text() -> String {
    let declarations = declarations![
        request::Request,
        request::Store,
        request::IdMap,
        request::Operation,
        request::Probe,
        request::Lock,
        request::Codec,
        request::Apply,
        request::Prepare,
        request::Owner,
        request::Timestamp,
        request::Copy,
        request::CopyLayer,
        request::CopyAction,
        request::CopySource,
        request::TreeFilter,
        request::ModeChange,
        request::ModeCopy,
        request::ModeClass,
        request::WantedBlob,
        request::Diff,
        request::Checksum,
        request::Contents,
        request::ReadFile,
        request::ReadFiles,
        request::Look,
        request::Unpack,
        request::Remove,
        request::Usage,
        request::Export,
        request::Changes,
        request::Extract,
        request::Volume,
        request::VolumeAction,
        request::Tree,
        request::CopyOut,
        request::CopyIn,
        request::Rootfs,
        request::Start,
        request::Life,
        request::Restart,
        request::RestartPolicy,
        request::Health,
        request::LogLimits,
        request::Join,
        request::ProcessId,
        request::BoundFile,
        request::BuildMount,
        request::BuildSource,
        request::SecretVariable,
        request::Network,
        request::WayOut,
        request::WaysOut,
        request::BridgeSubnet,
        request::BridgeTrait,
        request::EndpointIpv6,
        request::Link,
        request::BridgeNetwork,
        request::Endpoint,
        request::Resolver,
        request::ChangeNetwork,
        request::PublishedPort,
        request::Protocol,
        request::Exec,
        request::State,
        request::Kill,
        request::Logs,
        request::Resume,
        request::Attach,
        request::Pause,
        request::Update,
        request::Stats,
        request::Processes,
        request::Events,
        request::Announce,
        request::KeyringAct,
        request::Keyring,
        request::Control,
        failure::Code,
        failure::Failure,
        event::Event,
        event::Line,
        reply::Reply,
        reply::Keyring,
        reply::Probe,
        reply::NetworkProbe,
        reply::Rung,
        reply::RungName,
        reply::Cgroup,
        reply::DeviceKeeper,
        reply::Apply,
        reply::Copy,
        reply::Diff,
        reply::Blob,
        reply::Found,
        reply::Checksum,
        reply::ReadFiles,
        reply::Look,
        reply::Looked,
        reply::LookedKind,
        reply::Unpack,
        reply::Remove,
        reply::Usage,
        reply::SnapshotUsage,
        reply::Export,
        reply::Extract,
        reply::Volumes,
        reply::VolumeState,
        reply::Ended,
        reply::States,
        reply::ContainerState,
        reply::HealthState,
        reply::HealthResult,
        reply::Update,
        reply::Stats,
        reply::ContainerStats,
        reply::Processes,
        reply::Kill,
        oci::Spec,
        oci::Root,
        oci::Process,
        oci::ConsoleSize,
        oci::User,
        oci::Capabilities,
        oci::Rlimit,
        oci::Mount,
        oci::Linux,
        oci::Namespace,
        oci::Device,
        oci::Resources,
        oci::DeviceRule,
        oci::Pids,
        oci::Memory,
        oci::Cpu,
        oci::BlockIo,
        oci::WeightDevice,
        oci::ThrottleDevice,
        oci::Seccomp,
        oci::SyscallRule,
        oci::SyscallArgument,
    ];
    let mut text = String::from(
        "// Generated from native/wire by `npm run generate`; do not edit.\n\
         // prettier-ignore-start\n",
    );
    text += &format!("export const PROTOCOL_VERSION = {};\n", berth_wire::PROTOCOL_VERSION);
    text += &format!("export const MAX_FRAME = {};\n", frame::MAX_FRAME);
    text += "export const FRAME = { end: 0, request: 1, data: 2, secret: 3, control: 4, errorData: 5 } as const;\n";
    for declaration in declarations {
        text += &format!("export {declaration}\n");
    }
    text + "// prettier-ignore-end\n"
}

#[test]
fn typescript_is_generated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/native/protocol.ts");
    let new = text();
    if option_env!("BERTH_PROTOCOL_CHECK").is_some() {
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            new,
            "engine/native/protocol.ts is stale: run `npm run generate`"
        );
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, new).unwrap();
}
