"""What is asked of a vLLM server besides samples: what it serves, and other weights.

The routes are those of vLLM 0.32; all but `/v1/models` exist only with VLLM_SERVER_DEV_MODE=1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minireason.endpoint.server import Endpoint, without_key
from minireason.errors import SamplingError

if TYPE_CHECKING:
    import httpx

RELOAD_WITHIN_S = 1800.0
SHOWN = 500


class ServerControl:
    """The server whose OpenAI routes are under `base_url`; its others lie beside them."""

    def __init__(self, base_url: str, api_key_env: str = "OPENAI_API_KEY") -> None:
        endpoint = Endpoint(base_url, "", api_key_env)
        self.root = base_url.rstrip("/").removesuffix("/v1")
        self._key = endpoint.key()

    def served_model(self, max_length: int) -> str:
        """The name of the model; raises SamplingError if it takes less than `max_length` tokens."""
        models = self._ask("GET", "/v1/models").get("data")
        if not models or "max_model_len" not in models[0]:
            raise SamplingError(f"{self.root}/v1/models lists no model of vLLM's; see what it runs")
        limit = models[0]["max_model_len"]
        if limit < max_length:
            raise SamplingError(
                f"{self.root} takes {limit} tokens of prompt plus response and model.max_length is "
                f"{max_length}; lower that, or start it with --max-model-len {max_length}"
            )
        return str(models[0]["id"])

    def reload(self, folder: Path, version: str) -> None:
        """Have it load the safetensors of a folder that it sees, under a name."""
        call = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        self._develop("POST", "/collective_rpc", call)
        # Cached keys and values are those of the old weights; what runs now is computed again.
        answer = self._develop("POST", "/reset_prefix_cache?reset_running_requests=true")
        if answer.get("success") is not True:
            raise SamplingError(f"{self.root} has new weights and did not drop its prefix cache")
        self._develop("POST", "/update_weight_version", {"new_version": version})

    def weight_version(self) -> str:
        """The name of the weights, as `reload` gave it."""
        return str(self._develop("GET", "/weight_info").get("weight_version"))

    def _develop(self, method: str, route: str, body: Any = None) -> dict[str, Any]:
        reply = self._send(method, route, body)
        if reply.status_code in (404, 405):
            raise SamplingError(
                f"{self.root} has no {route.partition('?')[0]}, so its weights cannot be updated; "
                "start vLLM 0.32 or later with VLLM_SERVER_DEV_MODE=1 in its environment, where "
                "only you reach it"
            )
        return self._json(reply)

    def _ask(self, method: str, route: str) -> dict[str, Any]:
        return self._json(self._send(method, route, None))

    def _send(self, method: str, route: str, body: Any) -> httpx.Response:
        import httpx

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = httpx.Timeout(RELOAD_WITHIN_S, connect=30.0)
        try:
            return httpx.request(
                method, self.root + route, json=body, headers=headers, timeout=timeout
            )
        except httpx.RequestError as error:
            raise SamplingError(
                f"{self.root} did not answer ({type(error).__name__}); see that the server runs"
            ) from error

    def _json(self, reply: httpx.Response) -> dict[str, Any]:
        text = without_key(reply.content, self._key).decode("utf-8", "replace").strip()
        route = reply.request.url.path
        if not reply.is_success:
            raise SamplingError(
                f"{self.root}{route} failed with status {reply.status_code}: {text[:SHOWN]}"
            )
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise SamplingError(f"{self.root}{route} answered {text[:SHOWN]!r}; is it vLLM?")
        return answer
