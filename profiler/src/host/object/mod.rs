//! ELF: bytes in, facts out.
