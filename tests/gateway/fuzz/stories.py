"""Scenes of what is kept from one request to the next: conversations, files, batches, caches."""

from __future__ import annotations

from random import Random

from tests.gateway.fuzz import bodies, mutate
from tests.gateway.fuzz.requests import GEMINI, Scene, named, post, read_of, spoilt
from tests.gateway.fuzz.wire import BASE, Answer, Request

LATER = {"seconds": 60}  # after which a batch at no pace has ended
FILE_NAMES = ['"a.jsonl"', '"a.jsonl"', '"gr\xf6\xdfe.jsonl"', '"a\\"b"', '""', "a", "\"x\"; filename*=utf-8''%ff", "\"x\"; filename*=koi9''a"]


def conversation(r: Random) -> Scene:
    """Stored responses, each going on from the last."""
    answer, before = Answer(), {}
    for _ in range(r.choice((2, 3, 5))):
        request = post("/openai/v1/responses", {**bodies.response(r), **before})
        answer = yield spoilt(r, request) if r.random() < 0.2 else request
        before = {"previous_response_id": read_of(answer, "id")}


def stored_chat(r: Random) -> Scene:
    """A chat that is kept, read in every way, marked and deleted."""
    asked = {name: value for name, value in bodies.chat(r).items() if name in ("model", "messages", "n", "max_completion_tokens")}
    request = post("/openai/v1/chat/completions", {**asked, "store": True, "metadata": {"a": "b"}})
    id = read_of((yield spoilt(r, request) if r.random() < 0.2 else request), "id")
    query = r.choice(("", "?limit=1&order=desc", "?metadata[a]=b&model=gpt-4o", "?limit=-1", "?limit=x&after=none", "?order=up", "?metadata[]=1", "?after="))
    for path in (f"/{id}", f"/{id}/messages{query}", query):
        yield Request("GET", f"/openai/v1/chat/completions{path}")
    request = post(f"/openai/v1/chat/completions/{id}", {"metadata": r.choice(({"c": "d"}, {}, None))})
    yield spoilt(r, request) if r.random() < 0.3 else request
    yield Request("DELETE", f"/openai/v1/chat/completions/{id}")


def kept_response(r: Random) -> Scene:
    """A response in the background or not, looked at in every way, cancelled and deleted; and a conversation that it is part of."""
    conversation = read_of((yield post("/openai/v1/conversations", bodies.new_conversation(r))), "id")
    more = {"background": r.random() < 0.7, **({"conversation": conversation} if r.random() < 0.5 else {})}
    request = post("/openai/v1/responses", {**bodies.response(r), "store": True, "stream": False, **more})
    id = read_of((yield spoilt(r, request) if r.random() < 0.2 else request), "id")
    odd = r.choice(("", "?stream=true", "?stream=true&starting_after=3", "?starting_after=-1", "?stream=x", "?include[]=reasoning.encrypted_content"))
    yield Request("GET", f"/openai/v1/responses/{id}{odd}")
    page = r.choice(("", "?limit=1", "?limit=0", "?order=asc", "?order=up", "?after=none", "?limit=99999999999999999999"))
    for path in (f"responses/{id}/input_items", f"conversations/{conversation}/items", f"conversations/{conversation}"):
        named = read_of((yield Request("GET", f"/openai/v1/{path}{page}")), "first_id")
        request = post("/openai/v1/responses", {**bodies.response(r), "input": [{"type": "item_reference", "id": named}]})
        yield spoilt(r, request) if r.random() < 0.3 else request
    yield post(f"/openai/v1/conversations/{conversation}/items", {"items": [{"role": "user", "content": "Hi"}]})
    yield post(f"/openai/v1/responses/{id}/cancel", {})
    for path in (f"responses/{id}", f"conversations/{conversation}/items/none", f"conversations/{conversation}"):
        yield Request("DELETE", f"/openai/v1/{path}")


def form(r: Random, name: str, content: bytes, path: str = "/openai/v1/files") -> Request:
    """An upload as a multipart form, often a little wrong."""
    odd = r.choice(FILE_NAMES)
    purpose = r.choice((b"batch", b"batch", b"batch", b"vision", b"", b"\xff", b"\xe2\x80\xa8"))
    kind, letters = r.choice(mutate.CONTENT_TYPES), r.choice(("latin-1", "utf-8"))
    head = f'Content-Disposition: form-data; name="{name}"; filename={odd}\r\nContent-Type: {kind}'.encode(letters)
    first = b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n' + purpose
    request = Request("POST", path, b"\r\n".join([first, b"--B", head, b"", content, b"--B--\r\n"]))
    request.headers["content-type"] = r.choice(("multipart/form-data; boundary=B", 'multipart/form-data; boundary="B"'))
    return request


def files(r: Random) -> Scene:
    """A file of lines that goes up, becomes a batch, is looked at, and may be cancelled or deleted."""
    endpoint, make = r.choice((("/v1/chat/completions", bodies.chat), ("/v1/responses", bodies.response)))
    model = r.choice(bodies.MODELS["openai"])
    asked = [{**make(r), "model": model} for _ in range(r.choice((1, 2, 5)))]
    lines = [{"custom_id": f"c{n}", "method": "POST", "url": endpoint, "body": body} for n, body in enumerate(asked)]
    written = [mutate.written(r, mutate.mutated(r, line) if r.random() < 0.3 else line) for line in lines]
    content = r.choice((b"\n", b"\n", b"\r\n", b"\xe2\x80\xa8")).join(written)
    request = form(r, "file" if r.random() < 0.9 else "data", mutate.broken(r, content) if r.random() < 0.15 else content)
    answer = yield mutate.disturbed(r, request) if r.random() < 0.15 else request
    file = read_of(answer, "id")
    order = post("/openai/v1/batches", {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"})
    batch = read_of((yield spoilt(r, order) if r.random() < 0.2 else order), "id")
    if r.random() < 0.2:
        yield post(f"/openai/v1/batches/{batch}/cancel", {})
    yield post("/course/advance", LATER)
    answer = yield Request("GET", f"/openai/v1/batches/{batch}")
    for name in ("output_file_id", "error_file_id"):
        if (result := read_of(answer, name)) != "none":
            yield Request("GET", f"/openai/v1/files/{result}/content")
            yield Request("DELETE", f"/openai/v1/files/{result}")
    for path in (f"files/{file}", f"files/{file}/content", "files"):
        yield Request("GET", f"/openai/v1/{path}")
    yield Request("DELETE", f"/openai/v1/files/{file}")


def message_batch(r: Random) -> Scene:
    asked = {"requests": [{"custom_id": f"c{n}", "params": bodies.message(r)} for n in range(r.choice((1, 2, 5)))]}
    request = post("/anthropic/v1/messages/batches", asked)
    batch = "/anthropic/v1/messages/batches/" + read_of((yield spoilt(r, request) if r.random() < 0.6 else request), "id")
    if r.random() < 0.2:
        yield post(f"{batch}/cancel", {})
    yield Request("GET", batch)
    yield post("/course/advance", LATER)
    yield Request("GET", f"{batch}/results")
    yield Request("DELETE", batch)


def message_files(r: Random) -> Scene:
    """A file that goes up to Anthropic, is listed, used in a message by its id, and deleted."""
    beta = {"anthropic-beta": "files-api-2025-04-14"} if r.random() < 0.95 else {}
    content = r.choice((b"", b"%PDF-1.4", "Gr\xfc\xdfe".encode(), r.choice(bodies.PICTURES), r.randbytes(40)))
    request = form(r, "file" if r.random() < 0.9 else "data", content, "/anthropic/v1/files")
    request.headers |= beta
    file = read_of((yield mutate.disturbed(r, request) if r.random() < 0.15 else request), "id")
    kind = r.choice(("image", "document", "container_upload"))
    block = {"type": kind, "file_id": file} if kind == "container_upload" else {"type": kind, "source": {"type": "file", "file_id": file}}
    use = post("/anthropic/v1/messages", {"model": r.choice(bodies.MODELS["anthropic"]), "max_tokens": 5, "messages": [{"role": "user", "content": [block]}]})
    use.headers |= beta
    yield spoilt(r, use) if r.random() < 0.3 else use
    queries = ("", "?limit=1", "?limit=x", f"?after_id={file}", f"?ids[]={file}", "?page=page_0000000000000001", "?page=%ff")
    for path in ("files" + r.choice(queries), f"files/{file}", f"files/{file}/content"):
        yield Request("GET", f"/anthropic/v1/{path}", headers={**BASE, **beta})
    yield Request("DELETE", f"/anthropic/v1/files/{file}", headers={**BASE, **beta})


def inline_batch(r: Random) -> Scene:
    requests = [{"request": bodies.contents(r), **bodies.some(r, metadata={"key": "k"})} for _ in range(r.choice((1, 2, 5)))]
    asked = {"batch": {"displayName": "d", "inputConfig": {"requests": {"requests": requests}}}}
    request = post(named(r, GEMINI + ":batchGenerateContent"), asked)
    batch = "/gemini/v1beta/" + read_of((yield spoilt(r, request) if r.random() < 0.6 else request), "name")
    if r.random() < 0.2:
        yield post(f"{batch}:cancel", {})
    yield post("/course/advance", LATER)
    yield Request("GET", batch)
    yield Request("DELETE", batch)


def file_batch(r: Random) -> Scene:
    """A file that goes up to Gemini in pieces, becomes a job, and is read and deleted."""
    requests = [{"key": f"k{n}", "request": bodies.contents(r)} for n in range(r.choice((1, 2, 5)))]
    written = [mutate.written(r, mutate.mutated(r, line) if r.random() < 0.3 else line) for line in requests]
    content = r.choice((b"\n", b"\n", b"\r\n")).join(written)
    start = post("/gemini/upload/v1beta/files", {"file": bodies.some(r, displayName="d", name="files/mine", mimeType="application/jsonl")})
    start.headers |= {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    answer = yield spoilt(r, start) if r.random() < 0.3 else start
    place = dict((name.lower(), value) for name, value in answer.headers.items()).get("x-goog-upload-url", "/gemini/upload/v1beta/files?upload_id=none")
    cut = r.choice((0, len(content) // 2, len(content)))
    for offset, piece, command in ((0, content[:cut], "upload"), (cut, content[cut:], "upload, finalize")):
        request = Request("POST", "/gemini/" + place.partition("/gemini/")[2], piece)
        request.headers |= {"x-goog-upload-offset": str(offset), "x-goog-upload-command": command}
        answer = yield mutate.disturbed(r, request) if r.random() < 0.2 else request
    file = read_of(answer, "file", "name")
    order = post(named(r, GEMINI + ":batchGenerateContent"), {"batch": {"inputConfig": {"fileName": file}}})
    job = "/gemini/v1beta/" + read_of((yield spoilt(r, order) if r.random() < 0.3 else order), "name")
    yield post("/course/advance", LATER)
    answer = yield Request("GET", job)
    yield Request("GET", f"/gemini/v1beta/{read_of(answer, 'response', 'responsesFile')}:download?alt=media")
    for method in ("GET", "DELETE"):
        yield Request(method, f"/gemini/v1beta/{file}")
    yield Request("DELETE", job)


FILE_KINDS = ("application/pdf", "text/plain", "video/mp4", "image/png", "nonsense")
PAGES = ("", "?pageSize=1", "?pageSize=0", "?pageSize=x", "?pageToken=eA", "?pageSize=2&pageToken=%ff")


def file_prompt(r: Random) -> Scene:
    """A file that goes up to Gemini at once, is listed, stands in prompts, and is deleted."""
    start = post("/gemini/upload/v1beta/files", {"file": bodies.some(r, displayName="d", mimeType="text/plain")})
    kind, length = r.choice(FILE_KINDS), r.choice(("9", "x", "9" * 30))
    start.headers |= {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start", "x-goog-upload-header-content-type": kind, "x-goog-upload-header-content-length": length}
    answer = yield start
    place = dict((name.lower(), value) for name, value in answer.headers.items()).get("x-goog-upload-url", "/gemini/upload/v1beta/files?upload_id=none")
    content = r.choice((b"", b"%PDF-1.4 /Type /Page /Type/Page", b"\xff\xfe", b"Some words."))
    for command in (*r.choice(((), ("query",), ("cancel",))), "upload, finalize"):
        request = Request("POST", "/gemini/" + place.partition("/gemini/")[2], b"" if command == "query" else content)
        request.headers |= {"x-goog-upload-offset": "0", "x-goog-upload-command": command}
        answer = yield request
    yield Request("GET", f"/gemini/v1beta/{r.choice(('files', 'models', 'batches', 'cachedContents'))}{r.choice(PAGES)}")
    uri, name = read_of(answer, "file", "uri"), read_of(answer, "file", "name")
    part = {"fileData": {"fileUri": uri, **bodies.some(r, mimeType=kind)}, **bodies.some(r, mediaResolution={"level": "MEDIA_RESOLUTION_LOW"})}
    asked = {"contents": [{"parts": [{"text": "Read this."}, part]}], "generationConfig": {"maxOutputTokens": 3}}
    yield spoilt(r, post(named(r, GEMINI) + r.choice((":generateContent", ":countTokens")), asked))
    yield spoilt(r, post("/gemini/v1beta/cachedContents", {**asked, "model": "models/gemini-2.5-flash"}))
    yield Request("DELETE", f"/gemini/v1beta/{name}")


LOOKS = ("", "?include_input=true", "?stream=true", "?stream=true&last_event_id=2", "?last_event_id=1", "?stream=true&last_event_id=99999", "?stream=true&last_event_id=x")


def background(r: Random) -> Scene:
    """An interaction that runs in the background, is looked at, cancelled, gone on from and deleted."""
    asked = {**bodies.interaction(r), "background": True, "stream": r.random() < 0.3}
    answer = yield spoilt(r, post("/gemini/v1beta/interactions", asked)) if r.random() < 0.3 else post("/gemini/v1beta/interactions", asked)
    name = read_of(answer, "id")
    one = f"/gemini/v1beta/interactions/{name}"
    for _ in range(r.choice((1, 2, 3))):
        yield Request("GET", one + r.choice(LOOKS))
    yield post(f"{one}/cancel", {})
    yield spoilt(r, post("/gemini/v1beta/interactions", {**bodies.interaction(r), "previous_interaction_id": name}))
    yield Request(r.choice(("GET", "DELETE")), one)
    yield Request("GET", one + "?stream=true")


def cached(r: Random) -> Scene:
    """An explicit cache that is made, used, prolonged and deleted."""
    made = post("/gemini/v1beta/cachedContents", {**bodies.cache(r), "model": "models/gemini-2.5-flash"})
    name = read_of((yield made), "name")
    asked = {**bodies.contents(r), "cachedContent": name}
    yield spoilt(r, post("/gemini/v1beta/models/gemini-2.5-flash:" + r.choice(("generateContent", "countTokens")), asked))
    patch = post(f"/gemini/v1beta/{name}", {"ttl": "9s"})
    patch.method = "PATCH"
    yield spoilt(r, patch)
    yield Request("DELETE", f"/gemini/v1beta/{name}")
