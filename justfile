# Everyday commands, for https://just.systems. Each line works without `just`, too.

set positional-arguments

# List the commands.
default:
    @just --list

# Install the project with its development tools into the active virtual environment.
install:
    pip install -e '.[dev]'

# Run the quick tests; arguments go to pytest: just test -k doctor
test *args:
    pytest "$@"

# Run the long suites: whole runs, simulation, bad records, chaos, kills.
test-long *args:
    pytest -m 'runs or simulation or fuzz or chaos or kill' -n 3 "$@"

# Check style and format.
lint:
    ruff check .
    ruff format --check .

# Check types.
types:
    pyright

# Run the main job against the sandbox and print the result.
demo:
    sitniks-finmap demo

# Start the Dagster UI at http://127.0.0.1:3000; its runs are kept in data/dagster.
ui:
    mkdir -p "$PWD/data/dagster"
    DAGSTER_HOME="$PWD/data/dagster" dagster dev
