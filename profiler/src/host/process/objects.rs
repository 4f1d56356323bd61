//! Object files that were seen mapped, each with a number.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    sync::Arc,
};

use super::limits::{OBJECTS_KEPT_MAX, OBJECTS_MAX};
use crate::model::{BuildId, MappedFile, NewMapping, ObjectId, Pid};

/// An object file that was seen mapped.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its number in this run.
    pub id: ObjectId,
    /// Path as the process that mapped it first saw it.
    pub path: String,
    /// Absent when the file carries none, or was never read.
    pub build_id: Option<BuildId>,
    /// The open file, so that it can be read after the process, or the file's name, is gone.
    /// Absent when it could not be opened.
    pub file: Option<Arc<File>>,
    /// The process that mapped it first: the way to its mount namespace.
    pub pid: Pid,
}

/// What tells files apart while they exist.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct FileKey {
    device: u64,
    inode: u64,
    /// Numbers of deleted files are used again; the time of the last change tells.
    changed_at: (i64, i64),
}

/// Reads the build id of an object file; handed in, so that this stage knows no file formats.
pub type ReadBuildId = fn(&File) -> Option<BuildId>;

/// Every object file that is mapped, or was not long ago.
///
/// Numbers are never used twice: the probe remembers rules by them.
#[derive(Debug)]
pub struct Objects {
    read_build_id: ReadBuildId,
    by_id: ObjectsById,
    by_build_id: HashMap<BuildId, ObjectId>,
    by_file: HashMap<FileKey, ObjectId>,
    vdso: Option<ObjectId>,
    /// The next number; 0 stands for no object.
    next: u32,
}

/// Objects by number, shared with whoever still needs those that are forgotten meanwhile.
pub type ObjectsById = HashMap<ObjectId, Arc<Object>>;

impl Objects {
    /// No objects yet.
    pub fn new(read_build_id: ReadBuildId) -> Self {
        Self {
            read_build_id,
            by_id: HashMap::new(),
            by_build_id: HashMap::new(),
            by_file: HashMap::new(),
            vdso: None,
            next: 1,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Whether every number was given away: only a new run has new ones.
    pub fn is_used_up(&self) -> bool {
        OBJECTS_MAX <= self.next
    }

    /// The object behind a number.
    pub fn get(&self, id: ObjectId) -> Option<&Arc<Object>> {
        self.by_id.get(&id)
    }

    /// The numbers of all objects.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.by_id.keys().copied()
    }

    /// All objects as they are now. Cost: a counter for each.
    pub fn share(&self) -> ObjectsById {
        self.by_id.clone()
    }

    /// Forgets an object that nobody maps any more, and closes its file once nobody else needs it.
    pub fn forget(&mut self, ids: &HashSet<ObjectId>) {
        self.by_id.retain(|id, _object| !ids.contains(id));
        self.by_build_id.retain(|_build_id, id| !ids.contains(id));
        self.by_file.retain(|_file, id| !ids.contains(id));
        self.vdso = self.vdso.filter(|id| !ids.contains(id));
    }

    /// The object of a mapping; numbers it when it is new. `None` for code without a file, and
    /// when the table is full.
    pub fn identify(&mut self, mapping: &NewMapping) -> Option<ObjectId> {
        if mapping.path == "[vdso]" {
            return self.identify_vdso(mapping.pid);
        }
        if !mapping.path.starts_with('/') || mapping.path.starts_with("//anon") {
            return None;
        }
        match &mapping.file {
            MappedFile::BuildId(build_id) => self.identify_build_id(build_id, mapping),
            MappedFile::Inode(_) => self.identify_file(mapping),
        }
    }

    /// The vDSO is one for all processes.
    fn identify_vdso(&mut self, pid: Pid) -> Option<ObjectId> {
        if self.vdso.is_none() {
            self.vdso = self.add("[vdso]".to_owned(), None, None, pid);
        }
        self.vdso
    }

    /// The object with a build id that the kernel read.
    fn identify_build_id(&mut self, build_id: &BuildId, mapping: &NewMapping) -> Option<ObjectId> {
        if let Some(id) = self.by_build_id.get(build_id) {
            return Some(*id);
        }
        let file = open_mapped(mapping).ok().map(Arc::new);
        let path = shown_path(&mapping.path);
        let id = self.add(path, Some(build_id.clone()), file, mapping.pid)?;
        self.by_build_id.insert(build_id.clone(), id);
        Some(id)
    }

    /// The object of a file that must be opened to be told apart.
    fn identify_file(&mut self, mapping: &NewMapping) -> Option<ObjectId> {
        let Ok(file) = open_mapped(mapping) else {
            return self.add(shown_path(&mapping.path), None, None, mapping.pid);
        };
        let key = file_key(&file).ok()?;
        if let Some(id) = self.by_file.get(&key) {
            return Some(*id);
        }
        let build_id = (self.read_build_id)(&file);
        let known = build_id
            .as_ref()
            .and_then(|build_id| self.by_build_id.get(build_id))
            .copied();
        let id = if let Some(id) = known {
            id
        } else {
            let path = shown_path(&mapping.path);
            self.add(path, build_id.clone(), Some(Arc::new(file)), mapping.pid)?
        };
        self.by_file.insert(key, id);
        if let Some(build_id) = build_id {
            self.by_build_id.entry(build_id).or_insert(id);
        }
        Some(id)
    }

    /// Numbers a new object.
    fn add(
        &mut self,
        path: String,
        build_id: Option<BuildId>,
        file: Option<Arc<File>>,
        pid: Pid,
    ) -> Option<ObjectId> {
        if self.is_used_up() || OBJECTS_KEPT_MAX <= self.by_id.len() {
            return None;
        }
        let id = ObjectId(self.next);
        self.next += 1;
        let object = Object {
            id,
            path,
            build_id,
            file,
            pid,
        };
        self.by_id.insert(id, Arc::new(object));
        Some(id)
    }
}

/// Opens the very file that is mapped, whatever its name refers to by now; by its name, inside the
/// process's root, where the kernel does not allow that.
///
/// # Errors
/// What the kernel said; most often that the process is gone.
pub fn open_mapped(mapping: &NewMapping) -> io::Result<File> {
    let pid = mapping.pid;
    File::open(format!(
        "/proc/{pid}/map_files/{:x}-{:x}",
        mapping.start.0, mapping.end.0
    ))
    .or_else(|_refused| File::open(format!("/proc/{pid}/root{}", mapping.path)))
    .or_else(|_gone| File::open(&mapping.path))
}

/// What tells an open file apart from others.
fn file_key(file: &File) -> io::Result<FileKey> {
    let metadata = file.metadata()?;
    Ok(FileKey {
        device: metadata.dev(),
        inode: metadata.ino(),
        changed_at: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// A path as people are shown it: without the kernel's mark of a deleted file.
pub(super) fn shown_path(path: &str) -> String {
    path.strip_suffix(" (deleted)").unwrap_or(path).to_owned()
}
