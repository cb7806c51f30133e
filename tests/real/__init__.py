"""Real agent programs, real git, a real library: nothing here is a stand-in but the model itself.

The agent is `codex-acp`, installed from npm into the project's cache folder; the library is boltons, from its source
distribution; the model is `tests.support.model_server` on 127.0.0.1, which plays the scripts in the issues.
"""
