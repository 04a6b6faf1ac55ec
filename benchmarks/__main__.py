"""This version beside the release before it, in one run that takes some two hours.

python -m benchmarks              # the release is the last tag before this commit; --before v0.1.0 names it
python -m benchmarks --quick      # smaller shops, one round each: some twenty minutes
"""

import argparse
import subprocess
import sys

from .compare import ROOT

WHOLE = {
    "compare": ["extraction", "delivery", "--rounds", "3"],
    "year": ["--rounds", "3"],
    "deployment": ["--connections", "1", "100", "--seconds", "180"],
    "many": ["--connections", "100", "--transactions", "100"],
}
QUICK = {
    "compare": ["extraction", "delivery", "--rounds", "1"],
    "year": ["--operations", "5000", "--days", "92", "--rounds", "1"],
    "deployment": ["--connections", "1", "20", "--seconds", "120"],
    "many": ["--connections", "10", "--transactions", "100", "--dead", "0"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="an earlier version: any revision that Git knows")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    before = options.before or last_release()
    for name, arguments in (QUICK if options.quick else WHOLE).items():
        print(f"== {name}", flush=True)
        revision = [before] if name == "compare" else ["--before", before]
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *revision, *arguments], cwd=ROOT, check=True)  # noqa: S603


def last_release() -> str:
    asked = ["git", "describe", "--tags", "--abbrev=0", "HEAD^"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    if found.returncode:
        raise SystemExit("no release has a tag here; name one: --before REVISION")
    return found.stdout.strip()


if __name__ == "__main__":
    main()
