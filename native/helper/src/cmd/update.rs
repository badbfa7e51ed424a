//! `update`: what was ordered changes, and with it the limits of a running container.

use crate::container::folder::{ORDER, RECORD};
use crate::container::{self, Folder, life};
use crate::context::Context;
use crate::journal;
use crate::run::bound;
use berth_wire::oci::Spec;
use berth_wire::request::{Start, Update};
use berth_wire::{Code, Failure, Reply, reply};

pub(crate) fn run(context: &Context, args: &Update) -> Result<Reply, Failure> {
    let folder = Folder::open(context, &args.container)?;
    let _locked = folder.lock(context)?;
    let Some(state) = life::settle(context, &folder)? else {
        return Err(Failure::new(Code::NotFound, "open container", "there is no such container").subject(args.container.clone()));
    };
    let mut order: Start = folder.read(ORDER)?;
    let mut spec: Spec = folder.read("config.json")?;
    if let Some(wanted) = &args.resources {
        if life::runs(&state) {
            life::check_reach(&folder, &state)?;
            container::group(context, &folder)?.change(wanted)?;
        }
        let devices = spec.linux.resources.take().and_then(|old| old.devices);
        let mut resources = wanted.clone();
        resources.devices = resources.devices.or(devices);
        spec.linux.resources = Some(resources);
        folder.write("config.json", &spec)?;
        order.config = spec;
    }
    let mut before = None;
    if let Some(life) = &mut order.life {
        if let Some(restart) = &args.restart {
            life.restart = restart.clone();
        }
        if let Some(attributes) = &args.attributes {
            before = life.attributes.get("name").map(|name| format!("/{name}"));
            life.attributes.clone_from(attributes);
        }
    }
    if let Some(record) = &args.record {
        folder.write(RECORD, record)?;
        order.record.clone_from(record);
    }
    if let Some(files) = &args.files {
        bound::change(&folder, &order.files, files, life::runs(&state))?;
    }
    folder.write(ORDER, &order)?;
    if let Some(event) = &args.event {
        let old = before.as_deref().filter(|_| event == "rename").map(|name| ("oldName", name));
        journal::of_container(context, &folder, event, old.as_slice());
    }
    Ok(Reply::Update(reply::Update { warnings: Vec::new() }))
}
