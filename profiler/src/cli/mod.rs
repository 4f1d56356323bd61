//! The command line: arguments to configuration to run; terminal output.
