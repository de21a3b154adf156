"""The page."""

import gradio as gr
from fastapi import FastAPI

from pipeline.app.studio import Studio


def mount(app: FastAPI, studio: Studio) -> FastAPI:
    """The application with the page at its root."""
    with gr.Blocks(title="Alife", analytics_enabled=False) as demo:
        gr.Markdown(f"# {studio.profile.name}")
    return gr.mount_gradio_app(app, demo, path="/", footer_links=[], show_error=False)
