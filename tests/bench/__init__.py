"""The benchmarks: what Septum costs beside a hand-written floor and beside other libraries (`python -m tests.bench --help`)."""
