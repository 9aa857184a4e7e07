"""The parts of Gradio's insides that we rely on are there, and behave as they did in the version that
`page.server.gradio_inside` was written for."""

import re
import time

import gradio as gr
import httpx
import pytest

from busi_model.page.server import gradio_inside
from tests.support.browser import PATIENCE_S, ROOT
from tests.support.panel import served_here


def test_this_is_the_gradio_that_the_wrapper_was_written_for():
    assert gr.__version__.startswith(f"{gradio_inside.WRITTEN_FOR}."), (
        f"Gradio {gr.__version__} is installed. Read through page/server/gradio_inside.py against it, run the tests, "
        "and set WRITTEN_FOR."
    )
    gradio_inside.check()


def test_nothing_else_of_ours_touches_what_is_private():
    """`_queue` and the like stand in one module, and private modules of packages in none."""
    inside = re.compile(r"\b(page|blocks|app)\._[a-z]|\.state_holder\b|processing_utils|from \w+(\.\w+)*\._\w+ import")
    for path in (ROOT / "busi_model").rglob("*.py"):
        found = inside.search(path.read_text(encoding="utf-8"))
        assert path.stem == "gradio_inside" or not found, f"{path.name}: {found[0]}"


@pytest.fixture
def asked(tmp_path):
    """A page with a counter in its state, its client, and the queue's refusals."""
    refusals = []
    with gr.Blocks(analytics_enabled=False) as page:
        state = gr.State(0)
        gr.Button().click(lambda n: (n + 1, n + 1), [state], [state, gr.Number()], api_name="count")
    page.queue()
    gradio_inside.before_each_push(page, lambda one, line, held: refusals[-1] if refusals else None)
    with served_here(page, tmp_path) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        yield page, client, refusals


def count(client, session):
    answer = client.post("/gradio_api/call/count", json={"data": [], "session_hash": session})
    if answer.status_code != 200:
        return answer.json()["detail"]
    return client.get(f"/gradio_api/call/count/{answer.json()['event_id']}").text


def test_a_push_is_refused_in_our_words(asked):
    _, client, refusals = asked
    assert "[null, 1]" in count(client, "a")
    refusals.append("not now")
    assert count(client, "a") == "not now"


def test_a_forgotten_session_begins_anew_and_others_go_on(asked):
    page, client, _ = asked
    for expected in (1, 2):
        assert all(f"[null, {expected}]" in count(client, session) for session in "ab")
    gradio_inside.forget_session(page, "a")
    gradio_inside.forget_session(page, "no such session")
    assert "[null, 1]" in count(client, "a") and "[null, 3]" in count(client, "b")


def test_a_forgotten_sessions_state_hears_of_it(tmp_path):
    """Also one that is no output of any event: Gradio itself tells only those that are."""
    told = []
    with gr.Blocks(analytics_enabled=False) as page:
        state = gr.State([], delete_callback=told.append)
        gr.Button().click(lambda held: held.append("mine"), [state], None, api_name="count")
    page.queue()
    with served_here(page, tmp_path) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        count(client, "a")
        gradio_inside.forget_session(page, "b")
        assert told == []
        gradio_inside.forget_session(page, "a")
    assert told == [["mine"]]


def test_an_events_session_is_known_until_its_answer_is_taken(asked):
    page, client, _ = asked
    event_id = client.post("/gradio_api/call/count", json={"data": [], "session_hash": "a"}).json()["event_id"]
    assert gradio_inside.session_of(page, event_id) == "a"
    assert gradio_inside.session_of(page, "no such event") is None
    assert gradio_inside.is_awaited(page, "a") and not gradio_inside.is_awaited(page, "b")
    client.get(f"/gradio_api/call/count/{event_id}")
    deadline = time.monotonic() + PATIENCE_S
    while gradio_inside.session_of(page, event_id) is not None:  # Gradio tidies after it has answered
        assert time.monotonic() < deadline, "an answered event is never forgotten"
        time.sleep(0.05)
    gradio_inside.forget_answers(page, "a")


def test_fetching_goes_through_our_transport(monkeypatch, tmp_path):
    class Told(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            raise LookupError("asked")

    monkeypatch.setattr(gradio_inside.processing_utils, "async_transport", None)
    gradio_inside.fetch_through(Told())
    with pytest.raises(LookupError, match="asked"):
        gradio_inside.processing_utils.ssrf_protected_download("http://huggingface.co/scan.png", str(tmp_path))
