"""What the benchmark makes of its readings: python3 tests/bench/test_bench.py"""

import unittest

import load
import report
from server import Unexpected

WRK = """Running 1s test @ http://127.0.0.1:5000/session
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   123.00us  400.00us   9.99ms   90.00%
    Req/Sec   100.00k     1.00k  101.00k    66.67%
  Latency Distribution
     50%  250.00us
     75%    1.00ms
     90%    2.00ms
     99%    1.50s
  1000 requests in 1.00s, 1.00MB read
Requests/sec:    998.50
Transfer/sec:      1.00MB
"""
FIGURES = {"admitted": 100, "refused.cpu_us": 5.0, "limited.cpu_us": 5.0}


class Readings(unittest.TestCase):
    def test_latencies_are_read_in_milliseconds_whatever_their_unit(self):
        self.assertEqual(load.parse(WRK), (1000, 0, 998.5, 0.25, 1500.0))

    def test_refused_requests_are_counted(self):
        _, refused, *_ = load.parse(WRK + "  Non-2xx or 3xx responses: 900\n")
        self.assertEqual(refused, 900)

    def test_a_run_with_failed_connections_measures_nothing(self):
        with self.assertRaises(Unexpected):
            load.parse(WRK + "  Socket errors: connect 0, read 3, write 0, timeout 0\n")

    def test_a_run_without_an_answer_measures_nothing(self):
        with self.assertRaises(Unexpected):
            load.parse(WRK.replace("1000 requests in", "0 requests in"))

    def test_a_percentile_is_a_value_that_so_many_do_not_exceed(self):
        self.assertEqual(load.percentile(range(1, 201), 99), 198)
        self.assertEqual(load.percentile([7], 99), 7)


class Verdict(unittest.TestCase):
    def failures(self, problems=(), everything=False, **figures):
        return report.failures({"hallpass": {**FIGURES, **figures}}, list(problems), everything)

    def test_nothing_fails_that_holds(self):
        self.assertEqual(self.failures(), [])

    def test_a_limit_that_is_not_exact_fails(self):
        for admitted in (99, 101):
            self.assertIn(f"admits {admitted}", self.failures(admitted=admitted)[0])

    def test_a_refusal_that_costs_far_more_than_an_admission_fails(self):
        self.assertEqual(self.failures(**{"refused.cpu_us": 9.9}), [])
        self.assertIn("429", self.failures(**{"refused.cpu_us": 10.1})[0])

    def test_a_peers_problem_fails_only_where_all_are_judged(self):
        problems = ["flask: slow"]
        self.assertEqual(self.failures(problems), [])
        self.assertEqual(self.failures(problems, everything=True), problems)
        self.assertEqual(self.failures(["hallpass: 3 refused"]), ["hallpass: 3 refused"])


if __name__ == "__main__":
    unittest.main()
