"""The pages of a queue over HTTP: who may, what is shown, what is kept, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pilothouse.evaluation.annotation.question import Question
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.evaluation.annotation.types import Choosing, Item, QueueSpec, Source
from pilothouse.experiments.annotation.web.app import ReviewApp
from pilothouse.experiments.annotation.web.types import Desk

from .asking import Browser

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202egpj.exe"
PAIR = Question(question="Which <b>is</b> better?", kind="pairwise")


@pytest.fixture
def reviews(services: Any) -> ReviewService:
    return services.get(ReviewService)


def make(reviews: ReviewService, n: int = 2, **given: Any) -> None:
    question = given.pop("question", Question(question="Is it polite?"))
    pairs = question.kind == "pairwise"
    items = [
        Item(id=str(number), inputs={"text": HOSTILE}, outputs={"a": "new"}, other={"a": "old"} if pairs else None,
             opinion=True, reason="it is <i>kind</i>")
        for number in range(n)
    ]  # fmt: skip
    source = Source(ref="run/r:1", candidate="run-of-the-new", baseline="run-of-the-old", judge="j")
    reviews.create(
        QueueSpec(name="q", question=question, source=source, choosing=Choosing(rows=n, kept=n), **given), items
    )


def browser(reviews: ReviewService, **desk: Any) -> Browser:
    return Browser(ReviewApp(reviews, Desk(queue="q", **desk)))


def test_a_reviewer_says_who_they_are_labels_to_the_end_and_sees_the_agreement(reviews: ReviewService) -> None:
    make(reviews, overlap=2)
    app = ReviewApp(reviews, Desk(queue="q"))
    for name, last in (("Ann", False), ("Ben", True)):
        one = Browser(app)
        assert "Your name" in one.get("/").text
        assert one.enter(name).status == 303
        assert "0 labelled by you, 2 left for you" in one.get("/").text
        assert one.label("yes").headers["location"] == "/?after=" + "0"
        assert one.label("no", comment="it is not").status == 303
        done = one.get("/").text
        assert ("how far reviewers agree is shown when all are in" in done) is not last
        assert ("all say the same" in done) is last
        assert "it is not" in one.get("/mine").text
    assert reviews.progress(reviews.get("q")).reviewers == {"Ann": 2, "Ben": 2}


def test_texts_of_strangers_are_shown_and_never_run_and_pairs_are_blind(reviews: ReviewService) -> None:
    make(reviews, question=PAIR)
    answer = browser(reviews, reviewer="Ann").get("/")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "U+202E" in answer.text
    assert "\x1b" not in answer.text
    assert "<b>is</b>" not in answer.text
    for word in ("run-of-the-new", "run-of-the-old", "candidate", "baseline", "kind"):
        assert word not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    for name, kind in (("review.css", "text/css"), ("review.js", "text/javascript")):
        assert browser(reviews).get(f"/page/{name}").headers["content-type"].startswith(kind)
    assert browser(reviews).get("/page/..%2fbase.html").status == 404


def test_the_judge_speaks_once_the_item_is_labelled(reviews: ReviewService) -> None:
    make(reviews, reveals=True)
    one = browser(reviews, reviewer="Ann")
    assert "it is &lt;i&gt;kind" not in one.get("/").text
    after = one.label("no").headers["location"]
    assert "the judge says yes: it is &lt;i&gt;kind" in one.get(after).text
    assert "the judge says" not in one.get("/?after=1").text


def test_a_label_is_changed_taken_back_skipped_and_pressed_twice(reviews: ReviewService) -> None:
    make(reviews, 3)
    queue = reviews.get("q")
    one = browser(reviews, reviewer="Ann")
    page = one.get("/")
    form = {"form_key": page.form_key, "place": page.place, "answer": "yes"}
    assert [one.post("/label", form).status for _ in range(2)] == [303, 303]
    assert one.post("/label", {**form, "answer": "no"}).status == 409
    assert one.post("/label", {**form, "answer": "no", "revises": "1"}).status == 303
    assert 'aria-pressed="true"' in one.get(f"/item/{page.place}").text
    second = one.get("/")
    assert one.post("/skip", {"form_key": form["form_key"], "place": second.place, "comment": "?"}).status == 303
    assert one.post("/undo", {"form_key": form["form_key"]}).status == 303
    assert one.get("/").place == second.place
    assert [item.state for item in reviews.history(queue)] == ["labelled", "labelled", "skipped", "withdrawn"]
    assert "no answer to this question" in one.label("perhaps").text
    assert one.get("/item/2").status == 403
    assert one.get("/item/99").status == 404
    reviews.set_status("q", "closed")
    assert "This queue is closed" in one.get("/").text
    assert one.post("/label", {**form, "place": "2"}).status == 409


def test_a_text_is_answered_and_an_empty_one_is_not(reviews: ReviewService) -> None:
    make(reviews, 1, question=Question(question="What is missing?", kind="text"))
    one = browser(reviews, reviewer="Ann")
    assert "the answer is empty" in one.label("  ").text
    assert one.label("the <price>").status == 303
    assert reviews.finals(reviews.get("q"))[0].label == "the <price>"
    assert "the &lt;price&gt;" in one.get("/mine").text


def test_other_sites_other_names_and_forged_forms_are_refused(reviews: ReviewService) -> None:
    make(reviews)
    app = ReviewApp(reviews, Desk(queue="q"))
    one = Browser(app)
    one.enter("Ann")
    page = one.get("/")
    form = {"form_key": page.form_key, "place": page.place, "answer": "yes"}
    assert one.post("/label", form, origin="http://evil.example").status == 403
    assert one.post("/label", form, origin="http://127.0.0.1:8090").status == 303
    assert Browser(app, "evil.example").get("/").status == 403
    assert one.post("/label", {**form, "form_key": "0" * 64}).status == 403
    assert one.post("/label", {**form, "place": "one"}).status == 400
    assert one.post("/label", {**form, "comment": "x" * 300_000}).status == 413
    assert Browser(app).post("/label", form).status == 403
    forged = Browser(app)
    forged.jar["pilothouse_reviewer"] = one.jar["pilothouse_reviewer"].replace("QW5u", "QmVu")
    assert "Your name" in forged.get("/").text
    assert Browser(app).post("/enter", {"form_key": Browser(app).get("/").form_key, "name": "\x00<b>"}).status == 400
    assert Browser(app).post("/enter", {"form_key": Browser(app).get("/").form_key, "name": "service:x"}).status == 400
    assert all("HttpOnly" in cookie and "SameSite=strict" in cookie for cookie in Browser(app).enter("Eve").cookies)


def test_another_address_wants_its_token_once(reviews: ReviewService) -> None:
    make(reviews)
    app = ReviewApp(reviews, Desk(queue="q", host="0.0.0.0").with_token("open sesame"))
    one = Browser(app, "box.example:8090")
    assert one.get("/").status == 401
    assert one.get("/?token=wrong").status == 401
    assert one.get("/page/review.js").status == 401
    entered = one.get("/?token=open%20sesame")
    assert (entered.status, entered.headers["location"]) == (303, "/")
    assert "Your name" in one.get("/").text
    assert "open sesame" not in repr(Desk(queue="q").with_token("open sesame"))
