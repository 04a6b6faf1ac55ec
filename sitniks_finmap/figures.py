"""Formats counts for logs and errors: 2,271 operations, 1 operation. What a person reads is said by language/."""


def counted(count: int, noun: str) -> str:
    """Format a count with its noun, given in the singular: "1 operation", "2,271 operations"."""
    if count == 1:
        return f"1 {noun}"
    ends_in_ies = noun.endswith("y") and noun[-2] not in "aeiou"
    return f"{count:,} {f'{noun[:-1]}ies' if ends_in_ies else f'{noun}s'}"
