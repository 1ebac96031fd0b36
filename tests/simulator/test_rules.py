"""Rules and faults as values and as a file."""

import pytest

from aimkeeper.simulator import Faults, Rules, load


def test_a_file_gives_rules_and_faults_and_what_it_leaves_out_is_the_default(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text('[rules]\nidle_life = 15\nold_token = "grace"\n[faults]\nhang = 0.005\npaths = ["*"]\n')

    assert load(file) == (Rules(idle_life=15, old_token="grace"), Faults(hang=0.005, paths=("*",)))
    file.write_text("")
    assert load(file) == (Rules(), Faults())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[rules]\nidle = 15", "[rules] unknown key 'idle'; known are idle_life, token_life, "),
        ("[rules]\nidle_life = -1", "[rules] idle_life must be a number, 0 or more, not -1"),
        ("[rules]\nidle_life = true", "[rules] idle_life must be a number, 0 or more, not True"),
        ("[rules]\nidle_life = nan", "[rules] idle_life must be a number, 0 or more, not nan"),
        ("[rules]\nlockout_after = 1.5", "[rules] lockout_after must be a whole number, 0 or more, not 1.5"),
        ("[rules]\nforbid = 1", "[rules] forbid must be true or false, not 1"),
        ('[rules]\nold_token = "kind"', "[rules] old_token must be one of 'stateless', 'refuse', 'grace', 'strict', "),
        ("[rules]\nlogout_value = 2", "[rules] logout_value must be one of 1, True, '1', 0, not 2"),
        ('[rules]\ncontent_type = "a\\r\\nb"', "[rules] content_type must be a line of text, not 'a\\r\\nb'"),
        ("[faults]\nreset_before = 1.5", "[faults] reset_before must be a probability between 0 and 1, not 1.5"),
        ("[faults]\nempty = 0.6\nhang = 0.6", "[faults] at most one fault strikes a request, so their sum must not "),
        ('[faults]\npaths = "*"', "[faults] paths must be a list of texts, not '*'"),
        ("faults = 1", "faults must be a table, written [faults]"),
        ("[fault]", "unknown key 'fault'; the file has two tables, [rules] and [faults]"),
        ("[rules", " is not TOML: "),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_one_sentence_that_names_it(tmp_path, text, sentence):
    file = tmp_path / "plan.toml"
    file.write_text(text)

    with pytest.raises(ValueError) as refused:
        load(file)

    assert str(refused.value).startswith(str(file))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.toml")
