//! The command line: run, plan, inspect, quantize, evaluate, serve, push.
