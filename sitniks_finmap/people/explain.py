"""Support's question in one screen: what happened to one transaction, and why the two sides differ if they do."""

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.figures import counted, money
from sitniks_finmap.pipeline.ledger import OUT
from sitniks_finmap.pipeline.plan import Standing
from sitniks_finmap.pipeline.run import ConnectionRun


def explain(out: Console, run: ConnectionRun, transaction_id: str) -> bool:
    """Prints every version, the operation and its rule, every write attempt, and what Finmap has now.

    False when the transaction is not known.
    """
    with run.warehouse.transaction() as con:
        # The externalId of its operation, as preview prints it, will do.
        known = con.execute(
            "select transaction_id from finmap_upload where external_id = $1 "
            "union all select transaction_id from operations where external_id = $1",
            [transaction_id],
        ).fetchone()
        transaction_id = known[0] if known else transaction_id
        # The plan before the times are those of the shop: a decision is known by what it was about, in UTC.
        planned = con.execute(PLAN, [transaction_id, run.connection.timezone]).fetchall()
        con.execute(f"set timezone = '{run.connection.timezone}'")
        found = {name: con.execute(query, [transaction_id]).fetchall() for name, query in QUERIES.items()}
    if not found["versions"]:
        out.print(f"{run.connection.name}: no transaction {escape(transaction_id)} was ever read")
        return False
    out.print(f"[bold]{run.connection.name}: transaction {escape(transaction_id)}[/]")
    out.print("\n[bold]Sitniks said[/]")
    for version, first, last, run_id, missing, gone, payload in found["versions"]:
        seen = f"version {version}, read {first} to {last}, run {(run_id or '–')[:8]}"
        if gone:
            seen += f", [yellow]gone since {gone}[/]"
        elif missing:
            seen += f", [yellow]missing in the read of {missing}; the next read tells whether it is gone[/]"
        out.print(f"  {seen}\n    [dim]{escape(str(payload))}[/]")
    for number, status, channel, first, last, gone in found["order"]:
        said = ", ".join(one for one in (f"status {status}" if status else "", channel) if one)
        out.print(
            f"  order {escape(number)}: {escape(said)}, read {first} to {last}"
            + (f", [yellow]gone since {gone}[/]" if gone else "")
        )
    out.print("\n[bold]so Finmap should have[/]")
    for type, amount, when, account, classification, rule, comment in found["operation"]:
        out.print(f"  {type} {money(amount)} at {when} on {escape(account)}\n    {escape(comment)}")
        out.print(f"    {classification}, by {rule}")
    for (reason,) in found["rejected"]:
        out.print(f"  [yellow]nothing: {escape(reason)}[/]")
    if not found["operation"] and not found["rejected"]:
        out.print("  nothing")
    out.print("\n[bold]Finmap was told[/]")
    for external_id, state, type, amount, attempts, missing, error, due in found["ledger"]:
        out.print(
            f"  {escape(external_id)}: {state}, {type} {money(amount)}, {counted(attempts, 'attempt')}, looks included"
            + (f", not shown since {missing}" if missing and state not in OUT else "")
            + (f", {escape(error)}" if error else "")
            + (f", due again {due}" if due else "")
        )
    for when, method, path, status, outcome, took, error in found["writes"]:
        said = f"{when} {method} {escape(path)} → {status or '–'} {outcome}, {took} ms"
        out.print(f"    {said}{f', {escape(error)}' if error else ''}")
    if not found["ledger"]:
        out.print("  nothing")
    out.print("\n[bold]Finmap has now[/]")
    _print_finmap(out, run, [row[0] for row in found["ledger"]])
    out.print("\n[bold]differences[/]")
    for kind, explained, detail in found["differences"]:
        out.print(f"  {kind}{'' if explained else ' [red](unexplained)[/]'}: {escape(detail or '')}")
    for action, standing, why, due in planned:
        when = f", not before {due}" if due and standing == Standing.GO else ""
        out.print(f"  planned: {action}, {standing}{when}{f' ({escape(why)})' if why else ''}")
    if not found["differences"] and not planned:
        out.print("  none")
    return True


def _print_finmap(out: Console, run: ConnectionRun, external_ids: list[str]) -> None:
    for external_id in external_ids:
        try:
            operation = run.finmap.details(external_id)
        except ApiError as error:
            out.print(f"  [red]{escape(str(error))}[/]")
            return
        if operation is None:
            out.print(f"  {escape(external_id)}: nothing")
            continue
        has = operation.content
        when = has.occurred_at.astimezone(run.connection.zone).strftime("%Y-%m-%d %H:%M:%S")
        out.print(f"  {escape(external_id)}: {has.type} {money(has.amount)} at {when}\n    {escape(has.comment)}")
    if not external_ids:
        out.print("  nothing")


QUERIES = {
    "versions": """
        select version, strftime(first_seen_at, '%Y-%m-%d %H:%M'), strftime(last_seen_at, '%Y-%m-%d %H:%M'), run_id,
            strftime(missing_at, '%Y-%m-%d %H:%M'), strftime(gone_at, '%Y-%m-%d %H:%M'), payload
        from raw_sitniks_transactions where transaction_id = $1 order by version
    """,
    "order": """
        select
            coalesce(o.order_number, o.order_key), o.order_status, o.source,
            strftime(r.first_seen_at, '%Y-%m-%d %H:%M'), strftime(r.last_seen_at, '%Y-%m-%d %H:%M'),
            strftime(r.gone_at, '%Y-%m-%d %H:%M')
        from operations o
        join raw_sitniks_orders r on r.order_id = o.order_key and r.version = o.order_version
        where o.transaction_id = $1
    """,
    "operation": """
        select
            o.type, o.amount, strftime(o.occurred_at, '%Y-%m-%d %H:%M:%S'), coalesce(a.label, o.account),
            o.classification,
            'rule ' || r.position || coalesce(', sign ' || r.sign, '')
                || if(len(r.sources) > 0, ', source has one of ' || array_to_string(r.sources, ' / '), '')
                || if(len(r.descriptions) > 0, ', description has one of ', '')
                || array_to_string(r.descriptions, ' / '),
            o.comment
        from operations o
        left join finmap_accounts a using (account)
        left join classification_rules r on r.position = o.rule
        where o.transaction_id = $1
    """,
    "rejected": "select reason || coalesce(': ' || written, '') from rejected_transactions where transaction_id = $1",
    "ledger": """
        select
            external_id, state, coalesce(written, shown, refused, intents[1]).type,
            coalesce(written, shown, refused, intents[1]).amount,
            attempts, strftime(missing_since, '%Y-%m-%d %H:%M'), last_error, strftime(next_attempt_at, '%Y-%m-%d %H:%M')
        from finmap_upload where transaction_id = $1 order by generation
    """,
    "writes": """
        select strftime(requested_at, '%Y-%m-%d %H:%M:%S'), method, path, http_status, outcome, milliseconds, error
        from finmap_requests
        where external_id in (select external_id from finmap_upload where transaction_id = $1)
        order by requested_at
    """,
    "differences": "select kind, explained, detail from differences where transaction_id = $1",
}
PLAN = """
    select action, standing, why, strftime(timezone($2, due_at), '%Y-%m-%d %H:%M')
    from plan where transaction_id = $1
"""
