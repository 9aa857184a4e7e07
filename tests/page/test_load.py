"""Many users at once, small: `benchmarks.load` measures the same at full size."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import httpx
import pytest
from starlette.testclient import TestClient

from benchmarks import load
from busi_model.page import serve, strings
from busi_model.page.server import queue as page_queue
from busi_model.page.server.access_rules import AccessRules
from tests.support.browser import PATIENCE_S
from tests.support.panel import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(predictor):
    return load.pictures(predictor, 8)


def test_everyone_gets_the_answer_to_their_own_picture_beside_a_slow_and_a_broken_upload(address, made):
    url = address.rstrip("/")
    with ThreadPoolExecutor(2) as others:
        slow = others.submit(load.send_raw, url, load.form(made[0].png), 20, 0.2)
        broken = others.submit(load.send_raw, url, load.form(made[1].png), 4, 0.01, 0.6)
        counts, seconds = load.run_clients(url, made, 24)
        broken.result()
        answer = slow.result()
    assert counts == {"answered": 24, "busy": 0, "lost": 0, "mixed up": 0} and len(seconds) == 24
    path = re.search(rb'\["(.+)"\]', answer)[1].decode()
    assert load.read_uploaded(url, path, made[0]) == "answered"


def test_an_answer_to_another_picture_is_told(made):
    assert load.is_of(made[0], made[0].class_probabilities, made[0].mask)
    assert not load.is_of(made[0], made[1].class_probabilities, made[1].mask)
    assert not load.is_of(made[0], made[0].class_probabilities, ~made[0].mask)


def test_a_full_line_is_told_in_words_and_keeps_no_other_kind_of_event_waiting():
    with gr.Blocks() as page:
        gr.api(lambda: "read", api_name="read", concurrency_limit=1, concurrency_id="read")
        gr.api(lambda: "saved", api_name="save", concurrency_id="save")
    page_queue.limit(page, places=2)
    body = {"data": []}
    app = gr.routes.App.create_app(page)
    with TestClient(app) as client:  # the queue is not started, so nothing leaves the line
        answers = [client.post("/gradio_api/call/read", json=body) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 503]
        assert answers[2].json()["detail"] == strings.BUSY.format(before=2)
        assert client.post("/gradio_api/call/save", json={"data": []}).status_code == 200


def test_readers_who_all_wait_leave_room_for_others():
    """As when the database is locked: Gradio's own forty places would be taken."""
    n_waiting, go_on = 60, threading.Event()
    arrived = threading.Barrier(n_waiting + 1)

    def save() -> str:
        arrived.wait(PATIENCE_S)
        go_on.wait(PATIENCE_S)
        return "saved"

    def read() -> str:
        return "read"

    with gr.Blocks(analytics_enabled=False) as page:
        gr.api(save, api_name="save", concurrency_limit=None)
        gr.api(read, api_name="read", concurrency_id="read")
    page_queue.limit(page)
    server = serve(page, AccessRules(), "127.0.0.1", [free_port()])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}/gradio_api/call/", timeout=PATIENCE_S) as client:
            asked = [client.post("save", json={"data": []}).json()["event_id"] for _ in range(n_waiting)]
            arrived.wait(PATIENCE_S)  # all of them are under way
            read = client.post("read", json={"data": []}).json()["event_id"]
            assert '["read"]' in client.get(f"read/{read}").text
            go_on.set()
            assert all('["saved"]' in client.get(f"save/{event}").text for event in asked)
    finally:
        go_on.set()
        server.stop()
