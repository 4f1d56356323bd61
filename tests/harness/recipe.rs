//! How each workload is made from its sources.

/// What is done with the linked file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Finish {
    /// Nothing.
    AsLinked,
    /// All but the dynamic symbols removed.
    Stripped,
    /// Symbols and debug information moved to a file beside it, linked by name and checksum.
    DebugLink,
    /// Symbols moved into a compressed section, as Fedora ships programs.
    MiniDebug,
}

/// One workload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    /// What it is called: the file's name, and so the thread's. At most 15 letters, the kernel's bound.
    pub(super) name: &'static str,
    /// `gcc`, `g++`, `musl-gcc` or `rustc`.
    pub(super) compiler: &'static str,
    /// Sources in `tests/workloads`.
    pub(super) sources: &'static [&'static str],
    /// Further arguments of the compiler.
    pub(super) flags: &'static [&'static str],
    /// Another workload, a library, that this one is linked with.
    pub(super) library: Option<&'static str>,
    /// What comes after linking.
    pub(super) finish: Finish,
}

/// How distributions build: optimized, without frame pointers. With line tables, for names of inlined code.
const OMIT: &[&str] = &["-O2", "-g", "-fomit-frame-pointer"];
/// The same, with frame pointers.
const KEEP: &[&str] = &[
    "-O2",
    "-g",
    "-fno-omit-frame-pointer",
    "-mno-omit-leaf-frame-pointer",
];

/// A C program as distributions build it.
const fn c(name: &'static str, sources: &'static [&'static str]) -> Recipe {
    Recipe {
        name,
        compiler: "gcc",
        sources,
        flags: OMIT,
        library: None,
        finish: Finish::AsLinked,
    }
}

/// A variant of the split in C.
const fn split(name: &'static str, flags: &'static [&'static str], finish: Finish) -> Recipe {
    Recipe {
        flags,
        finish,
        ..c(name, &["split.c"])
    }
}

/// Every workload.
pub(super) const RECIPES: &[Recipe] = &[
    split("split", OMIT, Finish::AsLinked),
    split("split_fp", KEEP, Finish::AsLinked),
    split(
        "split_static",
        &["-O2", "-fomit-frame-pointer", "-static"],
        Finish::AsLinked,
    ),
    split(
        "split_staticpie",
        &["-O2", "-fomit-frame-pointer", "-static-pie"],
        Finish::AsLinked,
    ),
    split(
        "split_stripped",
        &["-O2", "-fomit-frame-pointer", "-rdynamic"],
        Finish::Stripped,
    ),
    split("split_debuglink", OMIT, Finish::DebugLink),
    split(
        "split_minidebug",
        &["-O2", "-fomit-frame-pointer"],
        Finish::MiniDebug,
    ),
    // No .eh_frame for its own code: the only description of its frames is .debug_frame.
    split(
        "split_debugfr",
        &[
            "-O2",
            "-g",
            "-fomit-frame-pointer",
            "-fno-asynchronous-unwind-tables",
            "-fno-exceptions",
        ],
        Finish::AsLinked,
    ),
    Recipe {
        compiler: "g++",
        ..c("split_cpp", &["split.cpp"])
    },
    Recipe {
        compiler: "g++",
        flags: KEEP,
        ..c("split_cpp_fp", &["split.cpp"])
    },
    Recipe {
        compiler: "rustc",
        flags: &["-g", "-Copt-level=2", "-Cforce-frame-pointers=no"],
        ..c("split_rs", &["split.rs"])
    },
    Recipe {
        compiler: "rustc",
        flags: &["-g", "-Copt-level=2", "-Cforce-frame-pointers=yes"],
        ..c("split_rs_fp", &["split.rs"])
    },
    Recipe {
        compiler: "g++",
        ..c("throws", &["throws.cpp"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-ldl"],
        ..c("dlopen", &["dlopen.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-shared", "-fPIC"],
        ..c("plugin.so", &["plugin.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-shared", "-fPIC"],
        ..c("libtiny.so", &["tiny.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-Wl,-z,lazy"],
        library: Some("libtiny.so"),
        ..c("plt", &["plt.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("threads", &["threads.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("sick", &["sick.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("healthy", &["healthy.c"])
    },
    // By the library's own name, because the one without a version comes with the headers only.
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-l:libcrypto.so.3"],
        ..c("digest", &["digest.c"])
    },
    // A build id that the tests can find in the file and replace.
    Recipe {
        flags: &[
            "-O2",
            "-g",
            "-fomit-frame-pointer",
            "-Wl,--build-id=0x6e657665722d7365656e2d6265666f72",
        ],
        ..c("big", &["big.c", "big_code.S"])
    },
    c("assembly", &["assembly.c", "assembly.S"]),
    c("signal", &["signal.c"]),
    c("vdso", &["vdso.c"]),
    c("recursion", &["recursion.c"]),
    c("frames", &["frames.c"]),
    c("exec", &["exec.c"]),
    c("vfork", &["vfork.c"]),
    c("short", &["short.c"]),
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("waits", &["waits.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("waitlens", &["waitlens.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("crowd", &["crowd.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("dozers", &["dozers.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("calls", &["calls.c"])
    },
    Recipe {
        flags: &["-O2", "-g", "-fomit-frame-pointer", "-pthread"],
        ..c("talk", &["talk.c"])
    },
    c("pingpong", &["pingpong.c"]),
    c("allocs", &["allocs.c"]),
    c("leak", &["leak.c"]),
    c("heirs", &["heirs.c"]),
    c("zoo", &["zoo.c"]),
    Recipe {
        flags: &["-O2", "-fomit-frame-pointer", "-static"],
        ..c("zoo_static", &["zoo.c"])
    },
    Recipe {
        flags: &[
            "-O2",
            "-fomit-frame-pointer",
            "-l:libjemalloc.a",
            "-lm",
            "-lpthread",
            "-lstdc++",
        ],
        ..c("zoo_jemalloc", &["zoo.c"])
    },
    Recipe {
        compiler: "musl-gcc",
        flags: &["-O2", "-fomit-frame-pointer", "-static"],
        ..c("zoo_musl", &["zoo.c"])
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::RECIPES;

    #[test]
    fn each_name_is_there_once_and_fits_into_a_thread_name() {
        let names: BTreeSet<_> = RECIPES.iter().map(|recipe| recipe.name).collect();
        assert_eq!(names.len(), RECIPES.len());
        assert!(names.iter().all(|name| name.len() <= 15));
    }
}
