import pytest

from sim2real.cli import main
from sim2real.errors import UnknownName
from sim2real.foreign import load_policy
from sim2real.foreign.specs import parse


@pytest.mark.parametrize(
    ("text", "label", "prefix", "place", "options"),
    [
        ("furuta-nominal-0", None, "", "furuta-nominal-0", {}),
        ("a/folder", None, "", "a/folder", {}),
        ("mine=a/folder", "mine", "", "a/folder", {}),
        ("sb3:a.zip", None, "sb3", "a.zip", {}),
        ("sb3:a.zip,normalize=b.pkl", None, "sb3", "a.zip", {"normalize": "b.pkl"}),
        ("mine=sb3:a.zip,normalize=none", "mine", "sb3", "a.zip", {"normalize": "none"}),
        ("onnx:/tmp/p=1.onnx", None, "onnx", "/tmp/p=1.onnx", {}),
        ("my_module:act", None, "python", "my_module:act", {}),
        ("my.module:Class.act", None, "python", "my.module:Class.act", {}),
        ("x=dir/file.py:act", "x", "python", "dir/file.py:act", {}),
    ],
)
def test_what_a_user_types_is_taken_apart(text, label, prefix, place, options):
    found = parse(text)
    assert (found.label, found.prefix, found.place, dict(found.options)) == (label, prefix, place, options)


@pytest.mark.parametrize("text", ["sb4:ppo.zip", "jax:x/y.msgpack", "sb3:a.zip,normalise=b"])
def test_an_unknown_kind_or_option_is_told_with_those_that_exist(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match="known: "):
        load_policy(text)


@pytest.mark.slow
def test_policies_of_others_need_a_world(tmp_path, capsys):
    (tmp_path / "rule.py").write_text("def act(seen):\n    return 0 * seen[:, :1]\n")
    spec = f"{tmp_path / 'rule.py'}:act"
    assert main(["evaluate", spec, "--out", str(tmp_path / "out")]) == 2
    assert "--world" in capsys.readouterr().err
    few = ["--variants", "nominal", "--episodes", "2", "--out", str(tmp_path / "out")]
    assert main(["evaluate", f"still={spec}", "--world", "furuta", *few]) == 0
    assert "still" in capsys.readouterr().out
    assert main(["evaluate", f"still={spec}", "furuta-nominal-0", *few]) == 0
    assert "nominal" in capsys.readouterr().out
