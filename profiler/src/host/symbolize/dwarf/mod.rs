//! Debug information: address to functions, files and lines.
//!
//! Only the units that hold one of the addresses are parsed, one after the other, and nothing is
//! kept of a unit but the answers: `docs/design/0002-naming-memory.md`.

mod inlines;
mod lines;
mod locate;
mod names;
mod reader;
mod targets;
mod units;

pub(super) use self::locate::locate;

/// All debug information of a file.
type Dwarf = gimli::Dwarf<reader::SectionReader>;

/// One unit of it: what the compiler made of one source file.
type Unit = gimli::Unit<reader::SectionReader>;
