//! Places of a window to names.
//!
//! Part of the composition root: it joins `process`, `object` and `symbolize`.

use std::{collections::HashMap, sync::Arc};

use super::{aggregate::{NamedPlace, Place, Window}, process::ProcessTable};
use crate::model::{Naming, ObjectFile, Reason};

pub(super) fn name_places(window: &Window, processes: &ProcessTable, _vdso: Option<&[u8]>, _inlines: bool) -> HashMap<Place, NamedPlace> {
    let mut names = HashMap::new();
    for stack in window.stacks() { for place in stack {
        let object = match place { Place::Object{object, ..} => processes.objects.get(*object).map(|o| ObjectFile{path:o.path.clone(), build_id:o.build_id.clone()}), _=>None};
        names.insert(*place, NamedPlace{naming: Naming::Unnamed(Reason::NotRecorded), object, kernel_offset: None});
    }}
    names
}
pub(super) fn read_vdso() -> Option<Arc<[u8]>> {
    let pid = crate::model::Pid(std::process::id());
    let m = super::process::read_mappings(pid).ok()?.into_iter().find(|m| m.path == "[vdso]")?;
    let mut f = std::fs::File::open("/proc/self/mem").ok()?;
    use std::io::{Read, Seek};
    f.seek(std::io::SeekFrom::Start(m.start.0)).ok()?;
    let mut buf = vec![0; (m.end.0 - m.start.0) as usize];
    f.read_exact(&mut buf).ok()?;
    Some(buf.into())
}
