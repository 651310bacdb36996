"""The Gradio app: `app.py` wires components to functions, everything else here is pure or about one edge.

RunRequest -> followed_run -> RunState... -> rows, words and figures of view.py
"""
