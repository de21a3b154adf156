"""The page: Gradio's frame and tabs around our own elements, each a file of HTML and one of JavaScript."""

import json

import gradio as gr
from fastapi import FastAPI

from pipeline.app import looks
from pipeline.app.words import read, words

ICON = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' fill='%2314b8a6'>"
    "<circle cx='16' cy='16' r='13' fill='none' stroke='%2314b8a6' stroke-width='3'/>"
    "<circle cx='19' cy='14' r='5.5'/></svg>"
)
SHARED = ("common.js", "worlds.js", "pair.js", "outbox.js", "contest.js", "insight.js", "people.js")
"""Scripts that the parts of the page use, in the order in which they build on each other."""
TABS = ("label", "ranking", "train", "browse", "profiles")


def mount(app: FastAPI, tab: str = "label") -> FastAPI:
    """The application with the page at its root.

    Args:
        app: Answers what the page asks for.
        tab: The tab that is open first.
    """
    i18n = gr.I18n(**words())
    with gr.Blocks(title="Alife", analytics_enabled=False, fill_width=True) as demo:
        _element("header")
        with gr.Tabs(selected=tab, elem_id="tabs"):
            for name in TABS:
                with gr.Tab(i18n(f"tab_{name}"), id=name, elem_id=f"tab-{name}"):
                    _element("stage" if name == "label" else name)
    return gr.mount_gradio_app(
        app,
        demo,
        path="/",
        app_kwargs={"openapi_url": None, "docs_url": None, "redoc_url": None},
        enable_monitoring=False,
        footer_links=[],
        head=_head(),
        i18n=i18n,
        max_file_size="1kb",
        mcp_server=False,
        run_history=False,
        show_error=False,
        ssr_mode=False,
        theme=looks.theme(),
    )


def _element(name: str) -> gr.HTML:
    """A part of the page that JavaScript keeps up to date; its HTML never changes, so nothing in it is made twice."""
    return gr.HTML(
        html_template=read(f"{name}.html"),
        js_on_load=read(f"{name}.js"),
        apply_default_css=False,
        elem_id=name,
    )


def _head() -> str:
    known = json.dumps(words(), ensure_ascii=False).replace("</", "<\\/")
    scripts = (f"window.ALIFE_WORDS = {known};", *map(read, SHARED))
    # as Gradio's `css`, rules would be rewritten, those in media queries unlike the others
    style = f'<link rel="icon" href="{ICON}"><style>{read("page.css")}</style>'
    return style + "".join(f"<script>{script}</script>" for script in scripts)
