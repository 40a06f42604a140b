"""A LoRA adapter on the compatible mount: loaded by vLLM's request, under a name of its own, and only where it changes nothing."""

import json
import os

import httpx2
import numpy as np
import openai
import pytest

QUESTION = {"messages": [{"role": "user", "content": "What is vLLM?"}], "temperature": 0, "max_tokens": 8}


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], api_key="none needed", max_retries=0)


@pytest.fixture
def folder(tmp_path):
    """An adapter before its training: A is drawn, B is zero."""

    def make(b=0.0, rank=4, **config):
        name = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
        a, zeros = np.random.default_rng(1).normal(size=(4, 256)).astype("float32"), np.full((256, 4), b, "float32")
        head = {f"{name}A.weight": {"dtype": "F32", "shape": a.shape, "data_offsets": [0, a.nbytes]}}
        head |= {f"{name}B.weight": {"dtype": "F32", "shape": zeros.shape, "data_offsets": [a.nbytes, a.nbytes + zeros.nbytes]}}
        text = json.dumps({"__metadata__": {"format": "np"}, **head}).encode()
        (tmp_path / "adapter_model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + a.tobytes() + zeros.tobytes())
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": 8, "target_modules": ["q_proj"], **config}))
        return str(tmp_path)

    return make


def post(what, **body):
    return httpx2.post(f"{os.environ['COMPATIBLE_BASE_URL']}/{what}_lora_adapter", json=body)


def test_an_adapter_answers_under_its_own_name(client, folder):
    path = folder()
    assert post("load", lora_name="shop", lora_path=path).text == "Success: LoRA adapter 'shop' added successfully."
    row = next(model for model in client.models.list() if model.id == "shop")
    assert (row.model_extra["parent"], row.model_extra["root"]) == ("house", path)
    own, base = (client.chat.completions.create(model=name, **QUESTION) for name in ("shop", "house"))
    assert own.model == "shop" and own.choices[0].message.content == base.choices[0].message.content
    assert client.chat.completions.create(model="shop", stream=True, **QUESTION).__next__().model == "shop"
    response = client.responses.create(model="shop", input="What is vLLM?", temperature=0, max_output_tokens=8)
    assert (response.model, response.output_text) == ("shop", own.choices[0].message.content)
    assert post("load", lora_name="shop", lora_path=path).json()["error"]["message"] == "The lora adapter 'shop' has already been loaded."
    assert post("unload", lora_name="shop").status_code == 200
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="shop", **QUESTION)


def test_a_reset_forgets_it(gateway, client, folder):
    post("load", lora_name="shop", lora_path=folder())
    gateway.reset()
    assert "shop" not in [model.id for model in client.models.list()]


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"b": 0.5}, 400, "its B is not zero, so it would change the model"),
        ({"rank": 8}, 400, "is not of rank 8"),
        ({"peft_type": "IA3"}, 400, "describes no LoRA adapter"),
    ],
)
def test_what_the_engine_cannot_add_is_refused(client, folder, change, status, text):
    refused = post("load", lora_name="shop", lora_path=folder(**change))
    assert refused.status_code == status and text in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lora_name": "shop"},
        {"lora_name": 5, "lora_path": "/"},
        {"lora_name": "shop", "lora_path": "relative"},
        {"lora_name": "s", "lora_path": "/nowhere\0"},
    ],
)
def test_bad_requests(gateway, body):
    assert post("load", **body).status_code in (400, 404) and post("unload", lora_name="nobody").status_code == 404


def test_a_damaged_file(client, folder, tmp_path):
    path = folder()
    for data in (b"", b"\1", b"\xff" * 20, b"\2\0\0\0\0\0\0\0[]"):
        (tmp_path / "adapter_model.safetensors").write_bytes(data)
        assert "Loading lora shop failed" in post("load", lora_name="shop", lora_path=path).json()["error"]["message"]
