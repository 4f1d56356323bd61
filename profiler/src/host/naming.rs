//! Places of a window to names.
//!
//! Part of the composition root: it joins `process` and `symbolize`.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::PathBuf,
    sync::Arc,
};

use super::{
    aggregate::{NamedPlace, Names, Place, Window},
    name_cache::NameCache,
    process::{Object, ObjectsById, numbers_in_namespaces, read_mappings},
    symbolize::{
        Contents, ObjectSource, Options, PerfMap, Symbolizer, errno_name, system_call_name,
    },
};
use crate::model::{
    Avma, FileOffset, Location, Naming, ObjectFile, ObjectId, Outcome, Pid, Reason, Subject,
};

/// Bytes of a vDSO that are read; it has two pages of code.
const VDSO_SIZE_BYTES_MAX: u64 = 1 << 20;
/// Lines at the front of the kernel's symbols among which the start of its text is.
const KERNEL_START_LINES_MAX: usize = 2_000;

/// Finds names, and keeps them for the next window.
pub(super) struct Namer {
    symbolizer: Symbolizer,
    cache: NameCache,
    /// Names of this window.
    names: Names,
}

impl Namer {
    /// Starts with nothing known.
    pub(super) fn new(inlines: bool) -> Self {
        Self {
            symbolizer: Symbolizer::new(Options {
                inlines,
                ..Options::default()
            }),
            cache: NameCache::default(),
            names: Names::new(),
        }
    }

    /// Forgets the names of earlier windows, to spare memory.
    pub(super) fn forget(&mut self) {
        self.cache = NameCache::default();
    }

    /// Names every place of a window, or says why it has no name. `objects` holds every object that
    /// the window's places are in.
    pub(super) fn name(
        &mut self,
        window: &Window,
        objects: &ObjectsById,
        vdso: Option<&Arc<[u8]>>,
    ) -> Names {
        self.cache.begin_window();
        let mut places: HashSet<Place> = window.stacks().iter().flatten().copied().collect();
        self.names.reserve(places.len());
        places.retain(|place| match self.cache.get(place) {
            Some(named) => {
                self.names.insert(*place, named);
                false
            }
            None => true,
        });
        self.name_objects(&places, objects, vdso);
        self.name_kernel(&places);
        self.name_bare(&places);
        self.name_ends(&places);
        for place in &places {
            if let Some(named) = self.names.get(place) {
                self.cache.put(*place, named);
            }
        }
        std::mem::take(&mut self.names)
    }

    /// Code in object files: one file at a time, so that only one is in memory.
    fn name_objects(
        &mut self,
        places: &HashSet<Place>,
        objects: &ObjectsById,
        vdso: Option<&Arc<[u8]>>,
    ) {
        let mut offsets: HashMap<ObjectId, Vec<FileOffset>> = HashMap::new();
        for place in places {
            if let Place::Object { object, offset } = *place {
                offsets.entry(object).or_default().push(offset);
            }
        }
        for (id, mut offsets) in offsets {
            offsets.sort_unstable();
            let object = objects.get(&id).map(|object| &**object);
            let namings = object
                .and_then(|object| source_of(object, vdso))
                .map_or_else(
                    || vec![Naming::Unnamed(Reason::Unreadable); offsets.len()],
                    |source| self.symbolizer.name_object(&source, &offsets),
                );
            let file = object.map(|object| ObjectFile {
                path: object.path.clone(),
                build_id: object.build_id.clone(),
            });
            for (offset, naming) in offsets.into_iter().zip(namings) {
                let named = NamedPlace {
                    naming,
                    object: file.clone(),
                    kernel_offset: None,
                };
                self.names
                    .insert(Place::Object { object: id, offset }, named);
            }
        }
    }

    /// Code in the kernel.
    fn name_kernel(&mut self, places: &HashSet<Place>) {
        let addresses: Vec<Avma> = (places.iter())
            .filter_map(|place| match place {
                Place::Kernel { address } => Some(*address),
                Place::Object { .. }
                | Place::Bare { .. }
                | Place::Unmapped { .. }
                | Place::Cut
                | Place::Subject(_) => None,
            })
            .collect();
        if addresses.is_empty() {
            return;
        }
        let start = kernel_text_start();
        let namings = self.symbolizer.name_kernel(&addresses);
        for (address, naming) in addresses.into_iter().zip(namings) {
            let named = NamedPlace {
                kernel_offset: start
                    .filter(|_start| is_core_kernel(&naming))
                    .map(|start| address.0.wrapping_sub(start)),
                naming,
                object: None,
            };
            self.names.insert(Place::Kernel { address }, named);
        }
    }

    /// Code made at run time: by the perf maps that the processes leave.
    fn name_bare(&mut self, places: &HashSet<Place>) {
        let mut maps: HashMap<Pid, Option<PerfMap>> = HashMap::new();
        for place in places {
            let Place::Bare { pid, address } = *place else {
                continue;
            };
            let map = maps.entry(pid).or_insert_with(|| open_perf_map(pid));
            let naming = match map.as_ref().and_then(|map| map.lookup(address)) {
                Some(function) => Naming::Named(vec![Location {
                    function: function.to_owned(),
                    ..Location::default()
                }]),
                None => Naming::Unnamed(Reason::Jit),
            };
            self.names.insert(
                *place,
                NamedPlace {
                    naming,
                    object: None,
                    kernel_offset: None,
                },
            );
        }
    }

    /// The ends of cut stacks, and what is no code.
    fn name_ends(&mut self, places: &HashSet<Place>) {
        for place in places {
            let naming = match place {
                Place::Cut => Naming::Named(vec![Location {
                    function: "[truncated]".to_owned(),
                    ..Location::default()
                }]),
                Place::Unmapped { .. } => Naming::Unnamed(Reason::Unmapped),
                Place::Subject(subject) => Naming::Named(vec![Location {
                    function: subject_name(*subject),
                    ..Location::default()
                }]),
                Place::Object { .. } | Place::Bare { .. } | Place::Kernel { .. } => continue,
            };
            self.names.insert(
                *place,
                NamedPlace {
                    naming,
                    object: None,
                    kernel_offset: None,
                },
            );
        }
    }
}

/// What a subject is called.
fn subject_name(subject: Subject) -> String {
    match subject {
        Subject::Call(call) | Subject::InCall(call) => system_call_name(call),
        Subject::Outcome(Outcome::Ok) => "ok".to_owned(),
        Subject::Outcome(Outcome::Failed(errno)) => errno_name(errno),
        Subject::Outcome(Outcome::InFlight) => "in flight".to_owned(),
        Subject::Outcome(Outcome::NoReturn) => "no return".to_owned(),
        Subject::Took(bucket) => bucket.to_string(),
        Subject::FarEnd(far_end) => far_end.to_string(),
        Subject::Side(side) => side.to_string(),
        Subject::Measure(measure) => measure.as_str().to_owned(),
    }
}

/// Where the symbolizer reads an object; `None` when it could never be opened.
fn source_of<'object>(
    object: &'object Object,
    vdso: Option<&Arc<[u8]>>,
) -> Option<ObjectSource<'object>> {
    let contents = match &object.file {
        // The open file stays what it was, whatever became of its name and of its process.
        Some(file) => Contents::Path(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))),
        None => Contents::Image(Arc::clone(vdso.filter(|_image| object.path == "[vdso]")?)),
    };
    Some(ObjectSource {
        contents,
        shown_path: &object.path,
        build_id: object.build_id.clone(),
        root: Some(PathBuf::from(format!("/proc/{}/root", object.pid))),
    })
}

/// The perf map of a process: in its own namespace, under the number it has there, and on the host.
fn open_perf_map(pid: Pid) -> Option<PerfMap> {
    let owner = fs::metadata(format!("/proc/{pid}"))
        .map(|process| process.uid())
        .ok();
    let inside = (numbers_in_namespaces(pid).into_iter())
        .map(|number| format!("/proc/{pid}/root/tmp/perf-{number}.map"));
    let candidates = inside.chain([format!("/tmp/perf-{pid}.map")]);
    candidates.map(PathBuf::from).find_map(|path| {
        // Of a process that is gone nobody knows whose it was; then the file says it.
        let owner = owner.or_else(|| fs::symlink_metadata(&path).map(|file| file.uid()).ok())?;
        PerfMap::open(&path, owner).ok()
    })
}

/// Whether a name is one of the kernel itself, not of a module or a BPF program.
fn is_core_kernel(naming: &Naming) -> bool {
    match naming {
        Naming::Named(locations) => locations
            .last()
            .is_some_and(|location| !location.function.ends_with(']')),
        Naming::Unnamed(_) => false,
    }
}

/// Address at which the kernel's text starts in this boot; `None` when symbols are hidden.
fn kernel_text_start() -> Option<u64> {
    let symbols = BufReader::new(File::open("/proc/kallsyms").ok()?);
    let line = symbols
        .lines()
        .take(KERNEL_START_LINES_MAX)
        .map_while(Result::ok)
        .find(|line| line.ends_with(" _stext"))?;
    let (address, _rest) = line.split_once(' ')?;
    u64::from_str_radix(address, 16)
        .ok()
        .filter(|address| *address != 0)
}

/// The vDSO, out of this process's own memory: it is the same in every process.
pub(super) fn read_vdso() -> Option<Arc<[u8]>> {
    match try_read_vdso() {
        Ok(image) => image,
        Err(error) => {
            tracing::warn!(%error, "the vDSO cannot be read; stacks through it will be cut");
            None
        }
    }
}

/// Reads it; `None` where the kernel gives none.
fn try_read_vdso() -> io::Result<Option<Arc<[u8]>>> {
    let mappings = read_mappings(Pid(std::process::id()))?;
    let Some(vdso) = mappings
        .into_iter()
        .find(|mapping| mapping.path == "[vdso]")
    else {
        return Ok(None);
    };
    let size_bytes = vdso
        .end
        .0
        .saturating_sub(vdso.start.0)
        .min(VDSO_SIZE_BYTES_MAX);
    let mut image = vec![0; usize::try_from(size_bytes).unwrap_or(0)];
    File::open("/proc/self/mem")?.read_exact_at(&mut image, vdso.start.0)?;
    Ok(Some(image.into()))
}
