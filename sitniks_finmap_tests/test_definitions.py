"""The front door: each connection has its assets, checks, jobs and sensor, and a wrong one stops no other."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from sitniks_finmap.defs.assets import as_markdown, column_schema, markdown_table
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.last_good import load_running

TABLES = {
    "raw_sitniks_transactions", "raw_sitniks_orders", "operations", "finmap_upload", "finmap_operations",
    "reconciliation",
}  # fmt: skip
ASSETS = TABLES | {"report"}
GOOD = 'start_date = 2025-01-15\nfinmap_account = "Каса"\n'


def load(project: Path, text: str | None = None) -> dg.Definitions:
    """The definitions of connections.toml as Dagster loads them, validated."""
    if text is not None:
        (project / "connections.toml").write_text(text, "utf-8")
    from sitniks_finmap.definitions import defs  # importing it loads connections.toml

    definitions = defs()
    dg.Definitions.validate_loadable(definitions)
    return definitions


def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {"/".join(spec.key.path): spec for spec in definitions.resolve_all_asset_specs()}


def test_a_connection_has_all_its_parts_under_its_own_name(project: Path, connection: Connection) -> None:
    definitions = load(project)
    repository = definitions.get_repository_def()

    assets = {name: spec for name, spec in specs(definitions).items() if name.startswith("u1/")}
    assert set(assets) == {f"u1/{table}" for table in ASSETS}
    assert {spec.group_name for spec in assets.values()} == {"u1"}
    steps = Counter(spec.tags["step"] for spec in assets.values())
    assert steps == {"extract": 2, "transform": 1, "deliver": 1, "reconcile": 2, "report": 1}
    assert {check.name for check in repository.asset_checks_defs_by_key} >= {"transaction_ids_are_unique"}
    assert {job.name for job in repository.get_all_jobs() if job.name.startswith("u1_")} == {"u1_sync", "u1_deliver"}
    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}
    assert sensors.keys() == {"u1_sensor", "alerts"}
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in sensors.values())
    assert {job.name for job in sensors["u1_sensor"].jobs} == {"u1_sync", "u1_deliver"}
    assert [schedule.name for schedule in repository.schedule_defs] == ["housekeeping_schedule"]


def test_whatever_the_ui_shows_has_a_description(project: Path, connection: Connection) -> None:
    definitions = load(project, f"{(project / 'connections.toml').read_text('utf-8')}\n[wrong]\n")
    repository = definitions.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    described: dict[str, str | None] = {
        **{f"asset {name}": spec.description for name, spec in specs(definitions).items()},
        **{f"job {job.name}": job.description for job in jobs},
        **{f"op {node.name}": node.definition.description for job in jobs for node in job.nodes},
        **{f"schedule {one.name}": one.description for one in repository.schedule_defs},
        **{f"sensor {one.name}": one.description for one in repository.sensor_defs},
        **{f"resource {n}": one.description for n, one in repository.get_top_level_resources().items()},
        **{
            f"check {key.name} of {key.asset_key.to_user_string()}": spec.description
            for checks in repository.asset_checks_defs_by_key.values()
            for spec in checks.check_specs
            for key in [spec.key]
        },
        **{
            f"column {table}.{column.name}": column.description
            for table in TABLES
            for column in column_schema(table).columns
        },
    }
    kinds = Counter(name.split()[0] for name in described)
    assert kinds.keys() == {"asset", "job", "op", "schedule", "sensor", "resource", "check", "column"}
    assert [name for name, description in described.items() if not description] == []
    # The UI reads them as Markdown: what looks like a tag would be swallowed.
    assert [name for name, text in described.items() if re.search("<", re.sub("`[^`]*`", "", text or ""))] == []


def test_what_looks_like_a_tag_is_shown(project: Path) -> None:
    columns = {column.name: column for column in column_schema("operations").columns}
    assert "&lt;key_prefix>:&lt;transaction_id>" in str(columns["external_id"].description)
    assert as_markdown("`<kept>` and <b>") == "`<kept>` and &lt;b>"
    definitions = load(project, f"['<b>shop</b>']\n{GOOD}")
    (wrong,) = specs(definitions).values()
    assert "&lt;b>shop" in str(wrong.description)


def test_a_wide_type_leaves_room_for_its_description() -> None:
    types = {column.type for table in TABLES for column in column_schema(table).columns}
    assert {"STRUCT", "TIMESTAMPTZ", "DECIMAL(18,2)"} <= types
    assert max(map(len, types)) <= len("DECIMAL(18,2)")


def test_a_preview_holds_whatever_a_record_says() -> None:
    table = markdown_table(["a", "b"], [(None, True), ("x|y <i>\nz", 3), ("", False)])
    assert table == "| a | b |\n| --- | --- |\n|  | yes |\n| x\\|y &lt;i> z | 3 |\n|  | no |"


def test_data_goes_one_way(project: Path, connection: Connection) -> None:
    upstream = {
        name: {"/".join(dep.asset_key.path) for dep in spec.deps} for name, spec in specs(load(project)).items()
    }
    assert upstream["u1/raw_sitniks_transactions"] == set()
    assert upstream["u1/raw_sitniks_orders"] == {"u1/raw_sitniks_transactions"}
    assert upstream["u1/operations"] == {"u1/raw_sitniks_transactions", "u1/raw_sitniks_orders"}
    assert upstream["u1/finmap_upload"] == {"u1/operations"}
    assert upstream["u1/finmap_operations"] == {"u1/finmap_upload"}
    assert upstream["u1/reconciliation"] == {"u1/finmap_operations", "u1/operations"}
    assert upstream["u1/report"] == {"u1/reconciliation"}


def test_the_days_are_local_and_today_is_one_of_them(project: Path, connect: Callable[..., Connection]) -> None:
    connect(timezone="Europe/Kyiv")
    partitions = specs(load(project))["u1/operations"].partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert (partitions.timezone, partitions.end_offset) == ("Europe/Kyiv", 1)
    assert partitions.get_first_partition_key() == "2025-01-10"


def test_a_range_of_days_is_one_run_in_one_process(project: Path, connection: Connection) -> None:
    repository = load(project).get_repository_def()
    for asset in repository.assets_defs_by_key.values():
        assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    assert repository.get_job("u1_sync").executor_def is dg.in_process_executor
    assert repository.get_job("u1_sync").tags["connection"] == "u1"


@pytest.mark.runs
def test_a_hundred_connections_load_beside_a_misconfigured_one(project: Path) -> None:
    tables = [f"[sitniks_user_{n}]\n{GOOD}" for n in range(1, 101)]
    tables[49] = '[sitniks_user_50]\nstart_date = 2025-01-15\nfinmap_acount = "Каса"\n'
    definitions = load(project, "\n".join(tables))

    found = specs(definitions)
    wrong = found.pop("sitniks_user_50/misconfigured")
    assert wrong.group_name == "misconfigured"
    assert "sitniks_user_50: finmap_account is missing; finmap_acount is not a setting" in str(wrong.description)
    right = [f"sitniks_user_{n}" for n in range(1, 101) if n != 50]
    assert set(found) == {f"{name}/{table}" for name in right for table in ASSETS}
    repository = definitions.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} >= {f"{name}_sensor" for name in right}
    assert not repository.has_job("sitniks_user_50_sync")


@pytest.mark.parametrize(
    "wrong",
    [
        '[bad]\nstart_date = "2025-02-30"\nfinmap_account = "Каса"\n',
        f'[bad]\n{GOOD}sitniks_api_key = "t0kensecret"\n',
        f'[bad]\n{GOOD}finmap_url = "https://t0kensecret@api.finmap.online"\n',
        f'[bad]\n{GOOD}sync_every = "hourly"\n',
        f"[Bad]\n{GOOD}",
        f"['bad one']\n{GOOD}",
        f"['bad one']\n{GOOD}\n['bad-one']\n{GOOD}\n['bad+one']\n{GOOD}",
        f"['']\n{GOOD}",
        f"['Крамниця']\n{GOOD}",
        "['bad\"quote']\n",
        f"['{'x' * 300}']\n{GOOD}a = 1",
        "bad = 5\n",
    ],
    ids=lambda text: ascii(text)[1:30],
)
def test_whatever_is_wrong_with_one_connection_the_others_load(project: Path, wrong: str) -> None:
    loose, table = ("", wrong) if wrong.startswith("[") else (wrong, "")
    definitions = load(project, f"{loose}\n[good]\n{GOOD}\n{table}")
    found = specs(definitions)
    assert {name for name in found if name.startswith("good/")} == {f"good/{table}" for table in ASSETS}
    others = [spec for name, spec in found.items() if not name.startswith("good/")]
    assert others
    assert all(spec.group_name == "misconfigured" and spec.description for spec in others)
    assert "t0kensecret" not in str(others)


# -- The last good version ---------------------------------------------------------------------------------------


def test_a_broken_file_stops_nobody_and_is_shown(project: Path, connection: Connection) -> None:
    good = (project / "connections.toml").read_text("utf-8")
    load(project)
    definitions = load(project, "[u1\n")
    found = specs(definitions)
    assert set(found) == {f"u1/{table}" for table in ASSETS} | {"misconfigured"}
    assert re.search(r"connections\.toml, line 1: ", str(found["misconfigured"].description))
    assert "u1_sync" in {job.name for job in definitions.get_repository_def().get_all_jobs()}
    assert "misconfigured" not in specs(load(project, good))  # an edit heals it


def test_a_broken_file_from_the_beginning_is_shown(project: Path) -> None:
    definitions = load(project, "[u1\n")
    assert [*specs(definitions)] == ["misconfigured"]
    assert {sensor.name for sensor in definitions.get_repository_def().sensor_defs} == {"alerts"}


@pytest.mark.parametrize("broken", ["", "\n \n", None, "\x00\x01"], ids=["empty", "blank", "gone", "binary"])
def test_a_file_cut_off_or_gone_stops_nobody(project: Path, connection: Connection, broken: str | None) -> None:
    load(project)
    path = project / "connections.toml"
    if broken is None:
        path.unlink()
    found = specs(load(project, broken))
    assert {"u1/operations", "misconfigured"} <= set(found)


def test_an_invalid_table_goes_on_as_it_was(project: Path, connect: Callable[..., Connection]) -> None:
    connect("u1")
    connect("u2", "demo", finmap_account="ФОП", key_prefix="u2")
    path = project / "connections.toml"
    good = path.read_text("utf-8")
    load(project, good := good.replace("[u2]", "[u2]\nsitniks_key_env = 'X_KEY'"))
    found = specs(load(project, good.replace("[u1]", "[u1]\nsync_evry = '1h'")))
    assert {f"u1/{table}" for table in TABLES} | {"u1/misconfigured"} <= set(found)
    assert "sync_evry is not a setting" in str(found["u1/misconfigured"].description)
    assert "u2/misconfigured" not in found


def test_a_table_deleted_on_purpose_stops_its_shop(project: Path, connect: Callable[..., Connection]) -> None:
    connect("u1")
    load(project)
    found = specs(load(project, f"[u9]\n{GOOD}"))
    assert {name.split("/")[0] for name in found} == {"u9"}
    assert {name.split("/")[0] for name in specs(load(project, "[u9\n"))} == {"u9", "misconfigured"}
    assert specs(load(project, "# every shop is gone on purpose\n")) == {}
    assert [*specs(load(project, "[u9\n"))] == ["misconfigured"]


def test_a_shop_never_runs_under_two_names(project: Path, connect: Callable[..., Connection]) -> None:
    """A table that was copied above the old one: the old one must not go on beside it."""
    connect("u1")
    good = (project / "connections.toml").read_text("utf-8")
    load(project)
    keys = 'sitniks_key_env = "U1_SITNIKS_API_KEY"\nfinmap_key_env = "U1_FINMAP_API_KEY"\n'
    found = specs(load(project, good.replace("[u1]", f"[new]\n{keys}") + "\n" + good))
    assert {name for name in found if name.startswith("u1/")} == {"u1/misconfigured"}
    assert "new/operations" in found


def test_the_last_good_version_is_private_and_without_keys(
    project: Path, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (project / "connections.toml").read_text("utf-8")
    monkeypatch.setenv("SHOP_API_KEY", "s3cr3t-of-a-shop")
    load(project, f'{text}\n[bad]\n{GOOD}sitniks_api_key = "t0kensecret"\n[odd]\n{GOOD}channels = {{}}\n'
         f'[sly]\nstart_date = 2025-01-15\nfinmap_account = "s3cr3t-of-a-shop"\n')  # fmt: skip
    kept = project / "data" / "connections.last-good.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert '"u1"' in kept.read_text("utf-8")
    assert "t0kensecret" not in kept.read_text("utf-8")
    assert "s3cr3t" not in kept.read_text("utf-8")


def test_every_setting_survives_in_the_last_good_version(project: Path) -> None:
    text = (
        f'[u1]\n{GOOD}sync_every = "2h"\ndigest_at = "09:00"\nalerts = ["env:OWNER_URL"]\n'
        '[u1.accounts]\n"ФОП" = "Каса"\n[[u1.rules]]\nclassification = "packaging"\ndescription = ["коробк"]\n'
    )
    (project / "connections.toml").write_text(text, "utf-8")
    before = load_running()
    (project / "connections.toml").write_text("[u1\n", "utf-8")
    assert load_running().connections == before.connections
    assert load_running().goes_on == {"u1"}


def test_definitions_hold_no_key(project: Path, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("U1_SITNIKS_API_KEY")
    monkeypatch.delenv("U1_FINMAP_API_KEY")
    assert "u1/operations" in specs(load(project))  # nor do they need one: the sensor says what is missing
