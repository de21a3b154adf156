"""Gradio's theme, in this page's colours: paper and ink, the deep sea at night, one green that lives."""

import gradio as gr
from gradio.themes import colors

SYSTEM = ["ui-sans-serif", "system-ui", "sans-serif"]


def theme() -> gr.themes.Base:
    """System fonts, so that nothing is fetched; all colours that `page.css` uses come from here."""
    base = gr.themes.Base(
        primary_hue=colors.teal,
        neutral_hue=colors.stone,
        font=SYSTEM,
        font_mono=["ui-monospace", "monospace"],
        radius_size=gr.themes.sizes.radius_lg,
    )
    return base.set(
        body_background_fill="#f6f4ef",
        body_background_fill_dark="#0c1112",
        body_text_color="#1d2423",
        body_text_color_dark="#e6ece9",
        body_text_color_subdued="#5b6663",
        body_text_color_subdued_dark="#93a19d",
        background_fill_primary="#fffefb",
        background_fill_primary_dark="#141b1c",
        background_fill_secondary="#efece4",
        background_fill_secondary_dark="#1b2425",
        border_color_primary="#dedacf",
        border_color_primary_dark="#283233",
        color_accent="#0d7d72",
        color_accent_soft="#d7efea",
        color_accent_soft_dark="#12312f",
        link_text_color="#0d7d72",
        link_text_color_dark="#4fd6c4",
    )
