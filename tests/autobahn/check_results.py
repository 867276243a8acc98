#!/usr/bin/env python3
"""Compares a report of Autobahn with expected.json.

    check_results.py reports/clients/index.json

Every case of every agent has to have one of the results listed there; what a case
may have beside them stands under "exceptions". Prints what differs.
"""

import json
import pathlib
import sys

EXPECTED = json.loads((pathlib.Path(__file__).parent / "expected.json").read_text())


def faults_of(report):
    for agent in EXPECTED["agents"]:
        cases = report.get(agent)
        if not cases:
            yield f"{agent}: not in the report"
            continue
        for case, result in cases.items():
            for what in ("behavior", "behaviorClose"):
                allowed = EXPECTED[what] + EXPECTED["exceptions"].get(case, [])
                if result[what] not in allowed:
                    yield f"{agent} {case}: {what} is {result[what]}"


def main(path):
    report = json.loads(pathlib.Path(path).read_text())
    faults = list(faults_of(report))
    count = sum(len(cases) for cases in report.values())
    print("\n".join([*faults, f"{count} cases of {len(report)} agents, {len(faults)} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
