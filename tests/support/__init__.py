"""What several rooms' tests share: a scripted model on 127.0.0.1, and the installer of real agent programs.

- `model_server` serves three model APIs. The *prompt* carries the script (a fenced `model-script` block), so
  the server keeps no session and a script survives any kill and resume. `model_script` decides what to
  answer, `model_wire` knows the three formats, both without I/O.
- `install_agents` puts pinned agent programs into the project's cache folder.

What may go wrong: a prompt that was shortened somewhere loses its script's end; the server then answers HTTP
400 and says so rather than play half a script.
"""
