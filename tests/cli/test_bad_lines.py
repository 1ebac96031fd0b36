"""Lines to adopt that are wrong: told with their numbers, while the good ones are kept."""

import json

F = "f" * 50

BAD_LINES = {
    b"{": "not JSON",
    b"[]": "not an object",
    b"null": "not an object",
    b"\xff\xfe{}": "not UTF-8 text",
    b'{"email": "x@example.com"}': "'token' is missing",
    b'{"token": "1|2|3"}': "'email' is missing",
    b'{"email": "x@example.com", "token": 5}': "'token' must be text",
    b'{"email": "rubbish", "fingerprint": "f", "token": "1|2|3"}': "not an e-mail address",
    b'{"email": "x@example.com", "token": "1|2|3"}': "'fingerprint' is missing, and AIMHARDER_FINGERPRINT is not set",
    b'{"email": "x@example.com", "fingerprint": "f f", "token": "1|2|3"}': "not a fingerprint",
    b'{"email": "x@example.com", "fingerprint": "f", "token": "1 2"}': "not a token",
    b'{"email": "x@example.com", "fingerprint": "f", "token": "1|2|3", "colour": 1}': "unknown field 'colour'",
    b'{"email": "x@example.com", "fingerprint": "f", "token": "1|2|3", "cookies": {}}': "'cookies' is not a list",
    b'{"email": "x@example.com", "fingerprint": "f", "token": "1|2|3", "cookies": [{}]}': "a cookie needs",
    b"[" * 5000: "not JSON",
    b'"' + b"a" * 70_000 + b'"': "longer than 64 KiB",
}


def test_malformed_lines_are_told_with_their_numbers_and_the_good_ones_are_kept(terminal, upstream):
    good = [json.dumps(upstream.grant(f"member{n}@example.com")).encode() for n in range(2)]
    lines = [good[0], b"", *BAD_LINES, b"   ", good[1]]
    (terminal.folder / "s.jsonl").write_bytes(b"\n".join(lines))

    ran = terminal.run("adopt", "s.jsonl")

    told = ran.err.splitlines()
    assert ran.status == 1
    assert ran.out.splitlines()[0] == f"Adopted 2, refused {len(BAD_LINES)}."
    assert [line.partition(":")[0] for line in told] == [f"line {n}" for n in range(3, 3 + len(BAD_LINES))]
    for line, problem in zip(told, BAD_LINES.values(), strict=True):
        assert problem in line
        assert line.endswith(".")
    kept = json.loads(terminal.run("sessions", "--json").out)
    assert [session["email"] for session in kept] == ["member0@example.com", "member1@example.com"]


def test_a_pair_kept_already_is_refused_by_its_line_unless_it_may_be_replaced(terminal, upstream):
    record = json.dumps(upstream.grant("ana@example.com")).encode()
    terminal.run("adopt", "-", stdin=record)

    again = terminal.run("adopt", "-", stdin=b"\n" + record)
    replaced = terminal.run("adopt", "--replace", "-", stdin=record)

    assert (again.status, again.out) == (1, "Adopted 0, refused 1.\n")
    assert again.err == f"line 2: ana@example.com#{F} is kept already: use --replace to put this token in its place.\n"
    assert replaced.status == 0


def test_standard_input_that_is_closed_holds_no_lines(terminal):
    ran = terminal.run("adopt", "-", stdin=None)

    assert (ran.status, ran.out, ran.err) == (0, "Adopted 0, refused 0.\n", "")
