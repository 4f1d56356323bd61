//! Programs for uprobe sessions: one program at the begin of a function and, where it asks for that,
//! at its return.
//!
//! The library that loads the other programs knows no sessions, so these are linked with the maps
//! that it made and loaded here. Since: Linux 6.13.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya::{Ebpf, maps::Map};
use aya_obj::{Object, btf::BtfFeatures};

use super::{
    ProbeError,
    load::OBJECT,
    sys::{self, UprobeProgram},
};

/// `BPF_TRACE_UPROBE_SESSION`: newer than the library's list.
pub(super) const UPROBE_SESSION: u32 = 57;

/// Loads one program of the embedded object for sessions, with the maps of the object as the
/// library loaded it.
///
/// # Errors
/// What the kernel refused; before 6.13 it knows no sessions.
pub(super) fn load_session(loaded: &Ebpf, name: &'static str) -> Result<OwnedFd, ProbeError> {
    let fails = |source| ProbeError::LoadSession { name, source };
    let mut object = Object::parse(OBJECT)
        .map_err(|source| fails(io::Error::new(io::ErrorKind::InvalidData, source)))?;
    let btf = load_types(&mut object).map_err(fails)?;
    link(&mut object, loaded).map_err(fails)?;
    let missing = ProbeError::Missing { name };
    let Some(program) = object.programs.get(name) else {
        return Err(missing);
    };
    let key = (program.section_index, program.address);
    let Some(function) = object.functions.get(&key) else {
        return Err(missing);
    };
    let mut log = Vec::new();
    let program = UprobeProgram {
        name,
        instructions: &function.instructions,
        license: &program.license,
        attach_type: UPROBE_SESSION,
        btf: btf.as_fd(),
        functions: &function.func_info.func_info_bytes(),
        function_size_bytes: function.func_info_rec_size,
    };
    sys::load_uprobe(&program, &mut log).map_err(|source| {
        let said = String::from_utf8_lossy(&log);
        tracing::debug!(log = said.trim_end_matches('\0'), "the verifier said");
        fails(source)
    })
}

/// Loads the types that the object's functions are described with.
fn load_types(object: &mut Object) -> io::Result<OwnedFd> {
    let features = aya::features().btf();
    let features: &BtfFeatures = features.ok_or(io::ErrorKind::Unsupported)?;
    let btf = (object.fixup_and_sanitize_btf(features))
        .map_err(|source| io::Error::new(io::ErrorKind::InvalidData, source))?;
    sys::load_btf(&btf.ok_or(io::ErrorKind::InvalidData)?.to_bytes())
}

/// Puts the descriptors of the maps and the functions called into the programs.
fn link(object: &mut Object, loaded: &Ebpf) -> io::Result<()> {
    let invalid = |source| io::Error::new(io::ErrorKind::InvalidData, source);
    let sections: HashSet<usize> = (object.functions.keys())
        .map(|(section, _address)| *section)
        .collect();
    // A map that is missing here would be an assertion over there.
    let mut maps = Vec::with_capacity(object.maps.len());
    for (name, map) in object.maps.drain() {
        let fd = loaded.map(&name).and_then(descriptor);
        let fd = fd.ok_or(io::ErrorKind::NotFound)?.as_raw_fd();
        maps.push((name, fd, map));
    }
    let maps = maps.iter().map(|(name, fd, map)| (name.as_str(), *fd, map));
    object.relocate_maps(maps, &sections).map_err(invalid)?;
    object.relocate_calls(&sections).map_err(invalid)?;
    object.sanitize_functions(aya::features());
    Ok(())
}

/// The descriptor of a map of one of the kinds that the object has.
fn descriptor(map: &Map) -> Option<BorrowedFd<'_>> {
    if let Map::Array(data)
    | Map::ArrayOfMaps(data)
    | Map::HashMap(data)
    | Map::LruHashMap(data)
    | Map::PerCpuArray(data)
    | Map::PerCpuHashMap(data)
    | Map::RingBuf(data) = map
    {
        return Some(data.fd().as_fd());
    }
    None
}
