//! Pictures and files: values in, bytes out.
