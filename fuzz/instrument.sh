#!/bin/sh
# Stands before rustc for this workspace's own crates when `cargo xtask fuzz` builds: adds the counters
# and comparisons that libFuzzer watches, by flags that the stable compiler has. Dependencies stay
# without: they are built already, and what they do is not what is tried.
exec "$@" --cfg fuzzing \
    -Copt-level=1 -Cdebug-assertions=yes -Coverflow-checks=yes \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-sanitizer-coverage-stack-depth
