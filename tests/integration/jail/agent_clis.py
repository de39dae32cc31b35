"""How each agent's program is asked one question without a person, and which host it asks: a real one, which the laboratory plays."""
# SPDX-License-Identifier: GPL-3.0-or-later

import json
from dataclasses import dataclass, field

QUESTION = "What meets whom?"
_OPENAI = "api.openai.com"
_ANTHROPIC = "api.anthropic.com"
_AUGMENT = "test.api.augmentcode.com"
# Over HTTPS at once: its own provider tries a WebSocket six times first.
_CODEX_PROVIDER = ("-c", "model_provider=test", "-c", f"model_providers.test={{name='test', base_url='https://{_OPENAI}/v1', "
                   "wire_api='responses', env_key='CODEX_API_KEY'}")  # fmt: skip


@dataclass(frozen=True)
class Cli:
    host: str  # of the request that it cannot do without
    arguments: tuple
    environment: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)  # by their path below its home
    beside: tuple = ()  # further hosts that it needs for a reply
    replies: bool = True  # can be told which model API to use, and shows its reply
    hides: str = ""  # what it shows instead of the gateway's reason

    @property
    def shows_when_denied(self):
        return self.hides or f"Blocked by proxy policy: {self.host}"


CLIS = {
    "claude": Cli(_ANTHROPIC, ("--print", QUESTION), {"ANTHROPIC_API_KEY": "sk-ant-of-a-test"}),
    "copilot": Cli(_OPENAI, ("--prompt", QUESTION), {
        "COPILOT_PROVIDER_BASE_URL": f"https://{_OPENAI}/v1", "COPILOT_PROVIDER_API_KEY": "sk-of-a-test", "COPILOT_MODEL": "gpt-4.1"},
        hides=f"Authentication failed with provider at https://{_OPENAI}/v1 (HTTP 403)."),
    "codex": Cli(_OPENAI, ("exec", "--skip-git-repo-check", *_CODEX_PROVIDER, QUESTION), {"CODEX_API_KEY": "sk-of-a-test"}),
    "gemini": Cli("generativelanguage.googleapis.com", ("--skip-trust", "--model", "gemini-2.5-pro", "--prompt", QUESTION), {"GEMINI_API_KEY": "key-of-a-test"}),
    "opencode": Cli(_ANTHROPIC, ("run", "--model", "anthropic/claude-sonnet-4-5", QUESTION), {"ANTHROPIC_API_KEY": "sk-ant-of-a-test"}),
    "qwen": Cli(_OPENAI, ("--auth-type", "openai", "--prompt", QUESTION), {
        "OPENAI_API_KEY": "sk-of-a-test", "OPENAI_BASE_URL": f"https://{_OPENAI}/v1", "OPENAI_MODEL": "gpt-4.1"}),
    "amp": Cli("ampcode.com", ("--execute", QUESTION), {"AMP_API_KEY": "sgamp_of_a_test"}, replies=False,
               hides="Access token expired. Run 'amp login' to refresh."),
    "cline": Cli(_ANTHROPIC, ("--provider", "anthropic", "--model", "claude-sonnet-4-5", "--key", "sk-ant-of-a-test", QUESTION)),
    "continue": Cli(_ANTHROPIC, ("--config", "config.yaml", "--print", QUESTION), files={"config.yaml": f"""\
name: test
version: 0.0.1
schema: v1
models:
  - {{name: test, provider: anthropic, model: claude-sonnet-4-5, apiKey: sk-ant-of-a-test, apiBase: "https://{_ANTHROPIC}/v1/"}}
"""}),
    "factory": Cli("api.factory.ai", ("exec", "--model", "custom:test-0", QUESTION), {"FACTORY_API_KEY": "fk-of-a-test"}, {
        ".factory/settings.json": json.dumps({"customModels": [{
            "model": "gpt-4.1", "displayName": "test", "baseUrl": f"https://{_OPENAI}/v1", "apiKey": "sk-of-a-test",
            "provider": "generic-chat-completion-api", "maxOutputTokens": 1000}]})},
        beside=(_OPENAI,), hides="Error during droid execution: Exec failed"),
    "auggie": Cli(_AUGMENT, ("--print", QUESTION), {
        "AUGMENT_SESSION_AUTH": json.dumps({"accessToken": "of-a-test", "tenantURL": f"https://{_AUGMENT}/", "scopes": ["read", "write"]})},
        hides="CLI non-interactive mode access has been disabled for your account."),
    "pi": Cli(_ANTHROPIC, ("--provider", "anthropic", "--model", "claude-sonnet-4-5", "--print", QUESTION), {"ANTHROPIC_API_KEY": "sk-ant-of-a-test"}),
}  # fmt: skip
