from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from inhouse.catalog.evaluation import results
from inhouse.catalog.evaluation.grading import Call, Contains, Equals, Grade, Json, Matches, Reply
from inhouse.catalog.evaluation.results import Evaluation, Group, grade
from inhouse.catalog.evaluation.tasks import Task, Tasks, basic_tasks, load_tasks
from inhouse.storage.database import Database

WEATHER = {"by": "call", "name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}


def passes(graded: dict[str, Any], reply: str | list[tuple[str, str]] | None) -> bool:
    message: dict[str, Any] = {"content": None}
    if isinstance(reply, list):
        message["tool_calls"] = [{"id": "call_1", "function": {"name": n, "arguments": a}} for n, a in reply]
    else:
        message["content"] = reply
    kind: Any = Grade
    return bool(msgspec.convert(graded, kind).passes(msgspec.convert(message, Reply)))


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("43", True),
        (" **43.**\n", True),
        ("1,200", True),
        ("1200", True),
        ("The answer is 43", False),
        ("430", False),
        ("-43", False),
        ("4 3", False),
        ("", False),
        (None, False),
        ([("f", "{}")], False),
    ],
)
def test_equals(reply: Any, right: bool) -> None:
    assert passes({"by": "equals", "any": ["43", "1200"]}, reply) is right


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("It is paris, of course.", True),
        ("There are 15.", True),
        ("On 22  July", True),
        ("1,015 of them", False),
        ("150", False),
        ("-15", False),
        ("1.15", False),
        ("15.5", False),
        ("comparison", False),
        ("On 22 June", False),
        (None, False),
    ],
)
def test_contains(reply: Any, right: bool) -> None:
    assert passes({"by": "contains", "any": ["Paris", "15", "22 July"]}, reply) is right


@pytest.mark.parametrize(
    ("reply", "right"), [(" LATER\n", True), ("Later", False), ("LATER.", False), ("I say LATER", False), (None, False)]
)
def test_matches(reply: Any, right: bool) -> None:
    assert passes({"by": "matches", "pattern": "LATER"}, reply) is right


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ('{"on": true, "names": ["Ada", "Bo"], "n": 2, "who": null}', True),
        ('{"who": null, "n": 2.0, "names": ["ada", " Bo."], "on": true}', True),
        ('{"on": 1, "names": ["Ada", "Bo"], "n": 2, "who": null}', False),
        ('{"on": true, "names": ["Bo", "Ada"], "n": 2, "who": null}', False),
        ('{"on": true, "names": ["Ada"], "n": 2, "who": null}', False),
        ('{"on": true, "names": "Ada", "n": 2, "who": null}', False),
        ('{"on": true, "names": ["Ada", "Bo"], "n": "2", "who": null}', False),
        ('{"on": true, "names": ["Ada", "Bo"], "n": true, "who": null}', False),
        ('{"on": true, "names": ["Ada", "Bo"], "n": 2}', False),
        ('{"on": true, "names": ["Ada", "Bo"], "n": 2, "who": null, "more": 1}', False),
        ('```json\n{"on": true, "names": ["Ada", "Bo"], "n": 2, "who": null}\n```', False),
        ('{"on": true, "names": ["Ada", "Bo"]', False),
        ("[]", False),
        (None, False),
    ],
)
def test_json(reply: Any, right: bool) -> None:
    wanted = {"on": True, "names": ["Ada", "Bo"], "n": 2, "who": None}
    assert passes({"by": "json", "value": wanted}, reply) is right


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ([("get_weather", '{"city": "oslo", "days": 2}')], True),
        ([("get_forecast", '{"city": "Oslo", "days": 2}')], False),
        ([("get_weather", '{"city": "Bergen", "days": 2}')], False),
        ([("get_weather", '{"city": "Oslo"}')], False),
        ([("get_weather", '{"city": "Oslo", "days": "2"}')], False),
        ([("get_weather", '{"city": "Oslo", "days": 2, "unit": "C"}')], False),
        ([("get_weather", "{")], False),
        ([("get_weather", '{"city": "Oslo", "days": 2}')] * 2, False),
        ('{"city": "Oslo", "days": 2}', False),
        (None, False),
    ],
)
def test_a_call(reply: Any, right: bool) -> None:
    assert passes(WEATHER, reply) is right


def test_the_tasks_of_the_package() -> None:
    basic = basic_tasks()
    assert basic.name == "basic-1"
    groups = grade(basic.tasks, {task.id: right(task) for task in basic.tasks})
    assert [group.name for group in groups] == [
        *("arithmetic", "facts", "instructions", "JSON", "function calls", "reading")
    ]
    assert all(group.passed == group.total >= 6 for group in groups), "each can be passed"
    assert [group.passed for group in grade(basic.tasks, {})] == [0] * 6
    for task in basic.tasks:
        assert not task.grade.passes(Reply("I do not know"))
        if isinstance(task.grade, Json):
            assert isinstance(task.response_format, dict)
            jsonschema.validate(task.grade.value, task.response_format["json_schema"]["schema"])
        if isinstance(task.grade, Call):
            assert isinstance(task.tools, list)
            functions = {tool["function"]["name"]: tool["function"]["parameters"] for tool in task.tools}
            jsonschema.validate(task.grade.arguments, functions[task.grade.name])


def right(task: Task) -> Reply:
    """The answer that a task wants."""
    match task.grade:
        case Equals(any=[text, *_]) | Contains(any=[text, *_]):
            return Reply(text)
        case Json(value=value):
            return Reply(msgspec.json.encode(value).decode())
        case Call(name=name, arguments=arguments):
            call = {"function": {"name": name, "arguments": msgspec.json.encode(arguments).decode()}}
            return msgspec.convert({"tool_calls": [call]}, Reply)
        case Matches():
            return Reply(
                {
                    "instructions-1": "HARBOUR",
                    "instructions-2": "Apple, pear, plum",
                    "instructions-3": "- Rhine\n- Elbe",
                    "instructions-6": "blue-lamp_42",
                    "instructions-7": "LATER",
                }[task.id]
            )
    raise AssertionError(task)


def test_a_task_as_a_request() -> None:
    task = msgspec.convert(
        {"id": "a", "group": "g", "messages": [{"role": "user", "content": "?"}], "grade": WEATHER, "max_tokens": 5},
        Task,
    )
    line = msgspec.json.decode(task.line("m"))
    assert (line["custom_id"], line["url"]) == ("a", "/v1/chat/completions")
    assert line["body"] == {"model": "m", "messages": task.messages, "temperature": 0, "max_completion_tokens": 5}


LINE = '{"id": "a", "group": "g", "messages": [{"role": "user", "content": "?"}], "grade": %s}\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n", "there are no tasks"),
        (LINE % '{"by": "equals", "any": ["1"]}' + "nonsense\n", "line 2: "),
        (LINE % '{"by": "equals", "any": ["1"]}' * 2, "line 2: there is another task 'a'"),
        (LINE % '{"by": "equals", "any": []}', "line 1: .*length >= 1"),
        (LINE % '{"by": "equals", "any": ["."]}', "needs a letter or a digit"),
        (LINE % '{"by": "matches", "pattern": "("}', "no regular expression"),
        (LINE % '{"by": "taste", "any": ["1"]}', "line 1: Invalid value 'taste'"),
        (LINE % '{"by": "contains", "all": ["1"]}', "line 1: "),
    ],
)
def test_files_that_are_wrong(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text(text)
    with pytest.raises(ValueError, match=reason):
        load_tasks(tmp_path / "own.jsonl")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own-3.jsonl").write_text(LINE % '{"by": "equals", "any": ["1"]}' + "\n")
    given = load_tasks(tmp_path / "own-3.jsonl")
    assert given == Tasks("own-3", given.tasks)
    assert given.tasks[0].grade == Equals(["1"])


def test_what_the_guide_shows(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "console.md").read_text()
    lines = re.findall(r'^{"id": .*$', guide, re.M)
    grades = re.findall(r'^\| `({"by": .*?})` \|', guide, re.M)
    lines += [LINE.replace('"a"', f'"{number}"').strip() % each for number, each in enumerate(grades)]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    kinds = [type(task.grade) for task in load_tasks(tmp_path / "mine.jsonl").tasks]
    assert kinds == [Equals, Equals, Contains, Matches, Json, Call]


async def test_the_newest_result_of_a_deployment(database: Database) -> None:
    def result(model: str, deployment: str, passed: int) -> Evaluation:
        return Evaluation(
            model=model,
            deployment=deployment,
            served_by="Qwen",
            tasks="basic-1",
            groups=[Group("facts", passed, 7), Group("reading", 1, 6)],
            batch_id=f"batch_{passed}",
            project_id="proj_1",
            created_at=1_700_000_000_000_000,
        )

    async def newest(model: str, deployment: str) -> Evaluation | None:
        return await database.read(lambda connection: results.newest(connection, model, deployment))

    assert await newest("m", "d") is None
    for each in (result("m", "d", 2), result("m", "d", 5), result("m", "other", 7), result("n", "d", 6)):
        await database.write(lambda connection, each=each: results.add(connection, each))  # type: ignore[misc]
    found = await newest("m", "d")
    assert found == result("m", "d", 5)
    assert (found.passed, found.total, found.at.year) == (6, 13, 2023)
    assert await newest("m", "other") == result("m", "other", 7)
    assert await newest("n", "other") is None
