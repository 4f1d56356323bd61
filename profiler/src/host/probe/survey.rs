//! What this kernel allows, found by trying.
